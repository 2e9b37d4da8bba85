// Quern's own integer formats: int8 and int4, scales (and mins) in f16 for each group of 32, 64 or
// 128; int4 with scales and mins of two levels; and groups of 32 with float32 scales, for what
// other quantizers made.
#include "ir/formats/GroupSearch.h"
#include "ir/formats/QuantFormat.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace quern::formats {
namespace {

/// What is wrong with an element of the row, which is refused for it.
absl::Status refusal(const float *row, int64_t n, int64_t index, float limit) {
  const float value = row[index];
  float largest = 0;
  for (int64_t i = 0; i < n; ++i)
    largest = std::isfinite(row[i]) ? std::max(largest, std::fabs(row[i])) : largest;
  if (!std::isfinite(value))
    return absl::InvalidArgumentError(absl::StrCat(
        "element ", index, " is ", value, ", which has no quantized value\nhint: --quant keep"));
  // bf16 ends before float32 does: of the row's elements the largest decides.
  return absl::OutOfRangeError(
      absl::StrCat("element ", index, " is ", value, ", beyond what an f16 scale can reach (",
                   limit, ")\nhint: --quant ", largest < 0x1.ffp127f ? "bf16" : "f32"));
}

/// Lays the eight groups from element `first` on side by side, and refuses elements beyond `limit`,
/// which no f16 scale can reach. A row's last group may be short: its own elements are repeated to
/// fill it, so that padding hardly weighs in the search. Groups beyond the row are zeros.
absl::Status load_groups(const float *row, int64_t first, int64_t n, int group, float limit,
                         Octet *values) {
  for (int lane = 0; lane < kLanes; ++lane, first += group) {
    const int64_t used = std::clamp<int64_t>(n - first, 0, group);
    const float *from = row + first;
    bool held = true;
    for (int64_t i = 0; i < used; ++i) {
      values[i].of[lane] = from[i];
      held &= std::fabs(from[i]) <= limit; // false for a NaN
    }
    for (int64_t i = 0; i < used && !held; ++i)
      if (!(std::fabs(from[i]) <= limit))
        return refusal(row, n, first + i, limit);
    for (int64_t i = used; i < group; ++i)
      values[i].of[lane] = used == 0 ? 0 : values[i % used].of[lane];
  }
  return absl::OkStatus();
}

/// How many groups there are from element `first` on, eight at most.
int groups_from(int64_t first, int64_t n, int group) {
  return static_cast<int>(std::min<int64_t>(kLanes, (n - first + group - 1) / group));
}

/// Packs the codes of one of eight groups, element i and half+i to a byte.
void pack_nibbles(const Octet *codes, int half, int lane, int zero, std::byte *nibbles) {
  for (int i = 0; i < half; ++i)
    nibbles[i] = static_cast<std::byte>((static_cast<int>(codes[i].of[lane]) + zero) |
                                        (static_cast<int>(codes[half + i].of[lane]) + zero) << 4);
}

/// [scale f16][32 int8, -127..127]
class Int8 final : public QuantFormat {
public:
  Int8() : QuantFormat("int8", 32, 34, packings::q8_g32_z128_f16) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales, float *) const override {
    scales[0] = load_f16(src);
    for (int i = 0; i < 32; ++i)
      codes[i] = static_cast<uint8_t>(load_u8(src + 2 + i) ^ 128);
  }

  bool can_encode() const override { return true; }
  absl::Status encode_row(const float *src, int64_t n, std::byte *dst) const override {
    GroupFits fits;
    Octet values[32];
    for (int64_t first = 0; first < n; first += kLanes * 32) {
      if (absl::Status status = load_groups(src, first, n, 32, 127 * kMaxF16, values); !status.ok())
        return status;
      fit_symmetric(values, 32, -127, 127, fits);
      for (int lane = 0; lane < groups_from(first, n, 32); ++lane, dst += block_bytes()) {
        store_u16(dst, fits.scale[lane]);
        for (int i = 0; i < 32; ++i)
          dst[2 + i] = static_cast<std::byte>(static_cast<int8_t>(fits.codes[i].of[lane]));
      }
    }
    return absl::OkStatus();
  }

protected:
  FloatScales float_scales() const override { return {0, 1}; }
};

/// [scale f16][min f16, if asymmetric][group/2 bytes of nibbles]
class Int4 final : public QuantFormat {
public:
  Int4(int group, bool symmetric)
      : QuantFormat(absl::StrCat("int4:g", group, symmetric ? ":sym" : ":asym"), group,
                    group / 2 + (symmetric ? 2 : 4),
                    symmetric ? packings::q4_g32_z8_f16 : packings::q4_g32_z0_min_f16),
        symmetric_(symmetric) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales,
                    float *mins) const override {
    // Records of the packing cover 32 inputs: a longer group repeats its scale.
    for (int i = 0; i < block() / 32; ++i) {
      scales[i] = load_f16(src);
      if (!symmetric_)
        mins[i] = load_f16(src + 2);
    }
    unpack_nibbles(src + (symmetric_ ? 2 : 4), block() / 2, codes);
  }

  bool can_encode() const override { return true; }
  absl::Status encode_row(const float *src, int64_t n, std::byte *dst) const override {
    GroupFits fits;
    Octet values[kMaxGroup];
    // A min is as large as the group's least element, whatever the scale reaches.
    const float limit = symmetric_ ? 7 * kMaxF16 : kMaxF16;
    for (int64_t first = 0; first < n; first += kLanes * block()) {
      if (absl::Status status = load_groups(src, first, n, block(), limit, values); !status.ok())
        return status;
      if (symmetric_)
        fit_symmetric(values, block(), -8, 7, fits);
      else
        fit_asymmetric(values, block(), 15, fits);
      for (int lane = 0; lane < groups_from(first, n, block()); ++lane, dst += block_bytes()) {
        store_u16(dst, fits.scale[lane]);
        if (!symmetric_)
          store_u16(dst + 2, fits.min[lane]);
        pack_nibbles(fits.codes, block() / 2, lane, packing().zero_point,
                     dst + (symmetric_ ? 2 : 4));
      }
    }
    return absl::OkStatus();
  }

protected:
  FloatScales float_scales() const override { return {0, symmetric_ ? 1 : 2}; }

private:
  bool symmetric_;
};

/// A row: [d f32][dmin f32], and blocks of 32: [s u8][m u8][16 bytes of nibbles]
///
/// A scale and a min in a byte each, 4.5 bits a weight together, lose less than one f16 scale
/// without a min, and less than six bits each beside an f16 pair for 256 weights, as Q4_K has them:
/// the eight bits are fine enough for a whole row (docs/decisions/0010-int4-of-two-levels.md).
class TwoLevelInt4 final : public QuantFormat {
public:
  TwoLevelInt4() : QuantFormat("int4", 32, 18, packings::q4_g32_z0_min_u8_row, 8) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales,
                    float *mins) const override {
    scales[0] = static_cast<float>(load_u8(src));
    mins[0] = static_cast<float>(load_u8(src + 1));
    unpack_nibbles(src + 2, 16, codes);
  }

  SuperScales super_scales(const std::byte *row, const std::byte *) const override {
    SuperScales super;
    std::memcpy(&super.scale, row, 4);
    std::memcpy(&super.min, row + 4, 4);
    return super;
  }

  bool can_encode() const override { return true; }
  absl::Status encode_row(const float *src, int64_t n, std::byte *dst) const override {
    const auto tiles = static_cast<size_t>((n + kTile - 1) / kTile);
    std::vector<Octet> values(32 * tiles);
    // The search squares what it is given, and a row's scales are float32: rows of any size are
    // searched as if they were of an ordinary one.
    const int exponent = unusual_exponent(src, n);
    std::vector<float> usual;
    if (exponent != 0) {
      usual.resize(static_cast<size_t>(n));
      std::transform(src, src + n, usual.begin(),
                     [&](float value) { return std::ldexp(value, -exponent); });
    }
    const float *from = exponent == 0 ? src : usual.data();
    for (size_t t = 0; t < tiles; ++t)
      if (absl::Status status =
              load_groups(from, static_cast<int64_t>(t) * kTile, n, 32, kMaxF16, &values[32 * t]);
          !status.ok())
        return status;
    std::vector<ByteFits> fits(tiles);
    SuperScales super = fit_row(values, fits);
    const SuperScales found = super;
    if (exponent != 0)
      super = {std::ldexp(super.scale, exponent), std::ldexp(super.min, exponent)};
    std::memcpy(dst, &super.scale, 4);
    std::memcpy(dst + 4, &super.min, 4);
    dst += header_bytes();
    for (size_t t = 0; t < tiles; ++t) {
      Octet codes[32];
      nearest_codes(&values[32 * t], 32, kHighest, found, fits[t], codes);
      const int groups = groups_from(static_cast<int64_t>(t) * kTile, n, 32);
      for (int lane = 0; lane < groups; ++lane, dst += block_bytes()) {
        dst[0] = static_cast<std::byte>(fits[t].scale.of[lane]);
        dst[1] = static_cast<std::byte>(fits[t].min.of[lane]);
        pack_nibbles(codes, 16, lane, 0, dst + 2);
      }
    }
    return absl::OkStatus();
  }

protected:
  FloatScales float_scales() const override { return {0, 2, ScaleType::F32}; }

private:
  static constexpr int kHighest = 15;
  static constexpr int kTile = 32 * kLanes;

  /// The exponent of the row's largest magnitude where its square is no ordinary float, or nearly
  /// none; else 0. What is smaller than 2^-100 is nothing, and stays so.
  static int unusual_exponent(const float *row, int64_t n) {
    float largest = 0;
    for (int64_t i = 0; i < n; ++i)
      largest = std::max(largest, std::fabs(row[i])); // a NaN is refused later
    const bool usual = largest <= kMaxF16 && largest >= 0x1p-30f;
    return usual || largest < 0x1p-100f || std::isinf(largest) ? 0 : std::ilogb(largest);
  }

  /// Super-scales that the largest scale and min reach with 255, and bytes for each group; then the
  /// super-scales that are best for these bytes, and bytes again.
  static SuperScales fit_row(const std::vector<Octet> &values, std::vector<ByteFits> &fits) {
    std::vector<GroupRanges> ranges(fits.size());
    SuperScales super;
    for (size_t t = 0; t < fits.size(); ++t) {
      fit_ranges(&values[32 * t], 32, kHighest, ranges[t]);
      super.scale = std::max(super.scale, *std::ranges::max_element(ranges[t].scale.of) / 255);
      super.min = std::max(super.min, -*std::ranges::min_element(ranges[t].min.of) / 255);
    }
    const double error = fit_groups(values, super, ranges, fits);
    const SuperScales better = best_for(fits, super);
    std::vector<ByteFits> again(fits.size());
    if (fit_groups(values, better, ranges, again) < error) {
      fits = std::move(again);
      super = better;
    }
    return super;
  }

  /// Returns the row's squared error.
  static double fit_groups(const std::vector<Octet> &values, SuperScales super,
                           const std::vector<GroupRanges> &ranges, std::vector<ByteFits> &fits) {
    double error = 0;
    for (size_t t = 0; t < fits.size(); ++t) {
      fit_bytes(&values[32 * t], 32, kHighest, super, ranges[t], fits[t]);
      for (const float e : fits[t].error.of)
        error += e;
    }
    return error;
  }

  /// Least squares for x = super.scale*(scale*q) - super.min*min over all groups.
  static SuperScales best_for(const std::vector<ByteFits> &fits, SuperScales super) {
    double ss = 0, mm = 0, sm = 0, sx = 0, mx = 0;
    for (const ByteFits &fit : fits)
      for (int lane = 0; lane < kLanes; ++lane) {
        const double scale = fit.scale.of[lane], min = fit.min.of[lane];
        ss += scale * scale * fit.qq.of[lane];
        mm += min * min * 32;
        sm -= scale * min * fit.q.of[lane];
        sx += scale * fit.xq.of[lane];
        mx -= min * fit.x.of[lane];
      }
    const double determinant = ss * mm - sm * sm;
    if (!(determinant > 1e-9 * ss * mm))
      return super;
    const SuperScales best{static_cast<float>((sx * mm - mx * sm) / determinant),
                           static_cast<float>((mx * ss - sx * sm) / determinant)};
    return best.scale > 0 && best.min >= 0 ? best : super;
  }
};

/// [scale f32][min f32, if asymmetric][16 bytes of nibbles, or 32 int8]
///
/// Nothing is quantized to these: they hold what comes in a checkpoint, whose scales may be bf16 or
/// f32 and whose zero points, times a scale, are mins of more than f16's 11 bits.
class WideScales final : public QuantFormat {
public:
  WideScales(std::string name, Packing packing)
      : QuantFormat(std::move(name), 32, 4 * packing.bits + (packing.has_min ? 8 : 4), packing) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales,
                    float *mins) const override {
    std::memcpy(scales, src, 4);
    src += 4;
    if (packing().has_min) {
      std::memcpy(mins, src, 4);
      src += 4;
    }
    if (packing().bits == 4)
      return unpack_nibbles(src, 16, codes);
    for (int i = 0; i < 32; ++i)
      codes[i] = static_cast<uint8_t>(load_u8(src + i) ^ 128);
  }

protected:
  FloatScales float_scales() const override {
    return {0, packing().has_min ? 2 : 1, ScaleType::F32};
  }
};

} // namespace

std::span<const Format *const> int_formats() {
  static const Int8 int8;
  static const TwoLevelInt4 int4;
  static const Int4 g32_sym(32, true), g32_asym(32, false);
  static const Int4 g64_sym(64, true), g64_asym(64, false);
  static const Int4 g128_sym(128, true), g128_asym(128, false);
  static const WideScales int8_f32("int8:sym:f32", packings::q8_g32_z128_f32);
  static const WideScales int8_asym("int8:asym:f32", packings::q8_g32_z128_min_f32);
  static const WideScales int4_f32("int4:g32:sym:f32", packings::q4_g32_z8_f32);
  static const WideScales int4_asym("int4:g32:asym:f32", packings::q4_g32_z0_min_f32);
  static const Format *const formats[] = {&int8,     &int4,      &g32_sym,  &g32_asym,
                                          &g64_sym,  &g64_asym,  &g128_sym, &g128_asym,
                                          &int8_f32, &int8_asym, &int4_f32, &int4_asym};
  return formats;
}

} // namespace quern::formats
