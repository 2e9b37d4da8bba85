// GGUF's blocks of 32 with one f16 scale (and min): q4_0, q4_1, q5_0, q5_1, q8_0.
#include "ir/formats/QuantFormat.h"

namespace quern::formats {
namespace {

/// [d f16][m f16, if min][high bits u32, if 5 bits][16 bytes of nibbles], or [d f16][32 int8].
class LegacyBlock final : public QuantFormat {
public:
  LegacyBlock(std::string name, int bits, int block_bytes, Packing packing)
      : QuantFormat(std::move(name), 32, block_bytes, packing), bits_(bits) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales,
                    float *mins) const override {
    scales[0] = load_f16(src);
    src += 2;
    if (packing().has_min) {
      mins[0] = load_f16(src);
      src += 2;
    }
    if (bits_ == 8) { // two's complement to excess-128
      for (int i = 0; i < 32; ++i)
        codes[i] = static_cast<uint8_t>(load_u8(src + i) ^ 128);
      return;
    }
    if (bits_ == 4) {
      unpack_nibbles(src, 16, codes);
      return;
    }
    const uint32_t high = uint32_t{load_u16(src)} | uint32_t{load_u16(src + 2)} << 16;
    unpack_nibbles(src + 4, 16, codes);
    for (int i = 0; i < 32; ++i)
      codes[i] = static_cast<uint8_t>(codes[i] | (high >> i & 1) << 4);
  }

protected:
  FloatScales float_scales() const override { return {0, packing().has_min ? 2 : 1}; }

private:
  int bits_;
};

} // namespace

std::span<const Format *const> legacy_block_formats() {
  static const LegacyBlock q4_0("q4_0", 4, 18, packings::q4_g32_z8_f16);
  static const LegacyBlock q4_1("q4_1", 4, 20, packings::q4_g32_z0_min_f16);
  static const LegacyBlock q5_0("q5_0", 5, 22, packings::q5_g32_z16_f16);
  static const LegacyBlock q5_1("q5_1", 5, 24, packings::q5_g32_z0_min_f16);
  static const LegacyBlock q8_0("q8_0", 8, 34, packings::q8_g32_z128_f16);
  static const Format *const formats[] = {&q4_0, &q4_1, &q5_0, &q5_1, &q8_0};
  return formats;
}

} // namespace quern::formats
