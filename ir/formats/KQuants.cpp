// GGUF's super-blocks of 256: q2_k (4-bit scales and mins for each 16), q3_k (6-bit scales for each
// 16), q4_k, q5_k (6-bit scales and mins for each 32) and q6_k (int8 scales for each 16).
#include "ir/formats/QuantFormat.h"

namespace quern::formats {
namespace {

/// [16 bytes: scale low, min high][64 bytes of bit pairs][d f16][dmin f16]
class Q2K final : public QuantFormat {
public:
  Q2K() : QuantFormat("q2_k", 256, 84, packings::q2_g16_z0_min_u4_s256) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales,
                    float *mins) const override {
    for (int i = 0; i < 16; ++i) {
      scales[i] = static_cast<float>(load_u8(src + i) & 15);
      mins[i] = static_cast<float>(load_u8(src + i) >> 4);
    }
    unpack_bit_pairs(src + 16, codes);
  }

  SuperScales super_scales(const std::byte *, const std::byte *src) const override {
    return {.scale = load_f16(src + 80), .min = load_f16(src + 82)};
  }

protected:
  FloatScales float_scales() const override { return {80, 2}; }
};

/// [32 bytes of third bits][64 bytes of bit pairs][12 bytes of scales][d f16]
///
/// A code is 0..7, less 4. Scales are six bits, less 32: low nibbles in bytes 0-7 (eight low, then
/// eight high), top bit pairs in bytes 8-11 (four lowest, and so on).
class Q3K final : public QuantFormat {
public:
  Q3K() : QuantFormat("q3_k", 256, 110, packings::q3_g16_z4_i6_s256) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales, float *) const override {
    unpack_bit_pairs(src + 32, codes);
    for (int i = 0; i < 256; ++i) { // bit g of byte i belongs to element 32*g + i
      const unsigned third = load_u8(src + i % 32) >> (i / 32) & 1;
      codes[i] = static_cast<uint8_t>(codes[i] | third << 2);
    }
    const std::byte *packed = src + 96;
    for (int i = 0; i < 16; ++i) {
      const unsigned low = load_u8(packed + i % 8) >> (i / 8 * 4) & 15;
      const unsigned high = load_u8(packed + 8 + i % 4) >> (i / 4 * 2) & 3;
      scales[i] = static_cast<float>(static_cast<int>(low | high << 4) - 32);
    }
  }

  SuperScales super_scales(const std::byte *, const std::byte *src) const override {
    return {.scale = load_f16(src + 108)};
  }

protected:
  FloatScales float_scales() const override { return {108, 1}; }
};

/// The 12 bytes of eight 6-bit scales and eight 6-bit mins. The first four of each are the low six
/// bits of bytes 0-3 and 4-7; the last four have their low nibbles in bytes 8-11 (scale low, min
/// high) and their two top bits in the top bits of bytes 0-3 and 4-7.
void unpack_scales_and_mins(const std::byte *src, float *scales, float *mins) {
  for (int i = 0; i < 4; ++i) {
    const unsigned a = load_u8(src + i), b = load_u8(src + 4 + i), c = load_u8(src + 8 + i);
    scales[i] = static_cast<float>(a & 63);
    mins[i] = static_cast<float>(b & 63);
    scales[4 + i] = static_cast<float>((c & 15) | (a >> 6) << 4);
    mins[4 + i] = static_cast<float>(c >> 4 | (b >> 6) << 4);
  }
}

/// [d f16][dmin f16][12 bytes: scales, mins][32 bytes of fifth bits, if 5 bits][128 bytes of
/// nibbles]
class ScaleMinSuperblock final : public QuantFormat {
public:
  ScaleMinSuperblock(std::string name, int bits, int block_bytes, Packing packing)
      : QuantFormat(std::move(name), 256, block_bytes, packing), bits_(bits) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales,
                    float *mins) const override {
    unpack_scales_and_mins(src + 4, scales, mins);
    src += 16;
    const std::byte *fifth = src;
    if (bits_ == 5)
      src += 32;
    for (int chunk = 0; chunk < 4; ++chunk) // 64 elements from 32 bytes
      unpack_nibbles(src + 32 * chunk, 32, codes + 64 * chunk);
    if (bits_ == 5) // bit g of byte i belongs to element i of group g
      for (int i = 0; i < 256; ++i)
        codes[i] = static_cast<uint8_t>(codes[i] | (load_u8(fifth + i % 32) >> (i / 32) & 1) << 4);
  }

  SuperScales super_scales(const std::byte *, const std::byte *src) const override {
    return {.scale = load_f16(src), .min = load_f16(src + 2)};
  }

protected:
  FloatScales float_scales() const override { return {0, 2}; }

private:
  int bits_;
};

/// [128 bytes of low nibbles][64 bytes of high bit pairs][16 int8 scales][d f16]
class Q6K final : public QuantFormat {
public:
  Q6K() : QuantFormat("q6_k", 256, 210, packings::q6_g16_z32_i8_s256) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales, float *) const override {
    for (int half = 0; half < 2; ++half) {
      const std::byte *low = src + 64 * half;
      const std::byte *high = src + 128 + 32 * half;
      uint8_t *out = codes + 128 * half;
      unpack_nibbles(low, 64, out);
      for (int i = 0; i < 128; ++i)
        out[i] = static_cast<uint8_t>(out[i] | (load_u8(high + i % 32) >> (i / 32 * 2) & 3) << 4);
    }
    for (int i = 0; i < 16; ++i)
      scales[i] = static_cast<float>(static_cast<int8_t>(load_u8(src + 192 + i)));
  }

  SuperScales super_scales(const std::byte *, const std::byte *src) const override {
    return {.scale = load_f16(src + 208)};
  }

protected:
  FloatScales float_scales() const override { return {208, 1}; }
};

} // namespace

std::span<const Format *const> k_quant_formats() {
  static const Q2K q2_k;
  static const Q3K q3_k;
  static const ScaleMinSuperblock q4_k("q4_k", 4, 144, packings::q4_g32_z0_min_u8_s256);
  static const ScaleMinSuperblock q5_k("q5_k", 5, 176, packings::q5_g32_z0_min_u8_s256);
  static const Q6K q6_k;
  static const Format *const formats[] = {&q2_k, &q3_k, &q4_k, &q5_k, &q6_k};
  return formats;
}

} // namespace quern::formats
