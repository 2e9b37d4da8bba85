// What the quantized formats share: a block is taken apart into codes and scales in one place, and
// decoding and packing both follow from that.
#ifndef QUERN_IR_FORMATS_QUANTFORMAT_H
#define QUERN_IR_FORMATS_QUANTFORMAT_H

#include "ir/formats/Format.h"

#include <algorithm>
#include <cstring>

namespace quern::formats {

inline uint16_t load_u16(const std::byte *at) {
  return static_cast<uint16_t>(std::to_integer<unsigned>(at[0]) | std::to_integer<unsigned>(at[1])
                                                                      << 8);
}
inline float load_f16(const std::byte *at) { return f16_to_f32(load_u16(at)); }
inline void store_u16(std::byte *at, uint16_t value) {
  at[0] = static_cast<std::byte>(value & 255);
  at[1] = static_cast<std::byte>(value >> 8);
}
inline unsigned load_u8(const std::byte *at) { return std::to_integer<unsigned>(*at); }

/// The codes of 2*half elements from `half` bytes, a multiple of 8: low nibbles first, then high
/// nibbles. By words: for all the compiler knows the codes overlap the bytes.
inline void unpack_nibbles(const std::byte *src, int half, uint8_t *codes) {
  constexpr uint64_t kLow = 0x0f0f0f0f0f0f0f0f;
  for (int i = 0; i < half; i += 8) {
    uint64_t bytes;
    std::memcpy(&bytes, src + i, sizeof bytes);
    const uint64_t low = bytes & kLow, high = bytes >> 4 & kLow;
    std::memcpy(codes + i, &low, sizeof low);
    std::memcpy(codes + half + i, &high, sizeof high);
  }
}

/// The codes of 256 elements from 64 bytes: two bits each; byte i of a half of 32 bytes has the
/// elements i, 32 + i, 64 + i and 96 + i of that half's 128, lowest bits first.
inline void unpack_bit_pairs(const std::byte *src, uint8_t *codes) {
  for (int i = 0; i < 256; ++i)
    codes[i] = static_cast<uint8_t>(load_u8(src + i / 128 * 32 + i % 32) >> (i % 128 / 32 * 2) & 3);
}

/// A format whose unpack_block says everything.
class QuantFormat : public Format {
public:
  using Format::Format;

  void decode_row(const std::byte *src, int64_t n, float *dst) const final {
    uint8_t codes[kMaxBlock];
    float scales[kMaxBlock / 16];
    float mins[kMaxBlock / 16];
    const Packing &layout = packing();
    int values[256];
    for (int stored = 0; stored < layout.stored_codes(); ++stored)
      values[stored] = layout.code_of(stored);
    const std::byte *row = src;
    src += header_bytes();
    for (int64_t first = 0; first < n; first += block(), src += block_bytes()) {
      unpack_block(src, codes, scales, mins);
      if (layout.super != 0) {
        const SuperScales super = super_scales(row, src);
        for (int group = 0; group < block() / layout.group; ++group) {
          scales[group] = super.scale * scales[group];
          if (layout.has_min)
            mins[group] = -(super.min * mins[group]);
        }
      }
      const int count = static_cast<int>(std::min<int64_t>(block(), n - first));
      for (int i = 0; i < count; ++i) {
        const int group = i / layout.group;
        const float value =
            scales[group] * static_cast<float>(values[codes[i]] - layout.zero_point);
        dst[first + i] = layout.has_min ? value + mins[group] : value;
      }
    }
  }
};

// The families, each in its own file; Format.cpp makes one table of them.
std::span<const Format *const> float_formats();
std::span<const Format *const> legacy_block_formats();
std::span<const Format *const> k_quant_formats();
std::span<const Format *const> codebook_formats();
std::span<const Format *const> ternary_formats();
std::span<const Format *const> lattice_formats();
std::span<const Format *const> int_formats();
std::span<const Format *const> two_level_formats();
std::span<const Format *const> checkpoint_formats();

} // namespace quern::formats

#endif // QUERN_IR_FORMATS_QUANTFORMAT_H
