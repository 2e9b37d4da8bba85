// GGUF's ternary super-blocks of 256 with one f16 scale: tq1_0 (five elements a byte) and tq2_0
// (four).
//
// A trit is 0, 1 or 2 and means -1, 0 or 1. tq2_0's two bits can also say 3, which means 2. The
// scale is the packing's super-scale, which has nothing to multiply.
#include "ir/formats/QuantFormat.h"

namespace quern::formats {
namespace {

class Ternary : public QuantFormat {
public:
  /// The scale ends a block.
  Ternary(std::string name, int block_bytes, Packing packing)
      : QuantFormat(std::move(name), 256, block_bytes, packing) {}

  SuperScales super_scales(const std::byte *, const std::byte *src) const override {
    return {.scale = load_f16(src + block_bytes() - 2)};
  }

protected:
  static void no_scales(float *scales) { std::fill(scales, scales + 8, 1.0f); }
  FloatScales float_scales() const override { return {block_bytes() - 2, 1}; }
};

/// [32 bytes: elements 0-159][16 bytes: 160-239][4 bytes: 240-255][d f16]
///
/// A byte is a fraction of 256 whose digits to base 3 are its trits: tripling it moves the next one
/// over the point. Byte i of a run of w bytes has the elements i, w + i, 2w + i, ...
class TQ1_0 final : public Ternary {
public:
  TQ1_0() : Ternary("tq1_0", 54, packings::t5_g32_z1_s256) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales, float *) const override {
    unpack_run(src, 32, 5, codes);
    unpack_run(src + 32, 16, 5, codes + 160);
    unpack_run(src + 48, 4, 4, codes + 240);
    no_scales(scales);
  }

private:
  static void unpack_run(const std::byte *src, int bytes, int digits, uint8_t *codes) {
    for (int i = 0; i < bytes; ++i) {
      unsigned fraction = load_u8(src + i);
      for (int digit = 0; digit < digits; ++digit) {
        fraction *= 3;
        codes[digit * bytes + i] = static_cast<uint8_t>(fraction >> 8);
        fraction &= 255;
      }
    }
  }
};

/// [64 bytes of bit pairs][d f16]
class TQ2_0 final : public Ternary {
public:
  TQ2_0() : Ternary("tq2_0", 66, packings::q2_g32_z1_s256) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales, float *) const override {
    unpack_bit_pairs(src, codes);
    no_scales(scales);
  }
};

} // namespace

std::span<const Format *const> ternary_formats() {
  static const TQ1_0 tq1_0;
  static const TQ2_0 tq2_0;
  static const Format *const formats[] = {&tq1_0, &tq2_0};
  return formats;
}

} // namespace quern::formats
