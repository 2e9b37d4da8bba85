// GGUF's formats whose four bits choose from a table of integers: iq4_nl, iq4_xs and mxfp4.
//
// The tables' integers are themselves the packed codes, moved by the zero point; so these formats
// are as exact in a linear packing as the linear ones are.
#include "ir/formats/QuantFormat.h"

#include <algorithm>
#include <cmath>

namespace quern::formats {
namespace {

/// iq4's sixteen values: denser around zero, as weights are.
constexpr int kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                1,    13,   25,  38,  53,  69,  89,  113};

/// E2M1's values, doubled (OCP Microscaling Formats 1.0); the scale is halved instead.
constexpr int kE2M1Doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// Replaces `count` indices by what `table` has there, plus `zero_point`.
void look_up(const int (&table)[16], int zero_point, int count, uint8_t *codes) {
  for (int i = 0; i < count; ++i)
    codes[i] = static_cast<uint8_t>(table[codes[i]] + zero_point);
}

/// [d f16][16 bytes of nibbles]
class IQ4NL final : public QuantFormat {
public:
  IQ4NL() : QuantFormat("iq4_nl", 32, 18, quant_packing(8, 32, 128, false, ScaleType::F16)) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales, float *) const override {
    scales[0] = load_f16(src);
    unpack_nibbles(src + 2, 16, codes);
    look_up(kIq4Values, packing().zero_point, 32, codes);
  }

protected:
  FloatScales float_scales() const override { return {0, 1}; }
};

/// [d f16][eight top bit pairs of scales u16][eight low nibbles of scales][128 bytes of nibbles]
///
/// A scale is six bits, less 32, for each 32 elements.
class IQ4XS final : public QuantFormat {
public:
  IQ4XS() : QuantFormat("iq4_xs", 256, 136, quant_packing(8, 32, 128, false, ScaleType::I8, 256)) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales, float *) const override {
    const unsigned high = load_u16(src + 2);
    for (int group = 0; group < 8; ++group) {
      const unsigned low = load_u8(src + 4 + group / 2) >> (group % 2 * 4) & 15;
      const int sub_scale = static_cast<int>(low | (high >> 2 * group & 3) << 4) - 32;
      scales[group] = static_cast<float>(sub_scale);
      unpack_nibbles(src + 8 + 16 * group, 16, codes + 32 * group);
    }
    look_up(kIq4Values, packing().zero_point, 256, codes);
  }

  SuperScales super_scales(const std::byte *, const std::byte *src) const override {
    return {.scale = load_f16(src)};
  }

protected:
  FloatScales float_scales() const override { return {0, 1}; }
};

/// [exponent u8][16 bytes of nibbles]
///
/// The scale is 2^(exponent - 128), which f16 cannot always hold; the packing with f32 scales has
/// groups of 16, so it is stored twice.
class MXFP4 final : public QuantFormat {
public:
  MXFP4() : QuantFormat("mxfp4", 32, 17, quant_packing(8, 16, 32, false, ScaleType::F32)) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales, float *) const override {
    scales[0] = scales[1] = half_power(load_u8(src));
    unpack_nibbles(src + 1, 16, codes);
    look_up(kE2M1Doubled, packing().zero_point, 32, codes);
  }

  /// A scale is always a number; from exponent 253 on some codes' values are beyond float32.
  bool has_finite_scales(const std::byte *src, int64_t n) const override {
    for (int64_t first = 0; first < n; first += block(), src += block_bytes()) {
      float values[32];
      if (load_u8(src) < 253)
        continue;
      const int64_t count = std::min<int64_t>(block(), n - first);
      decode_row(src, count, values);
      if (!std::all_of(values, values + count, [](float x) { return std::isfinite(x); }))
        return false;
    }
    return true;
  }

private:
  /// 2^(exponent - 128); the two smallest are subnormal.
  static float half_power(uint32_t exponent) {
    return __builtin_bit_cast(float, exponent < 2 ? 0x00200000u << exponent : (exponent - 1) << 23);
  }
};

} // namespace

std::span<const Format *const> codebook_formats() {
  static const IQ4NL iq4_nl;
  static const IQ4XS iq4_xs;
  static const MXFP4 mxfp4;
  static const Format *const formats[] = {&iq4_nl, &iq4_xs, &mxfp4};
  return formats;
}

} // namespace quern::formats
