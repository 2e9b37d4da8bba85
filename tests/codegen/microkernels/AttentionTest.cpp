// Tests that attention over pages equals its definition bit for bit in every build and tile height,
// agrees with a plain softmax in double, and never touches what a row does not see.
#include "tests/codegen/microkernels/Support.h"

#include <cmath>
#include <cstring>

namespace quern::native {
namespace {

constexpr int kPage = QUERN_KV_PAGE;
using Block = decltype(Kernels::qk_attn_block_f32_m1);

struct State {
  std::vector<float> max, sum, acc; // [M], [M], [M][stride]

  /// The rows from `row` on, as kernels have them.
  QkSoftmax from(int row, int64_t stride) {
    return {.max = &max[row],
            .sum = &sum[row],
            .step = 1,
            .acc = &acc[row * stride],
            .acc_stride = stride};
  }
};

struct Problem {
  int rows, d, v, q_stride, acc_stride, pages;
  float scale, softcap;
  std::vector<float> q;
  std::vector<std::vector<float>> keys, values, bias; // bias: [page], empty or [row][position]
  std::vector<std::vector<int32_t>> lo, hi;           // [page][row]

  // Where things lie in a page (StepArgs.h).
  int key_at(int i, int position) const { return (position / 16 * d + i) * 16 + position % 16; }
  int value_at(int position, int j) const {
    const int width = std::min(16, v - j / 16 * 16);
    return j / 16 * 16 * kPage + position * width + j % 16;
  }
};

Problem random_problem(Random &random, int rows) {
  Problem p;
  p.rows = rows;
  p.d = 1 + random.below(80);
  p.v = random.below(3) == 0 ? 1 + random.below(150) : 8 * (1 + random.below(20));
  p.q_stride = p.d + random.below(9);
  p.acc_stride = p.v + random.below(9);
  p.pages = 1 + random.below(3);
  p.scale = 1.0f / std::sqrt(static_cast<float>(p.d));
  p.softcap = random.below(3) == 0 ? 5.0f : 0.0f;
  p.q = random.units(rows * p.q_stride, 4);
  for (int page = 0; page < p.pages; ++page) {
    std::vector<int32_t> lo(rows), hi(rows);
    int any_lo = kPage, any_hi = 0;
    const int style = random.below(4); // all, causal with a window, anything, mostly nothing
    const int base = random.below(kPage);
    for (int m = 0; m < rows; ++m) {
      lo[m] = style == 0 ? -3 : style == 1 ? base / 2 + m : random.below(kPage);
      hi[m] = style == 0 ? kPage + 7 : style == 1 ? base + m + 1 : random.below(kPage + 1);
      if (style == 3 && random.below(2) == 0)
        hi[m] = lo[m];
      if (std::max(lo[m], 0) < std::min(hi[m], kPage)) {
        any_lo = std::min(any_lo, std::max(lo[m], 0));
        any_hi = std::max(any_hi, std::min(hi[m], kPage));
      }
    }
    // What no row sees is NaN; so is one more position that only the first row does not see.
    auto keys = random.units(p.d * kPage, 2), values = random.units(kPage * p.v);
    for (int position = 0; position < kPage; ++position)
      if (position < any_lo || position >= any_hi) {
        for (int i = 0; i < p.d; ++i)
          keys[p.key_at(i, position)] = NAN;
        for (int j = 0; j < p.v; ++j)
          values[p.value_at(position, j)] = NAN;
      }
    p.keys.push_back(keys);
    p.values.push_back(values);
    p.bias.push_back(random.below(2) == 0 ? std::vector<float>() : random.units(rows * kPage, 3));
    p.lo.push_back(lo);
    p.hi.push_back(hi);
  }
  return p;
}

State initial(const Kernels &k, const Problem &p) {
  State state = {std::vector<float>(p.rows, NAN), std::vector<float>(p.rows, NAN),
                 std::vector<float>(p.rows * p.acc_stride, 0.25f)};
  for (int m = 0; m < p.rows; ++m) {
    const QkSoftmax row = state.from(m, p.acc_stride);
    k.qk_attn_init_row(&row, p.v);
  }
  return state;
}

/// Runs rows [first, first + height) through every page, with keys and values as `block` has them.
template <class T>
void run(const Problem &p, Block block, int first, State &state,
         const std::vector<std::vector<T>> &keys, const std::vector<std::vector<T>> &values) {
  const QkSoftmax rows = state.from(first, p.acc_stride);
  for (int number = 0; number < p.pages; ++number) {
    const std::vector<float> &bias = p.bias[number];
    const QkQueries queries = {.q = p.q.data() + first * p.q_stride,
                               .stride = p.q_stride,
                               .lo = p.lo[number].data() + first,
                               .hi = p.hi[number].data() + first,
                               .bias = bias.empty() ? nullptr : bias.data() + first * kPage,
                               .scale = p.scale,
                               .softcap = p.softcap};
    const QkPage page = {.keys = as<QkKeys>(keys[number].data()),
                         .values = as<QkValues>(values[number].data()),
                         .next_keys = as<QkKeys>(keys[number].data()),
                         .d = p.d,
                         .v = p.v};
    block(&queries, &page, &rows);
  }
}

void run(const Problem &p, Block block, int first, State &state) {
  run(p, block, first, state, p.keys, p.values);
}

void expect_same_state(const State &got, const State &want, const std::string &what) {
  expect_same_bits(got.max, want.max, what + " max");
  expect_same_bits(got.sum, want.sum, what + " sum");
  expect_same_bits(got.acc, want.acc, what + " acc"); // the padding between rows, too
}

/// The definition in Microkernels.h, one row.
void model(const Kernels &k, const Problem &p, int m, State &state) {
  for (int page = 0; page < p.pages; ++page) {
    const int lo = std::max(p.lo[page][m], 0), hi = std::min(p.hi[page][m], kPage);
    if (lo >= hi)
      continue;
    float weight[kPage], most = state.max[m];
    for (int position = lo; position < hi; ++position) {
      float score = 0;
      for (int i = 0; i < p.d; ++i)
        score = std::fma(p.q[m * p.q_stride + i], p.keys[page][p.key_at(i, position)], score);
      score *= p.scale;
      if (p.softcap != 0)
        score = k.qk_tanh(score / p.softcap) * p.softcap;
      if (!p.bias[page].empty())
        score += p.bias[page][m * kPage + position];
      weight[position] = score;
      most = std::max(most, score);
    }
    std::vector<float> padded(kPage, 0.0f);
    for (int position = lo; position < hi; ++position)
      padded[position] = weight[position] = k.qk_exp(weight[position] - most);
    const float correction = k.qk_exp(state.max[m] - most);
    state.max[m] = most;
    state.sum[m] = std::fma(state.sum[m], correction, k.qk_sum(padded.data(), kPage));
    for (int j = 0; j < p.v; ++j) {
      float &acc = state.acc[m * p.acc_stride + j];
      acc *= correction;
      for (int position = lo; position < hi; ++position)
        acc = std::fma(weight[position], p.values[page][p.value_at(position, j)], acc);
    }
  }
}

/// Softmax in double; zeros for a row that sees nothing.
std::vector<double> exact(const Problem &p, int m) {
  std::vector<double> out(p.v, 0);
  double sum = 0;
  for (int page = 0; page < p.pages; ++page)
    for (int position = std::max(p.lo[page][m], 0); position < std::min(p.hi[page][m], kPage);
         ++position) {
      double score = 0;
      for (int i = 0; i < p.d; ++i)
        score += static_cast<double>(p.q[m * p.q_stride + i]) * p.keys[page][p.key_at(i, position)];
      score *= p.scale;
      if (p.softcap != 0)
        score = p.softcap * std::tanh(score / p.softcap);
      if (!p.bias[page].empty())
        score += p.bias[page][m * kPage + position];
      sum += std::exp(score);
      for (int j = 0; j < p.v; ++j)
        out[j] += std::exp(score) * p.values[page][p.value_at(position, j)];
    }
  for (double &value : out)
    value = sum > 0 ? value / sum : 0;
  return out;
}

TEST(Attention, EqualsTheModelInEveryBuildAndHeight) {
  Random random(1);
  for (int trial = 0; trial < 150; ++trial) {
    const Problem p = random_problem(random, 8);
    const Kernels &any = *usable_builds().front().kernels;
    State want = initial(any, p);
    for (int m = 0; m < p.rows; ++m) {
      model(any, p, m, want);
      std::vector<float> out(p.v);
      const QkSoftmax row = want.from(m, p.acc_stride);
      any.qk_attn_finish_row(&row, p.v, out.data());
      const auto reference = exact(p, m);
      for (int j = 0; j < p.v; ++j)
        ASSERT_NEAR(out[j], reference[j], 2e-5);
    }
    for (const Build &build : usable_builds()) {
      const Kernels &k = *build.kernels;
      const std::pair<int, Block> heights[] = {{1, k.qk_attn_block_f32_m1},
                                               {2, k.qk_attn_block_f32_m2},
                                               {3, k.qk_attn_block_f32_m3},
                                               {4, k.qk_attn_block_f32_m4},
                                               {6, k.qk_attn_block_f32_m6}};
      for (const auto &[height, block] : heights) {
        State got = initial(k, p);
        for (int first = 0; first < p.rows; first += height)
          run(p, first + height <= p.rows ? block : k.qk_attn_block_f32_m1, first, got);
        if (p.rows % height != 0) // three and three, then the last two one by one
          run(p, k.qk_attn_block_f32_m1, p.rows - 1, got);
        expect_same_state(got, want,
                          std::string(build.name) + " m" + std::to_string(height) + " trial " +
                              std::to_string(trial));
      }
    }
  }
}

/// Pages turned into floats are those of the problem; but for what no row sees, which is NaN.
template <class T>
void expect_floats(const Problem &p, decltype(Kernels::qk_attn_floats_f16) convert,
                   const std::vector<std::vector<T>> &keys,
                   const std::vector<std::vector<T>> &values, const std::string &what) {
  for (int page = 0; page < p.pages; ++page) {
    std::vector<T> both = keys[page]; // a page's values follow its keys
    both.insert(both.end(), values[page].begin(), values[page].end());
    const size_t num_keys = p.keys[page].size();
    std::vector<float> got(num_keys + p.values[page].size());
    const QkPage stored = {.keys = as<QkKeys>(both.data()),
                           .values = as<QkValues>(both.data() + keys[page].size()),
                           .next_keys = as<QkKeys>(both.data()),
                           .d = p.d,
                           .v = p.v};
    convert(&stored, got.data());
    for (size_t i = 0; i < got.size(); ++i) {
      const float want = i < num_keys ? p.keys[page][i] : p.values[page][i - num_keys];
      ASSERT_TRUE(got[i] == want || (std::isnan(got[i]) && std::isnan(want))) << what << " " << i;
    }
  }
}

// Tests that what is stored in 16 bits is read as the same floats.
TEST(Attention, ReadsShortFormats) {
  Random random(4);
  for (const bool half : {true, false})
    for (int trial = 0; trial < 40; ++trial) {
      Problem p = random_problem(random, 4);
      std::vector<std::vector<uint16_t>> keys, values;
      for (const auto &[arrays, stored] : {std::pair(&p.keys, &keys), {&p.values, &values}})
        for (std::vector<float> &array : *arrays) {
          std::vector<uint16_t> &codes = stored->emplace_back();
          for (float &value : array) {
            codes.push_back(half ? formats::f32_to_f16(value) : formats::f32_to_bf16(value));
            value = half ? formats::f16_to_f32(codes.back()) : formats::bf16_to_f32(codes.back());
          }
        }
      for (const Build &build : usable_builds()) {
        const Kernels &k = *build.kernels;
        State want = initial(k, p), got = initial(k, p);
        run(p, k.qk_attn_block_f32_m4, 0, want);
        run(p, half ? k.qk_attn_block_f16_m4 : k.qk_attn_block_bf16_m4, 0, got, keys, values);
        expect_same_state(got, want, std::string(build.name));
        expect_floats(p, half ? k.qk_attn_floats_f16 : k.qk_attn_floats_bf16, keys, values,
                      std::string(build.name));
      }
    }
}

/// Keys or values as int8, scales first; `numbers` become what they stand for. at(i, position) is
/// where number i of a position lies.
template <class At>
std::vector<uint8_t> as_int8(Random &random, std::vector<float> &numbers, int dim, At at) {
  const int groups = (dim + QUERN_KV_GROUP - 1) / QUERN_KV_GROUP;
  std::vector<float> scales(groups * kPage);
  std::vector<int8_t> codes(dim * kPage);
  for (int position = 0; position < kPage; ++position)
    for (int i = 0; i < dim; ++i) {
      float &scale = scales[i / QUERN_KV_GROUP * kPage + position];
      if (i % QUERN_KV_GROUP == 0) // what no row sees stays NaN
        scale = std::isnan(numbers[at(i, position)]) ? NAN : random.units(1, 0.02f)[0];
      const int index = at(i, position);
      codes[index] = static_cast<int8_t>(random.below(255) - 127);
      numbers[index] = static_cast<float>(codes[index]) * scale;
    }
  std::vector<uint8_t> bytes(scales.size() * sizeof(float) + codes.size());
  std::memcpy(bytes.data(), scales.data(), scales.size() * sizeof(float));
  std::memcpy(bytes.data() + scales.size() * sizeof(float), codes.data(), codes.size());
  return bytes;
}

// Tests that a code times its scale is a float like any other.
TEST(Attention, ReadsInt8) {
  Random random(5);
  for (int trial = 0; trial < 60; ++trial) {
    Problem p = random_problem(random, 12);
    std::vector<std::vector<uint8_t>> keys, values;
    for (int page = 0; page < p.pages; ++page) {
      keys.push_back(as_int8(random, p.keys[page], p.d,
                             [&](int i, int position) { return p.key_at(i, position); }));
      values.push_back(as_int8(random, p.values[page], p.v,
                               [&](int j, int position) { return p.value_at(position, j); }));
    }
    for (const Build &build : usable_builds()) {
      const Kernels &k = *build.kernels;
      State want = initial(k, p);
      for (int first = 0; first < p.rows; first += 6)
        run(p, k.qk_attn_block_f32_m6, first, want);
      const std::pair<int, Block> heights[] = {{1, k.qk_attn_block_int8_m1},
                                               {2, k.qk_attn_block_int8_m2},
                                               {3, k.qk_attn_block_int8_m3},
                                               {4, k.qk_attn_block_int8_m4},
                                               {6, k.qk_attn_block_int8_m6}};
      for (const auto &[height, block] : heights) {
        State got = initial(k, p);
        for (int first = 0; first < p.rows; first += height)
          run(p, block, first, got, keys, values);
        expect_same_state(got, want, std::string(build.name) + " m" + std::to_string(height));
      }
      expect_floats(p, k.qk_attn_floats_int8, keys, values, std::string(build.name));
    }
  }
}

TEST(Attention, MergesAsDefinedAndLeavesARowThatSawNothing) {
  Random random(3);
  for (const int64_t v : {1, 16, 50}) {
    const auto acc = random.units(v), other = random.units(v);
    for (const auto &[max, other_max] : {std::pair(1.0f, 3.0f), {3.0f, 1.0f}, {-1e30f, 2.0f}}) {
      for (const Build &build : usable_builds()) {
        const Kernels &k = *build.kernels;
        const float most = std::max(max, other_max);
        const float c = k.qk_exp(max - most), o = k.qk_exp(other_max - most);
        State got = {{max}, {2}, acc}, later = {{other_max}, {5}, other};
        const QkSoftmax got_row = got.from(0, v), later_row = later.from(0, v);
        std::vector<float> want(v);
        for (int64_t j = 0; j < v; ++j)
          want[j] = std::fma(acc[j], c, other[j] * o);
        k.qk_attn_merge_row(&got_row, &later_row, v);
        EXPECT_EQ(got.max[0], most);
        EXPECT_EQ(got.sum[0], std::fma(2.0f, c, 5 * o));
        expect_same_bits(got.acc, want, std::string(build.name));

        State same = {{max}, {2}, acc}, nothing = {{-1e30f}, {0}, other};
        same.acc[0] = -0.0f;
        const State before = same;
        const QkSoftmax same_row = same.from(0, v), nothing_row = nothing.from(0, v);
        k.qk_attn_merge_row(&same_row, &nothing_row, v);
        expect_same_state(same, before, std::string(build.name) + ", nothing seen");
      }
    }
  }
}

TEST(Attention, ARowIsNotTouchedByWhatOnlyOthersSee) {
  Random random(2);
  for (const Build &build : usable_builds()) {
    Problem p = random_problem(random, 4);
    p.pages = 1;
    p.lo[0] = {0, 10, 0, 20};
    p.hi[0] = {64, 30, 0, 21};
    p.keys[0] = random.units(p.d * kPage);
    p.values[0] = random.units(kPage * p.v);
    for (int position = 0; position < kPage; ++position)
      if (position != 20) // finite nowhere but where the last row looks
        for (int j = 0; j < p.v; ++j)
          p.values[0][p.value_at(position, j)] = INFINITY;
    State state = initial(*build.kernels, p);
    run(p, build.kernels->qk_attn_block_f32_m4, 0, state);
    std::vector<float> out(p.v);
    const QkSoftmax last = state.from(3, p.acc_stride), none = state.from(2, p.acc_stride);
    build.kernels->qk_attn_finish_row(&last, p.v, out.data());
    for (int j = 0; j < p.v; ++j) {
      EXPECT_EQ(out[j], p.values[0][p.value_at(20, j)]) << build.name;
      EXPECT_EQ(state.acc[2 * p.acc_stride + j], 0) << build.name;
      EXPECT_TRUE(std::isinf(state.acc[j])) << build.name;
    }
    EXPECT_EQ(state.max[2], -1e30f);
    EXPECT_EQ(state.sum[2], 0);
    build.kernels->qk_attn_finish_row(&none, p.v, out.data());
    EXPECT_EQ(out, std::vector<float>(p.v, 0.0f)) << build.name;
  }
}

} // namespace
} // namespace quern::native
