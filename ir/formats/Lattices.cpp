// GGUF's formats whose codes are points of lattices, super-blocks of 256 with one f16 scale: iq1_s,
// iq1_m, iq2_xxs, iq2_xs, iq2_s, iq3_xxs and iq3_s.
//
// Scales are odd numbers. Everything but a weight's sum of two levels is exact in float32: a
// product of an f16 and of integers that have ten bits together.
#include "ir/formats/LatticeBlock.h"
#include "ir/formats/QuantFormat.h"

namespace quern::formats {
namespace {

unsigned load_u32(const std::byte *at) { return load_u16(at) | unsigned{load_u16(at + 2)} << 16; }
/// The seven bits of even signs with their eighth.
unsigned eight_signs(unsigned seven) {
  return seven | (__builtin_popcount(seven) % 2 != 0 ? 128u : 0u);
}
unsigned nibble(const std::byte *at, int index) {
  return load_u8(at + index / 2) >> index % 2 * 4 & 15;
}

class LatticeFormat : public QuantFormat {
public:
  LatticeFormat(std::string name, int block_bytes, Packing packing)
      : QuantFormat(std::move(name), LatticeBlock::kInputs, block_bytes, packing) {}

  void unpack_block(const std::byte *src, uint8_t *codes, float *scales, float *) const final {
    LatticeBlock block;
    unpack_places(src, block);
    lattice_block_codes(packing(), block, codes);
    for (int group = 0; group < LatticeBlock::kInputs / packing().group; ++group)
      scales[group] = packing().lattice().unit * static_cast<float>(2 * block.scales[group] + 1);
  }
  SuperScales super_scales(const std::byte *, const std::byte *src) const override {
    return {.scale = load_f16(src)};
  }

protected:
  FloatScales float_scales() const override { return {0, 1}; }
};

/// [d f16][eight times 8 bytes: four places u8; u32: four times seven signs, scale]
class IQ2XXS final : public LatticeFormat {
public:
  IQ2XXS() : LatticeFormat("iq2_xxs", 66, packings::iq2xxs_g32_z128_odd_s256) {}

  void unpack_places(const std::byte *src, LatticeBlock &block) const override {
    for (int group = 0; group < 8; ++group) {
      const std::byte *at = src + 2 + 8 * group;
      const unsigned signs = load_u32(at + 4);
      for (int i = 0; i < 4; ++i) {
        block.places[4 * group + i] = static_cast<uint16_t>(load_u8(at + i));
        block.signs[4 * group + i] = static_cast<uint8_t>(eight_signs(signs >> 7 * i & 127));
      }
      block.scales[group] = static_cast<uint8_t>(signs >> 28);
    }
  }
};

/// [d f16][32 u16: place of nine bits, seven signs][16 scales of four bits]
class IQ2XS final : public LatticeFormat {
public:
  IQ2XS() : LatticeFormat("iq2_xs", 74, packings::iq2xs_g16_z128_odd_s256) {}

  void unpack_places(const std::byte *src, LatticeBlock &block) const override {
    for (int i = 0; i < 32; ++i) {
      const unsigned both = load_u16(src + 2 + 2 * i);
      block.places[i] = static_cast<uint16_t>(both & 511);
      block.signs[i] = static_cast<uint8_t>(eight_signs(both >> 9));
    }
    for (int group = 0; group < 16; ++group)
      block.scales[group] = static_cast<uint8_t>(nibble(src + 66, group));
  }
};

/// [d f16][32 places, lowest bytes][32 bytes of signs][their ninth and tenth bits: 8 bytes][16
/// scales of four bits]
class IQ2S final : public LatticeFormat {
public:
  IQ2S() : LatticeFormat("iq2_s", 82, packings::iq2s_g16_z128_odd_s256) {}

  void unpack_places(const std::byte *src, LatticeBlock &block) const override {
    for (int i = 0; i < 32; ++i) {
      const unsigned high = load_u8(src + 66 + i / 4) >> i % 4 * 2 & 3;
      block.places[i] = static_cast<uint16_t>(load_u8(src + 2 + i) | high << 8);
      block.signs[i] = static_cast<uint8_t>(load_u8(src + 34 + i));
    }
    for (int group = 0; group < 16; ++group)
      block.scales[group] = static_cast<uint8_t>(nibble(src + 74, group));
  }
};

/// [d f16][64 places u8][eight u32: four times seven signs, scale]
class IQ3XXS final : public LatticeFormat {
public:
  IQ3XXS() : LatticeFormat("iq3_xxs", 98, packings::iq3xxs_g32_z128_odd_s256) {}

  void unpack_places(const std::byte *src, LatticeBlock &block) const override {
    for (int i = 0; i < 64; ++i)
      block.places[i] = static_cast<uint16_t>(load_u8(src + 2 + i));
    for (int group = 0; group < 8; ++group) {
      const unsigned signs = load_u32(src + 66 + 4 * group);
      for (int i = 0; i < 4; ++i)
        block.signs[4 * group + i] = static_cast<uint8_t>(eight_signs(signs >> 7 * i & 127));
      block.scales[group] = static_cast<uint8_t>(signs >> 28);
    }
  }
};

/// [d f16][64 places, lowest bytes][their ninth bits: 8 bytes][32 bytes of signs][8 scales of four
/// bits]
class IQ3S final : public LatticeFormat {
public:
  IQ3S() : LatticeFormat("iq3_s", 110, packings::iq3s_g32_z15_odd_s256) {}

  void unpack_places(const std::byte *src, LatticeBlock &block) const override {
    for (int i = 0; i < 64; ++i) {
      const unsigned high = load_u8(src + 66 + i / 8) >> i % 8 & 1;
      block.places[i] = static_cast<uint16_t>(load_u8(src + 2 + i) | high << 8);
    }
    for (int i = 0; i < 32; ++i)
      block.signs[i] = static_cast<uint8_t>(load_u8(src + 74 + i));
    for (int group = 0; group < 8; ++group)
      block.scales[group] = static_cast<uint8_t>(nibble(src + 106, group));
  }
};

/// [d f16][32 places, lowest bytes][eight u16: four times three bits more, scale of three bits,
/// whether places are moved down]
class IQ1S final : public LatticeFormat {
public:
  IQ1S() : LatticeFormat("iq1_s", 50, packings::iq1s_g32_z9_odd_s256) {}

  void unpack_places(const std::byte *src, LatticeBlock &block) const override {
    for (int i = 0; i < 32; ++i) {
      const unsigned others = load_u16(src + 34 + i / 4 * 2);
      const unsigned high = others >> i % 4 * 3 & 7;
      block.places[i] = static_cast<uint16_t>(load_u8(src + 2 + i) | high << 8);
      block.down[i] = others >> 15 != 0;
      block.scales[i / 4] = static_cast<uint8_t>(others >> 12 & 7);
    }
  }
};

/// [32 places, lowest bytes][32 nibbles: three bits more, whether the place is moved down][four
/// u16: four scales of three bits, a nibble of d f16]
class IQ1M final : public LatticeFormat {
public:
  IQ1M() : LatticeFormat("iq1_m", 56, packings::iq1m_g16_z9_odd_s256) {}

  void unpack_places(const std::byte *src, LatticeBlock &block) const override {
    for (int i = 0; i < 32; ++i) {
      const unsigned others = nibble(src + 32, i);
      block.places[i] = static_cast<uint16_t>(load_u8(src + i) | (others & 7) << 8);
      block.down[i] = others >> 3 != 0;
    }
    for (int group = 0; group < 16; ++group)
      block.scales[group] =
          static_cast<uint8_t>(load_u16(src + 48 + group / 4 * 2) >> group % 4 * 3 & 7);
  }
  SuperScales super_scales(const std::byte *, const std::byte *src) const override {
    return {.scale = f16_to_f32(static_cast<uint16_t>(scale_bits(src)))};
  }
  bool has_finite_scales(const std::byte *src, int64_t n) const override {
    for (int64_t first = 0; first < n; first += block(), src += block_bytes())
      if ((scale_bits(src) & 0x7c00u) == 0x7c00u)
        return false;
    return true;
  }

private:
  static unsigned scale_bits(const std::byte *src) {
    unsigned bits = 0;
    for (int i = 0; i < 4; ++i)
      bits |= unsigned{load_u16(src + 48 + 2 * i)} >> 12 << 4 * i;
    return bits;
  }
};

} // namespace

std::span<const Format *const> lattice_formats() {
  static const IQ1S iq1_s;
  static const IQ1M iq1_m;
  static const IQ2XXS iq2_xxs;
  static const IQ2XS iq2_xs;
  static const IQ2S iq2_s;
  static const IQ3XXS iq3_xxs;
  static const IQ3S iq3_s;
  static const Format *const formats[] = {&iq1_s, &iq1_m,   &iq2_xxs, &iq2_xs,
                                          &iq2_s, &iq3_xxs, &iq3_s};
  return formats;
}

} // namespace quern::formats
