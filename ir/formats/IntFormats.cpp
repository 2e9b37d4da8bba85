// Quern's own integer formats with scales of one level: int8 and int4, scales (and mins) in f16 for
// each group of 32, 64 or 128; and groups of 32 with float32 scales, for what other quantizers
// made.
#include "ir/formats/GroupRows.h"
#include "ir/formats/QuantFormat.h"

#include <absl/strings/str_cat.h>

#include <cstring>

namespace quern::formats {
namespace {

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

} // namespace

std::span<const Format *const> int_formats() {
  static const Int8 int8;
  static const Int4 g32_sym(32, true), g32_asym(32, false);
  static const Int4 g64_sym(64, true), g64_asym(64, false);
  static const Int4 g128_sym(128, true), g128_asym(128, false);
  static const Format *const formats[] = {&int8,     &g32_sym,  &g32_asym, &g64_sym,
                                          &g64_asym, &g128_sym, &g128_asym};
  return formats;
}

} // namespace quern::formats
