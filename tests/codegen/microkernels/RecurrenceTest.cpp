// Tests that a step of the recurrence equals its definition bit for bit, for every kind of decay,
// in every build.
#include "tests/codegen/microkernels/Support.h"

#include <cmath>

namespace quern::native {
namespace {

TEST(Recurrence, EqualsTheModel) {
  Random random(1);
  for (int trial = 0; trial < 200; ++trial) {
    const int dk = 1 + random.below(40),
              dv = trial % 3 == 0 ? 16 * (1 + random.below(9)) : 1 + random.below(100);
    const int kind = trial % 4;
    const bool corrected = trial % 8 >= 4;
    const int decays = kind == 0 ? 1 : kind == 1 ? dk : kind == 2 ? dv : dk * dv;
    const auto state = random.units(dk * dv), r = random.units(dk), k = random.units(dk),
               v = random.units(dv), decay = random.units(decays), a = random.units(dk),
               b = random.units(dk);
    std::vector<float> want_state(state), want_out(dv);
    for (int j = 0; j < dv; ++j) {
      float u = 0;
      for (int i = 0; i < dk; ++i)
        u = std::fma(a[i], state[i * dv + j], u);
      for (int i = 0; i < dk; ++i) {
        const float d = decay[kind == 0 ? 0 : kind == 1 ? i : kind == 2 ? j : i * dv + j];
        float s = state[i * dv + j] * d;
        if (corrected)
          s = std::fma(b[i], u, s);
        want_state[i * dv + j] = std::fma(k[i], v[j], s);
        want_out[j] = std::fma(want_state[i * dv + j], r[i], want_out[j]);
      }
    }
    for (const Build &build : usable_builds()) {
      std::vector<float> got_state(state), got_out(dv, NAN);
      const QkRecurrence token = {.state = got_state.data(),
                                  .r = r.data(),
                                  .k = k.data(),
                                  .v = v.data(),
                                  .decay = decay.data(),
                                  .a = corrected ? a.data() : nullptr,
                                  .b = corrected ? b.data() : nullptr,
                                  .dk = dk,
                                  .dv = dv,
                                  .out = got_out.data()};
      if (corrected)
        build.kernels->qk_recurrence_step_delta(&token, kind);
      else
        build.kernels->qk_recurrence_step(&token, kind);
      const std::string what = std::string(build.name) + " trial " + std::to_string(trial);
      expect_same_bits(got_state, want_state, what + " state");
      expect_same_bits(got_out, want_out, what + " out");
    }
  }
}

} // namespace
} // namespace quern::native
