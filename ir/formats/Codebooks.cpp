// GGUF's formats whose four bits choose from a table of integers: iq4_nl, iq4_xs, mxfp4 and nvfp4.
//
// The tables (codebook_table) are the packings' too: what is stored stays the four bits.
#include "ir/formats/GroupRows.h"
#include "ir/formats/QuantFormat.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace quern::formats {
namespace {

/// [d f16][16 bytes of nibbles]
class IQ4NL final : public QuantFormat {
public:
  IQ4NL() : QuantFormat("iq4_nl", 32, 18, packings::iq4_g32_z128_f16) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales, float *) const override {
    scales[0] = load_f16(src);
    unpack_nibbles(src + 2, 16, codes);
  }

protected:
  FloatScales float_scales() const override { return {0, 1}; }
};

/// [d f16][eight top bit pairs of scales u16][eight low nibbles of scales][128 bytes of nibbles]
///
/// A scale is six bits, less 32, for each 32 elements.
class IQ4XS final : public QuantFormat {
public:
  IQ4XS() : QuantFormat("iq4_xs", 256, 136, packings::iq4_g32_z128_i8_s256) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales, float *) const override {
    const unsigned high = load_u16(src + 2);
    for (int group = 0; group < 8; ++group) {
      const unsigned low = load_u8(src + 4 + group / 2) >> (group % 2 * 4) & 15;
      const int sub_scale = static_cast<int>(low | (high >> 2 * group & 3) << 4) - 32;
      scales[group] = static_cast<float>(sub_scale);
      unpack_nibbles(src + 8 + 16 * group, 16, codes + 32 * group);
    }
  }

  SuperScales super_scales(const std::byte *, const std::byte *src) const override {
    return {.scale = load_f16(src)};
  }

protected:
  FloatScales float_scales() const override { return {0, 1}; }
};

/// [exponent u8][16 bytes of nibbles]
///
/// The scale is 2^(exponent - 128): the codes are doubled. Of a block of zeros it says nothing, and
/// is made the smallest: kernels multiply it with the zero point.
class MXFP4 final : public QuantFormat {
public:
  MXFP4() : QuantFormat("mxfp4", 32, 17, packings::e2m1_g32_z12_e8m0) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales, float *) const override {
    unpack_nibbles(src + 1, 16, codes);
    const bool zeros = std::all_of(codes, codes + 32, [](uint8_t code) { return code % 8 == 0; });
    scales[0] = __builtin_bit_cast(float, e8m0_bits(zeros ? 0 : load_u8(src)));
  }

  bool can_encode() const override { return true; }
  absl::Status encode_row(const float *src, int64_t n, std::byte *dst) const override {
    constexpr float kLimit = std::numeric_limits<float>::max();
    E2M1Fits fits;
    Octet values[32];
    for (int64_t first = 0; first < n; first += kLanes * 32) {
      if (absl::Status status = load_groups(src, first, n, 32, kLimit, values); !status.ok())
        return status;
      fit_e2m1(values, 32, fits);
      for (int lane = 0; lane < groups_from(first, n, 32); ++lane, dst += block_bytes()) {
        dst[0] = static_cast<std::byte>(fits.scale[lane]);
        for (int i = 0; i < 16; ++i)
          dst[1 + i] = place_of(fits.doubled[i].of[lane]) | place_of(fits.doubled[16 + i].of[lane])
                                                                << 4;
      }
    }
    return absl::OkStatus();
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
  /// The code of a doubled value: its magnitude, and above it the sign.
  static std::byte place_of(float doubled) {
    constexpr uint8_t kPlaces[13] = {0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, 7};
    const uint8_t place = kPlaces[static_cast<int>(std::fabs(doubled))];
    return static_cast<std::byte>(doubled < 0 ? place | 8 : place);
  }
};

/// [four scales u8][four times 8 bytes of nibbles]
///
/// A scale is half of a float of bias 7 without a sign, whose NaN means 0.
class NVFP4 final : public QuantFormat {
public:
  NVFP4() : QuantFormat("nvfp4", 64, 36, packings::e2m1_g16_z12_e4m3) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales, float *) const override {
    for (int group = 0; group < 4; ++group) {
      const unsigned byte = load_u8(src + group);
      scales[group] = byte == 0x7f ? 0 : kE4M3Unit * f16_to_f32(e4m3_as_f16(byte));
      unpack_nibbles(src + 4 + 8 * group, 8, codes + 16 * group);
    }
  }
};

} // namespace

std::span<const Format *const> codebook_formats() {
  static const IQ4NL iq4_nl;
  static const IQ4XS iq4_xs;
  static const MXFP4 mxfp4;
  static const NVFP4 nvfp4;
  static const Format *const formats[] = {&iq4_nl, &iq4_xs, &mxfp4, &nvfp4};
  return formats;
}

} // namespace quern::formats
