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

/// Copies the elements of one group and refuses those no f16 scale can reach. A row's last group
/// may be short: its own elements are repeated to fill it, so that padding hardly weighs in the
/// search.
absl::Status load_group(const float *row, int64_t first, int64_t n, int group, float *values) {
  const int64_t used = std::min<int64_t>(group, n - first);
  for (int i = 0; i < group; ++i) {
    const int64_t index = first + i % used;
    values[i] = row[index];
    if (!std::isfinite(values[i]))
      return absl::InvalidArgumentError(
          absl::StrCat("element ", index, " is ", values[i],
                       ", which has no quantized value; keep this weight in its own format"));
    if (std::fabs(values[i]) > kMaxGroupValue)
      return absl::OutOfRangeError(absl::StrCat(
          "element ", index, " is ", values[i], ", beyond what an f16 scale can reach (",
          kMaxGroupValue, "); keep this weight in bf16 or f32"));
  }
  return absl::OkStatus();
}

/// [scale f16][32 int8, -127..127]
class Int8 final : public QuantFormat {
public:
  Int8() : QuantFormat("int8", 32, 34, quant_packing(8, 32, 128, false, ScaleType::F16)) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales, float *) const override {
    scales[0] = load_f16(src);
    for (int i = 0; i < 32; ++i)
      codes[i] = static_cast<uint8_t>(load_u8(src + 2 + i) ^ 128);
  }

  bool can_encode() const override { return true; }
  absl::Status encode_row(const float *src, int64_t n, std::byte *dst) const override {
    GroupFit fit;
    float values[32];
    for (int64_t first = 0; first < n; first += 32, dst += block_bytes()) {
      if (absl::Status status = load_group(src, first, n, 32, values); !status.ok())
        return status;
      fit_symmetric(values, 32, -127, 127, fit);
      store_u16(dst, fit.scale);
      for (int i = 0; i < 32; ++i)
        dst[2 + i] = static_cast<std::byte>(static_cast<int8_t>(fit.codes[i]));
    }
    return absl::OkStatus();
  }
};

/// [scale f16][min f16, if asymmetric][group/2 bytes of nibbles]
class Int4 final : public QuantFormat {
public:
  Int4(int group, bool symmetric)
      : QuantFormat(absl::StrCat("int4:g", group, symmetric ? ":sym" : ":asym"), group,
                    group / 2 + (symmetric ? 2 : 4),
                    quant_packing(4, 32, symmetric ? 8 : 0, !symmetric, ScaleType::F16)),
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
    GroupFit fit;
    float values[kMaxGroup];
    const int half = block() / 2;
    const int zero = packing().zero_point;
    for (int64_t first = 0; first < n; first += block(), dst += block_bytes()) {
      if (absl::Status status = load_group(src, first, n, block(), values); !status.ok())
        return status;
      std::byte *nibbles = dst + 2;
      if (symmetric_) {
        fit_symmetric(values, block(), -8, 7, fit);
      } else {
        fit_asymmetric(values, block(), 15, fit);
        store_u16(nibbles, fit.min);
        nibbles += 2;
      }
      store_u16(dst, fit.scale);
      for (int i = 0; i < half; ++i)
        nibbles[i] = static_cast<std::byte>((static_cast<int>(fit.codes[i]) + zero) |
                                            (static_cast<int>(fit.codes[half + i]) + zero) << 4);
    }
    return absl::OkStatus();
  }

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
  TwoLevelInt4()
      : QuantFormat("int4", 32, 18, quant_packing(4, 32, 0, true, ScaleType::U8, kWholeRow), 8) {}

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
    const auto groups = static_cast<size_t>((n + 31) / 32);
    std::vector<float> values(32 * groups);
    for (size_t g = 0; g < groups; ++g)
      if (absl::Status status =
              load_group(src, static_cast<int64_t>(32 * g), n, 32, &values[32 * g]);
          !status.ok())
        return status;
    std::vector<ByteFit> fits(groups);
    const SuperScales super = fit_row(values, fits);
    std::memcpy(dst, &super.scale, 4);
    std::memcpy(dst + 4, &super.min, 4);
    dst += header_bytes();
    for (size_t g = 0; g < groups; ++g, dst += block_bytes()) {
      float codes[32];
      nearest_codes(&values[32 * g], 32, super.scale * static_cast<float>(fits[g].scale),
                    -(super.min * static_cast<float>(fits[g].min)), kHighest, codes);
      dst[0] = static_cast<std::byte>(fits[g].scale);
      dst[1] = static_cast<std::byte>(fits[g].min);
      for (int i = 0; i < 16; ++i)
        dst[2 + i] = static_cast<std::byte>(static_cast<int>(codes[i]) |
                                            static_cast<int>(codes[16 + i]) << 4);
    }
    return absl::OkStatus();
  }

private:
  static constexpr int kHighest = 15;

  static float inverse(float x) { return x == 0 ? 0 : 1 / x; }

  /// Super-scales that the largest scale and min reach with 255, bytes for each group; then the
  /// super-scales that are best for these bytes, and bytes again.
  static SuperScales fit_row(const std::vector<float> &values, std::vector<ByteFit> &fits) {
    std::vector<GroupRange> ranges(fits.size());
    SuperScales super;
    for (size_t g = 0; g < fits.size(); ++g) {
      ranges[g] = fit_range(&values[32 * g], 32, kHighest);
      super.scale = std::max(super.scale, ranges[g].scale / 255);
      super.min = std::max(super.min, -ranges[g].min / 255);
    }
    for (size_t g = 0; g < fits.size(); ++g) {
      fits[g].scale = static_cast<int>(ranges[g].scale * inverse(super.scale) + 0.5f);
      fits[g].min = static_cast<int>(-ranges[g].min * inverse(super.min) + 0.5f);
    }
    const double error = fit_groups(values, super, fits);
    const SuperScales better = best_for(fits, super);
    std::vector<ByteFit> again = fits;
    if (fit_groups(values, better, again) < error) {
      fits = std::move(again);
      super = better;
    }
    return super;
  }

  /// Bytes near those there are; returns the row's squared error.
  static double fit_groups(const std::vector<float> &values, SuperScales super,
                           std::vector<ByteFit> &fits) {
    double error = 0;
    for (size_t g = 0; g < fits.size(); ++g) {
      fits[g] = fit_bytes(&values[32 * g], 32, kHighest, super, fits[g]);
      error += fits[g].error;
    }
    return error;
  }

  /// Least squares for x = super.scale*(scale*q) - super.min*min over all groups.
  static SuperScales best_for(const std::vector<ByteFit> &fits, SuperScales super) {
    double ss = 0, mm = 0, sm = 0, sx = 0, mx = 0;
    for (const ByteFit &fit : fits) {
      const double scale = fit.scale, min = fit.min;
      ss += scale * scale * fit.qq;
      mm += min * min * 32;
      sm -= scale * min * fit.q;
      sx += scale * fit.xq;
      mx -= min * fit.x;
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
  WideScales(std::string name, int bits, bool symmetric)
      : QuantFormat(std::move(name), 32, 4 * bits + (symmetric ? 4 : 8),
                    quant_packing(bits, 32,
                                  bits == 8   ? 128
                                  : symmetric ? 8
                                              : 0,
                                  !symmetric, ScaleType::F32)) {}

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
};

} // namespace

std::span<const Format *const> int_formats() {
  static const Int8 int8;
  static const TwoLevelInt4 int4;
  static const Int4 g32_sym(32, true), g32_asym(32, false);
  static const Int4 g64_sym(64, true), g64_asym(64, false);
  static const Int4 g128_sym(128, true), g128_asym(128, false);
  static const WideScales int8_f32("int8:sym:f32", 8, true), int8_asym("int8:asym:f32", 8, false);
  static const WideScales int4_f32("int4:g32:sym:f32", 4, true);
  static const WideScales int4_asym("int4:g32:asym:f32", 4, false);
  static const Format *const formats[] = {&int8,     &int4,      &g32_sym,  &g32_asym,
                                          &g64_sym,  &g64_asym,  &g128_sym, &g128_asym,
                                          &int8_f32, &int8_asym, &int4_f32, &int4_asym};
  return formats;
}

} // namespace quern::formats
