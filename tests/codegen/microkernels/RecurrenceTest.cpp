// Tests that a step of the recurrence equals its definition bit for bit, for every kind of decay,
// in every build.
#include "tests/codegen/microkernels/Support.h"

#include <cmath>

namespace quern::native {
namespace {

enum class Form { Plain, Corrected, Delta, Bonus };

// As sums over i of r * bonus * k are added: 16 of every sixteenth product, then these in a tree.
float bonus_sum(const std::vector<float> &r, const std::vector<float> &bonus,
                const std::vector<float> &k) {
  float lanes[16] = {};
  for (size_t i = 0; i < r.size(); ++i)
    lanes[i % 16] = std::fma(r[i] * bonus[i], k[i], lanes[i % 16]);
  for (size_t width = 8; width > 0; width /= 2)
    for (size_t i = 0; i < width; ++i)
      lanes[i] += lanes[i + width];
  return lanes[0];
}

TEST(Recurrence, EqualsTheModel) {
  Random random(1);
  for (int trial = 0; trial < 400; ++trial) {
    const int dk = 1 + random.below(40),
              dv = trial % 3 == 0 ? 16 * (1 + random.below(9)) : 1 + random.below(100);
    const int stride = dv + (trial % 5 == 0 ? 7 : 0); // columns of a head that is wider
    const int kind = trial % 5;
    const Form form = static_cast<Form>(trial / 5 % 4);
    const int decays = kind == 0 ? 1 : kind == 1 ? dk : kind == 3 ? dk * stride : dv;
    const auto state = random.units(dk * stride), r = random.units(dk), k = random.units(dk),
               v = random.units(dv), decay = random.units(decays), a = random.units(dk),
               b = random.units(dk), bonus = random.units(dk), rate = random.units(dk * stride);
    const float beta = random.units(1)[0];
    // The exponential is the microkernels' own: its bits are held to the scalar function's.
    const auto decay_of = [&](const Build &build, int i, int j) {
      if (kind == 4)
        return build.kernels->qk_exp(decay[j] * rate[i * stride + j]);
      return decay[kind == 0 ? 0 : kind == 1 ? i : kind == 2 ? j : i * stride + j];
    };
    for (const Build &build : usable_builds()) {
      std::vector<float> want_state(state), want_out(dv);
      for (int j = 0; j < dv; ++j) {
        float u = 0, value = v[j], before = 0;
        for (int i = 0; i < dk; ++i) {
          const float s = state[i * stride + j];
          if (form == Form::Corrected)
            u = std::fma(a[i], s, u);
          if (form == Form::Delta)
            u = std::fma(k[i], s * decay_of(build, i, j), u);
          before = std::fma(s, r[i], before);
        }
        if (form == Form::Delta)
          value = beta * (value - u);
        for (int i = 0; i < dk; ++i) {
          float s = state[i * stride + j] * decay_of(build, i, j);
          if (form == Form::Corrected)
            s = std::fma(b[i], u, s);
          want_state[i * stride + j] = std::fma(k[i], value, s);
          want_out[j] = std::fma(want_state[i * stride + j], r[i], want_out[j]);
        }
        if (form == Form::Bonus)
          want_out[j] = std::fma(bonus_sum(r, bonus, k), value, before);
      }
      std::vector<float> got_state(state), got_out(dv, NAN);
      const QkRecurrence token = {.state = got_state.data(),
                                  .r = r.data(),
                                  .k = k.data(),
                                  .v = v.data(),
                                  .decay = decay.data(),
                                  .a = form == Form::Corrected ? a.data() : nullptr,
                                  .b = form == Form::Corrected ? b.data() : nullptr,
                                  .rate = kind == 4 ? rate.data() : nullptr,
                                  .bonus = form == Form::Bonus ? bonus.data() : nullptr,
                                  .beta = beta,
                                  .dk = dk,
                                  .dv = dv,
                                  .stride = stride,
                                  .out = got_out.data()};
      switch (form) {
      case Form::Plain:
        build.kernels->qk_recurrence_step(&token, kind);
        break;
      case Form::Corrected:
        build.kernels->qk_recurrence_step_corrected(&token, kind);
        break;
      case Form::Delta:
        build.kernels->qk_recurrence_step_delta(&token, kind);
        break;
      case Form::Bonus:
        build.kernels->qk_recurrence_step_bonus(&token, kind);
        break;
      }
      const std::string what = std::string(build.name) + " trial " + std::to_string(trial);
      expect_same_bits(got_state, want_state, what + " state");
      expect_same_bits(got_out, want_out, what + " out");

      std::vector<float> read(dv, NAN), want_read(dv);
      for (int j = 0; j < dv; ++j)
        for (int i = 0; i < dk; ++i)
          want_read[j] = std::fma(got_state[i * stride + j], r[i], want_read[j]);
      QkRecurrence reads = token;
      reads.out = read.data();
      build.kernels->qk_recurrence_read(&reads);
      expect_same_bits(read, want_read, what + " read");
    }
  }
}

} // namespace
} // namespace quern::native
