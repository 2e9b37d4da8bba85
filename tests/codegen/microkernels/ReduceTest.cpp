// Tests that the quantization of rows and the reductions follow their definitions bit for bit, in
// every build.
#include "codegen/cpu/microkernels/InterleavedPairAvx2.h"
#include "ir/formats/Half.h"
#include "tests/codegen/microkernels/Support.h"

#include <cmath>
#include <cstring>

namespace quern::native {
namespace {

/// The tree of Microkernels.h: lane i with i+8, i+4, i+2, i+1.
template <class Op> float tree(std::vector<float> lanes, Op op) {
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i)
      lanes[i] = op(lanes[i], lanes[i + half]);
  return lanes[0];
}

TEST(Reduce, EqualsTheModel) {
  Random random(1);
  const auto add = [](float a, float b) { return a + b; };
  const auto larger = [](float a, float b) { return b > a ? b : a; };
  for (int n = 0; n < 100; n += 1 + n / 40) {
    // Exactly n elements, on the heap: reading one more is what the sanitizers see.
    const auto x = random.units(n), y = random.units(n);
    std::vector<float> sum(16, 0), squares(16, 0), around(16, 0), dot(16, 0), most(16, -INFINITY);
    constexpr float kCenter = 0.375f;
    for (int i = 0; i < n; ++i) {
      sum[i % 16] += x[i];
      squares[i % 16] = std::fma(x[i], x[i], squares[i % 16]);
      around[i % 16] = std::fma(x[i] - kCenter, x[i] - kCenter, around[i % 16]);
      dot[i % 16] = std::fma(x[i], y[i], dot[i % 16]);
      most[i % 16] = larger(most[i % 16], x[i]);
    }
    const std::vector<float> want = {tree(sum, add), tree(squares, add), tree(around, add),
                                     tree(dot, add), tree(most, larger)};
    for (const Build &build : usable_builds()) {
      const Kernels &k = *build.kernels;
      const std::vector<float> got = {k.qk_sum(x.data(), n), k.qk_sum_squares(x.data(), n),
                                      k.qk_sum_squares_around(x.data(), kCenter, n),
                                      k.qk_dot(x.data(), y.data(), n), k.qk_max(x.data(), n)};
      expect_same_bits(got, want, std::string(build.name) + " n=" + std::to_string(n));
    }
  }
}

// Tests that the first of the largest columns is kept, worker by worker; NaN and -infinity never.
TEST(UpdateArgmax, KeepsTheFirstOfTheLargest) {
  Random random(8);
  for (int n = 0; n < 70; ++n) {
    auto x = random.units(n);
    for (float &value : x) { // with equals among them
      value = std::round(4 * value);
      if (random.below(4) == 0)
        value = random.below(2) == 0 ? NAN : -INFINITY;
    }
    int32_t want = -1;
    for (int i = 0; i < n; ++i)
      if (x[i] > (want < 0 ? -INFINITY : x[want]))
        want = i;
    for (const Build &build : usable_builds()) {
      QuernArgmax argmax[2] = {{-INFINITY, -1, {}}, {-INFINITY, -1, {}}};
      QuernStepArgs args = {};
      float own[16], result[16];
      EXPECT_EQ(build.kernels->qk_columns_at(&args, result, own), result);
      build.kernels->qk_update_argmax(&args, 1, x.data(), n, 0); // nobody asked
      args.argmax = argmax;
      EXPECT_EQ(build.kernels->qk_columns_at(&args, result, own), own);
      const int first = n / 3;
      build.kernels->qk_update_argmax(&args, 1, x.data(), first, 1000);
      build.kernels->qk_update_argmax(&args, 1, x.data() + first, n - first, 1000 + first);
      EXPECT_EQ(argmax[1].column, want < 0 ? -1 : 1000 + want) << build.name << " n=" << n;
      EXPECT_EQ(argmax[1].value, want < 0 ? -INFINITY : x[want]);
      EXPECT_EQ(argmax[0].column, -1);
    }
  }
}

TEST(QuantizeRow, EqualsTheModel) {
  Random random(2);
  for (const int k : {1, 15, 16, 17, 31, 32, 33, 64, 200, 577}) {
    auto x = random.units(k, std::exp(20 * random.unit()));
    if (k > 100) {
      std::fill_n(x.begin() + 80, 16, 0.0f);
      std::fill_n(x.begin() + 128, 32, 0.0f);
    }
    for (int i = 0; i < k; ++i) // neighbours of one size, and of ever more different ones
      x[i] = std::ldexp(x[i], i / 16 % 4 * (i / 64 % 3) * (i % 128 < 64 ? 1 : -1));
    const int padded = (k + 31) / 32 * 32;
    std::vector<uint8_t> want(quern_q8_row_bytes(k), 0xee);
    for (int first = 0; first < padded; first += 32) {
      QuernQ8Pair pair = {};
      float amax[2] = {0, 0};
      for (int i = first; i < std::min(first + 32, k); ++i)
        amax[(i - first) / 16] = std::max(amax[(i - first) / 16], std::abs(x[i]));
      const float largest = std::max(amax[0], amax[1]);
      const int other = amax[0] < amax[1] ? 0 : 1; // the group that has less
      int n = 0;
      while (n < 4 && amax[other] < largest && std::ldexp(amax[other], n + 1) <= largest)
        ++n;
      float step[2];
      for (int g = 0; g < 2; ++g) {
        step[g] = std::ldexp(largest / 127.0f, g == other ? -n : 0);
        const float inverse = std::ldexp(127.0f / largest, g == other ? n : 0);
        for (int i = first + 16 * g; i < first + 16 * g + 16; ++i) {
          const float code = i < k && largest > 0 ? std::nearbyint(x[i] * inverse) : 0.0f;
          want[i] = static_cast<uint8_t>(static_cast<int8_t>(code));
          pair.code_sum[g] += static_cast<int16_t>(code);
        }
      }
      pair.scale = step[0];
      pair.ratio = std::ldexp(1.0f, other == 0 ? n : -n);
      pair.sum = static_cast<float>(pair.scale *
                                    (pair.code_sum[0] + double{pair.ratio} * pair.code_sum[1]));
      std::memcpy(want.data() + padded + first / 32 * 16, &pair, sizeof pair);
    }
    // What products of many rows read: the codes of a pair's groups in turn.
    std::vector<uint8_t> for_tiles = want, for_words = want;
    for (int first = 0; first < padded; first += 32) {
      QuernQ8Pair pair;
      std::memcpy(&pair, want.data() + padded + first / 32 * 16, sizeof pair);
      micro::InterleavedPair interleaved = {};
      const bool first_is_finer = pair.ratio >= 1;
      interleaved.step = first_is_finer ? pair.scale : pair.scale * pair.ratio;
      interleaved.sum = pair.sum;
      interleaved.factors[0] = static_cast<int16_t>(first_is_finer ? 1 : 1 / pair.ratio);
      interleaved.factors[1] = static_cast<int16_t>(first_is_finer ? pair.ratio : 1);
      uint8_t *rows = for_tiles.data() + quern_q8_rows_at(k) + first / 32 * 64;
      for (int i = 0; i < 32; ++i) {
        const int group = i / 16, at = i % 16;
        const auto code = static_cast<int8_t>(want[first + i]);
        interleaved.codes[at / 2 * 4 + 2 * group + at % 2] = code;
        const uint16_t ratioed = formats::f32_to_bf16(code * (group == 0 ? 1.0f : pair.ratio));
        std::memcpy(rows + 4 * at + 2 * group, &ratioed, 2);
      }
      std::memcpy(for_words.data() + quern_q8_rows_at(k) + first / 32 * sizeof interleaved,
                  &interleaved, sizeof interleaved);
    }
    for (const Build &build : usable_builds()) {
      std::vector<uint8_t> got(want.size(), 0xee);
      build.kernels->qk_quantize_row(x.data(), k, as<QkQ8Row>(got.data()));
      EXPECT_EQ(got, build.name.starts_with("amx") ? for_tiles
                     : build.name == "x86-64-v3"   ? for_words
                                                   : want)
          << build.name << " k=" << k;
    }
  }
}

TEST(QuantizeColumns, PutTogetherARowAsAWhole) {
  Random random(7);
  constexpr int64_t kRows = 11;
  for (const int64_t k : {32, 128, 300, 576}) {
    const std::vector<float> x = random.units(kRows * k, 3);
    const int64_t stride = quern_q8_row_bytes(k);
    for (const Build &build : usable_builds()) {
      std::vector<uint8_t> want(kRows * stride, 0xee), got = want;
      for (int64_t row = 0; row < kRows; ++row)
        build.kernels->qk_quantize_row(x.data() + row * k, k,
                                       as<QkQ8Row>(want.data() + row * stride));
      // Parts of 1, 2, 3, ... pairs, of 1, 2, 3, ... rows.
      for (int64_t first = 0, pairs = 1; first < k; first += 32 * pairs++)
        for (int64_t row = 0, rows = 1; row < kRows; row += rows++) {
          const QkColumns columns = {.x = x.data() + row * k + first,
                                     .x_stride = k,
                                     .rows = std::min(rows, kRows - row),
                                     .first = first,
                                     .count = std::min(32 * pairs, k - first),
                                     .k = k,
                                     .to = as<QkQ8Row>(got.data() + row * stride),
                                     .to_stride = stride};
          build.kernels->qk_quantize_columns(&columns);
        }
      EXPECT_EQ(got, want) << build.name << " k=" << k;
    }
  }
}

TEST(QuantizeRow, TreatsNonFiniteAndTinyNumbersAsItSays) {
  for (const Build &build : usable_builds()) {
    std::vector<uint8_t> row(quern_q8_row_bytes(32));
    const auto quantized = [&](float first, float rest) {
      std::vector<float> x(32, rest);
      x[0] = first;
      build.kernels->qk_quantize_row(x.data(), 32, as<QkQ8Row>(row.data()));
      QuernQ8Pair pair;
      std::memcpy(&pair, row.data() + 32, sizeof pair);
      return pair;
    };
    EXPECT_TRUE(std::isnan(quantized(NAN, 1).scale));
    EXPECT_TRUE(std::isnan(quantized(-NAN, INFINITY).scale));
    EXPECT_EQ(row[0], 0);
    EXPECT_EQ(quantized(-INFINITY, 1).scale, INFINITY);
    EXPECT_EQ(row[0], 0);
    EXPECT_EQ(quantized(0x1p-111f, 0x1p-149f).scale, 0);
    EXPECT_EQ(row[0], 0);
    EXPECT_EQ(quantized(-3e38f, 3e38f).code_sum[1], 16 * 127);
    EXPECT_EQ(static_cast<int8_t>(row[0]), -127);
  }
}

} // namespace
} // namespace quern::native
