// Tests that the matrix-product tiles compute, bit for bit, what Microkernels.h says: a scalar
// model with std::fma is written here from its words, and every build and tile height must equal
// it. A double-precision product of the decoded operands checks the model.
#include "ir/formats/PackedRow.h"
#include "ir/formats/PackingTable.h"
#include "tests/codegen/microkernels/Support.h"
#include "tests/ir/formats/RandomPanel.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace quern::native {
namespace {

using formats::Packing;
template <class X> using Gemm = void (*)(const QkPanel *, const X *, int64_t, float *);
using DecodeRow = void (*)(const QkPanel *, int64_t, int64_t, int64_t, float *);

/// Calls the kernel of rows for `rows` of them.
template <class Product>
void multiply(void (*kernel)(const Product *), const uint8_t *panels, int64_t panel_bytes,
              int64_t count, decltype(Product::x) x, int64_t x_stride, int64_t k, int64_t rows,
              float *acc, int64_t acc_stride) {
  const Product product = {.panel = as<QkPanel>(panels),
                           .panel_bytes = panel_bytes,
                           .panels = count,
                           .x = x,
                           .x_stride = x_stride,
                           .rows = rows,
                           .k = k,
                           .acc = acc,
                           .acc_stride = acc_stride};
  kernel(&product);
}

struct QuantizedCase {
  const char *name;
  Packing packing;
  Gemm<QkQ8Row> Kernels::*m1;
  void (*Kernels::*rows)(const QkQ8Product *);
  DecodeRow Kernels::*decode;
};

const QuantizedCase kQuantized[] = {
#define QK_CASE(NAME, FIELDS)                                                                      \
  {#NAME, formats::packings::NAME, &Kernels::qk_gemm_##NAME##_m1, &Kernels::qk_gemm_##NAME##_rows, \
   &Kernels::qk_decode_row_##NAME},
    QK_FOR_EACH_QUANTIZED_PACKING(QK_CASE)
#undef QK_CASE
};

/// A panel of random codes; extreme: only the least and the largest.
std::vector<uint8_t> random_panel(const QuantizedCase &c, int64_t k, Random &random, bool extreme) {
  return formats::random_panel(c.packing, k, [&] { return random.bits(); }, extreme);
}

/// The definition in Microkernels.h, one channel of one row.
float model(const QuantizedCase &c, const uint8_t *panel, const uint8_t *x, int64_t k, int lane) {
  const Packing &p = c.packing;
  const bool as_min = p.group == 32 && p.zero_point != 0 && p.zero_point != 128;
  const int zero = as_min ? 0 : p.zero_point;
  float acc = 0;
  for (int64_t first = 0; first < k; first += 32) {
    QuernQ8Pair pair;
    std::memcpy(&pair, x + k + first / 32 * 16, sizeof pair);
    int32_t dot[2] = {0, 0}, sum[2] = {0, 0};
    for (int i = 0; i < 32; ++i) {
      const int code_x = static_cast<int8_t>(x[first + i]);
      dot[i / 16] += (formats::packed_code(p, panel, first + i, lane) - zero) * code_x;
      sum[i / 16] += code_x;
    }
    const int64_t group = first / p.group; // the record's first
    const float ratios[2] = {1, pair.ratio};
    if (p.group == 16) {
      for (int g = 0; g < 2; ++g)
        acc = std::fma(formats::packed_scale(p, panel, group + g, lane),
                       pair.scale * (ratios[g] * static_cast<float>(dot[g])), acc);
      for (int g = 0; g < 2 && p.has_min; ++g)
        acc = std::fma(formats::packed_min(p, panel, group + g, lane),
                       pair.scale * (ratios[g] * static_cast<float>(sum[g])), acc);
      continue;
    }
    const float scale = formats::packed_scale(p, panel, group, lane);
    const double dots = dot[0] + double{pair.ratio} * dot[1];
    EXPECT_EQ(static_cast<float>(dots), dots);
    acc = std::fma(scale, pair.scale * static_cast<float>(dots), acc);
    const double pair_sum = pair.scale * (sum[0] + double{pair.ratio} * sum[1]);
    if (p.has_min || as_min)
      acc = std::fma(p.has_min ? formats::packed_min(p, panel, group, lane)
                               : static_cast<float>(-p.zero_point) * scale,
                     static_cast<float>(pair_sum), acc);
  }
  return acc;
}

constexpr int kRows = 11; // more than a tile of any build, and every remainder

TEST(QuantizedGemm, EqualsTheModelInEveryBuildAndHeight) {
  Random random(1);
  const Kernels &any = *usable_builds().front().kernels;
  for (const QuantizedCase &c : kQuantized)
    for (const int64_t k : {32, 64, 256, 288, 576, 1024})
      for (const bool extreme : {false, true}) {
        const std::string what = std::string(c.name) + " k=" + std::to_string(k);
        const auto panel = random_panel(c, k, random, extreme);
        const int64_t stride = quern_q8_row_bytes(k) + 64 * random.below(3);
        std::vector<uint8_t> rows(kRows * stride);
        std::vector<float> x, want(kRows * 16);
        for (int m = 0; m < kRows; ++m) {
          auto row = random.units(k, extreme ? 1.0f : std::exp(3 * random.unit()));
          if (extreme) // every code is 127 or -127
            for (float &value : row)
              value = value < -0.9f ? -1.0f : 1.0f;
          for (int64_t i = 0; i < k; ++i) // steps 16 times another's, and others
            row[i] = std::ldexp(row[i], extreme ? (i / 16 % 3 == 1) * 4 : i / 16 * 7 % 9);
          x.insert(x.end(), row.begin(), row.end());
          any.qk_quantize_row(row.data(), k, as<QkQ8Row>(rows.data() + m * stride));
          for (int lane = 0; lane < 16; ++lane) {
            want[m * 16 + lane] = model(c, panel.data(), rows.data() + m * stride, k, lane);
            std::vector<float> weights(k);
            formats::decode_packed_row(c.packing, panel.data(), lane, k, weights.data());
            double exact = 0, size = 0;
            for (int64_t i = 0; i < k; ++i) {
              QuernQ8Pair pair;
              std::memcpy(&pair, rows.data() + m * stride + k + i / 32 * 16, sizeof pair);
              const double product = static_cast<double>(weights[i]) * pair.scale *
                                     (i / 16 % 2 == 0 ? 1 : pair.ratio) *
                                     static_cast<int8_t>(rows[m * stride + i]);
              exact += product;
              size += std::abs(product);
            }
            ASSERT_NEAR(want[m * 16 + lane], exact, 2e-6 * size) << what;
          }
        }
        for (const Build &build : usable_builds()) {
          for (int m = 0; m < kRows; ++m)
            build.kernels->qk_quantize_row(x.data() + m * k, k,
                                           as<QkQ8Row>(rows.data() + m * stride));
          const auto check = [&](const std::vector<float> &got, int first, const char *how) {
            expect_same_bits(got, std::span(want).subspan(first * 16, got.size()),
                             what + how + std::to_string(got.size() / 16) + " rows, " +
                                 std::string(build.name));
          };
          for (int m = 0; m < kRows; ++m) {
            std::vector<float> got(16, NAN);
            (build.kernels->*c.m1)(as<QkPanel>(panel.data()), as<QkQ8Row>(rows.data() + m * stride),
                                   k, got.data());
            check(got, m, " m1, ");
            got.assign(16 * 16, NAN);
            multiply(build.kernels->*c.rows, panel.data(), panel.size(), 1,
                     as<QkQ8Row>(rows.data() + (kRows - m - 1) * stride), stride, k, m + 1,
                     got.data(), 16 * 16);
            got.resize((m + 1) * 16);
            check(got, kRows - m - 1, " ");
          }
        }
      }
}

// Tests that tiles, and what remains of rows beside them, give the bits of single rows, whatever
// the number of rows and panels; inputs that are no multiple of a block's among them.
TEST(QuantizedGemm, TilesEqualSingleRows) {
  constexpr int kMost = 120, kPanels = 10; // more panels than tiles take at once
  Random random(5);
  const auto usable = usable_builds();
  const Kernels &v4 = *std::ranges::find(usable, "x86-64-v4-emulated", &Build::name)->kernels;
  for (const QuantizedCase &c : kQuantized)
    for (const int64_t k : {32, 96, 288}) // pairs that fill no block; more than a run
      for (const bool extreme : {false, true}) {
        std::vector<uint8_t> panels;
        for (int at = 0; at < kPanels; ++at) {
          const auto panel = random_panel(c, k, random, extreme);
          panels.insert(panels.end(), panel.begin(), panel.end());
        }
        const int64_t bytes = c.packing.panel_bytes(k);
        const int64_t stride = quern_q8_row_bytes(k) + 64 * random.below(3);
        auto x = random.units(kMost * k);
        if (extreme) // every code is 127 or -127
          for (float &value : x)
            value = value < 0 ? -1.0f : 1.0f;
        std::vector<uint8_t> rows(kMost * stride);
        const auto quantize_by = [&](const Kernels &kernels) {
          for (int m = 0; m < kMost; ++m)
            kernels.qk_quantize_row(x.data() + m * k, k, as<QkQ8Row>(rows.data() + m * stride));
        };
        quantize_by(v4);
        std::vector<float> want(kPanels * kMost * 16);
        for (int at = 0; at < kPanels; ++at)
          for (int m = 0; m < kMost; ++m)
            (v4.*c.m1)(as<QkPanel>(panels.data() + at * bytes),
                       as<QkQ8Row>(rows.data() + m * stride), k,
                       want.data() + (at * kMost + m) * 16);
        const auto check = [&](const Build &build, int count, int some) {
          const int64_t next = (count + 15) / 16 * 16 * 16;
          std::vector<float> got(some * next, NAN);
          multiply(build.kernels->*c.rows, panels.data(), bytes, some,
                   as<QkQ8Row>(rows.data() + (kMost - count) * stride), stride, k, count,
                   got.data(), next);
          for (int at = 0; at < some; ++at)
            expect_same_bits(std::span(got).subspan(at * next, count * 16),
                             std::span(want).subspan(((at + 1) * kMost - count) * 16, count * 16),
                             std::string(c.name) + " k=" + std::to_string(k) + " " +
                                 std::to_string(count) + " rows, panel " + std::to_string(at) +
                                 ", " + std::string(build.name));
        };
        for (const Build &build : usable) {
          if (!build.name.starts_with("amx"))
            continue;
          quantize_by(*build.kernels);
          // A tile and two, with no remainder, one that is for dots, one that is for a tile.
          for (const int count : {1, 11, 15, 17, 27, 28, 31, 32, 33, 40})
            check(build, count, 1);
          for (const int count : {16, 96, 97, kMost})
            check(build, count, count == 97 ? 3 : kPanels);
        }
      }
}

// Tests that an infinity or NaN of an activation makes all of its row's sums NaN, and no other
// row's, alone and among others.
TEST(QuantizedGemm, CarriesNanAndInfinityOfActivationsToEveryChannel) {
  constexpr int64_t k = 96;
  constexpr int kHeight = 18, kBad = 5;
  Random random(2);
  for (const QuantizedCase &c : kQuantized)
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      const auto panel = random_panel(c, k, random, false);
      auto x = random.units(kHeight * k);
      x[kBad * k + 40] = bad;
      for (const Build &build : usable_builds()) {
        const int64_t stride = quern_q8_row_bytes(k);
        std::vector<uint8_t> rows(kHeight * stride);
        for (int m = 0; m < kHeight; ++m)
          build.kernels->qk_quantize_row(x.data() + m * k, k,
                                         as<QkQ8Row>(rows.data() + m * stride));
        std::vector<float> alone(16), got(32 * 16);
        (build.kernels->*c.m1)(as<QkPanel>(panel.data()), as<QkQ8Row>(rows.data() + kBad * stride),
                               k, alone.data());
        multiply(build.kernels->*c.rows, panel.data(), panel.size(), 1, as<QkQ8Row>(rows.data()),
                 stride, k, kHeight, got.data(), 32 * 16);
        for (int lane = 0; lane < 16; ++lane) {
          ASSERT_TRUE(std::isnan(alone[lane])) << c.name << " " << build.name << " " << bad;
          for (int m = 0; m < kHeight; ++m)
            ASSERT_EQ(std::isnan(got[16 * m + lane]), m == kBad)
                << c.name << " " << build.name << " " << bad << ", row " << m;
        }
      }
    }
}

struct FloatCase {
  const char *name;
  Packing packing;
  Gemm<float> Kernels::*m1;
  void (*Kernels::*rows)(const QkFloatProduct *);
  DecodeRow Kernels::*decode;
};

const FloatCase kFloats[] = {
    {"f32",
     {Packing::F32},
     &Kernels::qk_gemm_f32_m1,
     &Kernels::qk_gemm_f32_rows,
     &Kernels::qk_decode_row_f32},
    {"f16",
     {Packing::F16},
     &Kernels::qk_gemm_f16_m1,
     &Kernels::qk_gemm_f16_rows,
     &Kernels::qk_decode_row_f16},
    {"bf16",
     {Packing::BF16},
     &Kernels::qk_gemm_bf16_m1,
     &Kernels::qk_gemm_bf16_rows,
     &Kernels::qk_decode_row_bf16},
};

std::vector<uint8_t> random_float_panel(const Packing &packing, int64_t k, Random &random) {
  std::vector<uint8_t> panel(packing.panel_bytes(k));
  for (int64_t i = 0; i < k * 16; ++i) {
    const float value = random.unit();
    const uint16_t half =
        packing.kind == Packing::F16 ? formats::f32_to_f16(value) : formats::f32_to_bf16(value);
    if (packing.kind == Packing::F32)
      std::memcpy(panel.data() + 4 * i, &value, 4);
    else
      std::memcpy(panel.data() + 2 * i, &half, 2);
  }
  return panel;
}

/// Whether a build has `rows` rows, or a few more, by weights of that packing in tiles.
bool in_tiles(const Build &build, const Packing &packing, int rows) {
  return build.name.starts_with("amx") && packing.kind != Packing::F32 && rows >= 8;
}

TEST(FloatGemm, EqualsTheModelInEveryBuildAndHeight) {
  Random random(3);
  for (const FloatCase &c : kFloats)
    for (const int64_t k : {0, 1, 2, 7, 64, 129}) {
      const std::string what = std::string(c.name) + " k=" + std::to_string(k);
      const auto panel = random_float_panel(c.packing, k, random);
      const int64_t stride = k + random.below(5);
      const auto x = random.units(kRows * stride + 1);
      std::vector<float> want(kRows * 16);
      for (int lane = 0; lane < 16; ++lane) {
        std::vector<float> w(k);
        formats::decode_packed_row(c.packing, panel.data(), lane, k, w.data());
        for (int m = 0; m < kRows; ++m) {
          float chains[2] = {0, 0};
          double exact = 0;
          for (int64_t i = 0; i < k; ++i) {
            chains[i % 2] = std::fma(w[i], x[m * stride + i], chains[i % 2]);
            exact += static_cast<double>(w[i]) * x[m * stride + i];
          }
          want[m * 16 + lane] = chains[0] + chains[1];
          ASSERT_NEAR(want[m * 16 + lane], exact, 1e-5);
        }
      }
      for (const Build &build : usable_builds()) {
        const auto check = [&](const std::vector<float> &got, int first) {
          expect_same_bits(got, std::span(want).subspan(first * 16, got.size()),
                           what + " " + std::to_string(got.size() / 16) + " rows, " +
                               std::string(build.name));
        };
        for (int m = 0; m < kRows; ++m) {
          std::vector<float> got(16, NAN);
          (build.kernels->*c.m1)(as<QkPanel>(panel.data()), x.data() + m * stride, k, got.data());
          check(got, m);
          if (in_tiles(build, c.packing, m + 1))
            continue;
          got.assign(16 * 16, NAN);
          multiply(build.kernels->*c.rows, panel.data(), panel.size(), 1,
                   x.data() + (kRows - m - 1) * stride, stride, k, m + 1, got.data(), 16 * 16);
          got.resize((m + 1) * 16);
          check(got, kRows - m - 1);
        }
      }
    }
}

// Tests products in tiles: within 2^-15 of each product, and the same bits in every build, number
// of rows and number of panels.
TEST(FloatGemm, TilesKeepSixteenBitsAndDependOnNothingButTheRow) {
  constexpr int kMost = 112, kPanels = 3; // more than a call's tiles
  Random random(6);
  for (const FloatCase &c : kFloats) {
    if (c.packing.kind == Packing::F32)
      continue;
    for (const int64_t k : {0, 1, 2, 31, 32, 65, 256, 300}) {
      const std::string what = std::string(c.name) + " k=" + std::to_string(k);
      std::vector<uint8_t> panels;
      for (int at = 0; at < kPanels; ++at) {
        const auto panel = random_float_panel(c.packing, k, random);
        panels.insert(panels.end(), panel.begin(), panel.end());
      }
      const int64_t bytes = c.packing.panel_bytes(k), stride = k + random.below(5);
      const auto x = random.units(kMost * stride + 1);
      std::vector<float> want[kPanels]; // of all rows at once
      for (const Build &build : usable_builds()) {
        if (!in_tiles(build, c.packing, kMost))
          continue;
        for (const int count : {kMost, 16, 17, 31, 32, 40, 96}) {
          const int64_t next = (count + 15) / 16 * 16 * 16;
          std::vector<float> got(kPanels * next, NAN);
          multiply(build.kernels->*c.rows, panels.data(), bytes, kPanels,
                   x.data() + (kMost - count) * stride, stride, k, count, got.data(), next);
          for (int at = 0; at < kPanels; ++at) {
            const auto sums = std::span(got).subspan(at * next, count * 16);
            if (want[at].empty())
              want[at].assign(sums.begin(), sums.end());
            expect_same_bits(sums, std::span(want[at]).subspan((kMost - count) * 16),
                             what + " " + std::to_string(count) + " rows, " +
                                 std::string(build.name));
          }
        }
      }
      for (int at = 0; at < kPanels && !want[at].empty(); ++at)
        for (int lane = 0; lane < 16; ++lane) {
          std::vector<float> w(k);
          formats::decode_packed_row(c.packing, panels.data() + at * bytes, lane, k, w.data());
          for (int m = 0; m < kMost; ++m) {
            double exact = 0, size = 0;
            for (int64_t i = 0; i < k; ++i) {
              const double product = static_cast<double>(w[i]) * x[m * stride + i];
              exact += product;
              size += std::abs(product);
            }
            ASSERT_NEAR(want[at][m * 16 + lane], exact, 0x1p-15 * size) << what;
          }
        }
    }
  }
}

// Tests that an infinity or NaN of an activation reaches its row's sums, and no other row's.
TEST(FloatGemm, CarriesNanAndInfinityOfActivations) {
  constexpr int64_t k = 40;
  constexpr int kHeight = 18;
  Random random(7);
  for (const FloatCase &c : kFloats)
    for (const float bad : {NAN, INFINITY, -INFINITY, -std::numeric_limits<float>::quiet_NaN()}) {
      const auto panel = random_float_panel(c.packing, k, random);
      auto x = random.units(kHeight * k);
      x[5 * k + 35] = bad;
      for (const Build &build : usable_builds()) {
        std::vector<float> got(32 * 16);
        multiply(build.kernels->*c.rows, panel.data(), panel.size(), 1, x.data(), k, k, kHeight,
                 got.data(), 32 * 16);
        for (int m = 0; m < kHeight; ++m)
          for (int lane = 0; lane < 16; ++lane) {
            const float value = got[16 * m + lane];
            ASSERT_EQ(std::isfinite(value), m != 5) << c.name << " " << build.name;
            ASSERT_TRUE(m != 5 || !std::isnan(bad) || std::isnan(value));
          }
      }
    }
}

TEST(DecodeRow, GivesTheWeightsBackBitForBit) {
  Random random(4);
  const auto check = [](const char *name, const Packing &packing, DecodeRow Kernels::*decode,
                        const std::vector<uint8_t> &panels, int64_t k) {
    const int64_t panel_bytes = packing.panel_bytes(k);
    for (int row = 0; row < 32; ++row) {
      std::vector<float> want(k), got(k);
      formats::decode_packed_row(packing, panels.data() + row / 16 * panel_bytes, row % 16, k,
                                 want.data());
      for (const Build &build : usable_builds()) {
        (build.kernels->*decode)(as<QkPanel>(panels.data()), row, k, panel_bytes, got.data());
        expect_same_bits(got, want, std::string(name) + " " + std::string(build.name));
      }
    }
  };
  for (const int64_t k : {5, 32, 50, 96}) {
    const auto two_panels = [](std::vector<uint8_t> first, const std::vector<uint8_t> &second) {
      first.insert(first.end(), second.begin(), second.end());
      return first;
    };
    for (const QuantizedCase &c : kQuantized)
      check(c.name, c.packing, c.decode,
            two_panels(random_panel(c, k, random, false), random_panel(c, k, random, false)), k);
    for (const FloatCase &c : kFloats)
      check(c.name, c.packing, c.decode,
            two_panels(random_float_panel(c.packing, k, random),
                       random_float_panel(c.packing, k, random)),
            k);
  }
}

} // namespace
} // namespace quern::native
