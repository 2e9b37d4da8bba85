// GGUF's ternary super-blocks of 256 with one f16 scale: tq1_0 (five elements a byte) and tq2_0
// (four).
//
// A trit is 0, 1 or 2 and means -1, 0 or 1. tq2_0's two bits can also say 3, which means 2. All fit
// the codes 7..10 around q4.g32.z8.f16's zero point; the one scale is repeated for each 32.
#include "ir/formats/QuantFormat.h"

namespace quern::formats {
namespace {

class Ternary : public QuantFormat {
public:
  Ternary(std::string name, int block_bytes)
      : QuantFormat(std::move(name), 256, block_bytes,
                    quant_packing(4, 32, 8, false, ScaleType::F16)) {}

protected:
  static uint8_t code_of(unsigned trit) { return static_cast<uint8_t>(trit + 7); }
  static void repeat_scale(const std::byte *at, float *scales) {
    std::fill(scales, scales + 8, load_f16(at));
  }
};

/// [32 bytes: elements 0-159][16 bytes: 160-239][4 bytes: 240-255][d f16]
///
/// A byte is a fraction of 256 whose digits to base 3 are its trits: tripling it moves the next one
/// over the point. Byte i of a run of w bytes has the elements i, w + i, 2w + i, ...
class TQ1_0 final : public Ternary {
public:
  TQ1_0() : Ternary("tq1_0", 54) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales, float *) const override {
    unpack_run(src, 32, 5, codes);
    unpack_run(src + 32, 16, 5, codes + 160);
    unpack_run(src + 48, 4, 4, codes + 240);
    repeat_scale(src + 52, scales);
  }

protected:
  FloatScales float_scales() const override { return {52, 1}; }

private:
  static void unpack_run(const std::byte *src, int bytes, int digits, uint8_t *codes) {
    for (int i = 0; i < bytes; ++i) {
      unsigned fraction = load_u8(src + i);
      for (int digit = 0; digit < digits; ++digit) {
        fraction *= 3;
        codes[digit * bytes + i] = code_of(fraction >> 8);
        fraction &= 255;
      }
    }
  }
};

/// [64 bytes of bit pairs][d f16]
class TQ2_0 final : public Ternary {
public:
  TQ2_0() : Ternary("tq2_0", 66) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales, float *) const override {
    unpack_bit_pairs(src, codes);
    for (int i = 0; i < 256; ++i)
      codes[i] = code_of(codes[i]);
    repeat_scale(src + 64, scales);
  }

protected:
  FloatScales float_scales() const override { return {64, 1}; }
};

} // namespace

std::span<const Format *const> ternary_formats() {
  static const TQ1_0 tq1_0;
  static const TQ2_0 tq2_0;
  static const Format *const formats[] = {&tq1_0, &tq2_0};
  return formats;
}

} // namespace quern::formats
