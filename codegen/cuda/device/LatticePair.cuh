// Codes and scales of two neighbouring channels of a lattice's record (ir/formats/Codebook.h), as a
// lane of a tensor core's product has them: their numbers are neighbours, too, and read at once.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_LATTICEPAIR_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_LATTICEPAIR_CUH

#include "codegen/cuda/device/Packings.cuh"

namespace quern {

/// Of channels 2g and 2g + 1 of `record`, which lies in shared memory.
template <Packing P> struct LatticePair {
  static constexpr formats::Lattice kLattice = P.lattice();
  const u8 *record;
  int g;

  /// Their codes of row `row`.
  QN_DEVICE void codes(int row, u32 &first, u32 &second) const {
    constexpr int kBits = kLattice.place_bits - 8;
    constexpr bool kEven = kLattice.signs == formats::Signs::Even;
    const int index = kLattice.inputs == 8 ? row / 2 : row;
    const u32 low = two_bytes(record + kLanes * index);
    uint2 signs{};
    if constexpr (kLattice.signs != formats::Signs::None)
      signs = reinterpret_cast<const uint2 *>(record + kLattice.signs_at())[g];
    u32 places[2] = {low & 255u, low >> 8};
    if constexpr (kBits != 0) {
      constexpr u32 kMask = ((1u << kBits) - 1u) * 0x10001u;
      const u32 both =
          kEven ? formats::spare_bits(signs.x) | formats::spare_bits(signs.y) << 16 : others();
      const u32 high = both >> kBits * index & kMask;
      places[0] |= high << 8 & 0xff00u;
      places[1] |= high >> 8 & 0xff00u;
    }
    const int from = kLattice.inputs == 8 ? row % 2 * 4 : 0;
    first = packed::lattice_magnitudes<P.codebook>(places[0], from);
    second = packed::lattice_magnitudes<P.codebook>(places[1], from);
    if constexpr (kLattice.signs == formats::Signs::None) {
      const u32 down = others() >> formats::down_bit(P.codebook, row) & 0x10001u;
      first += (down & 1u) - 1u & formats::kEighthUp;
      second += (down >> 16) - 1u & formats::kEighthUp;
    } else {
      first = formats::signed_codes(P.zero_point, first,
                                    kEven ? formats::even_signs(signs.x) : signs.x, row);
      second = formats::signed_codes(P.zero_point, second,
                                     kEven ? formats::even_signs(signs.y) : signs.y, row);
    }
  }

  /// Their scales in group `group` of a run, whose own scales lie at `run`: odd numbers.
  QN_DEVICE float2 scales(const u8 *run, int group) const {
    constexpr int kGroups = P.super / P.group;
    u32 two; // numbers of 16 bits
    if constexpr (kLattice.scales == formats::OddScales::Spare) {
      const uint2 signs = reinterpret_cast<const uint2 *>(record + kLattice.signs_at())[g];
      two = formats::spare_bits(signs.x) | formats::spare_bits(signs.y) << 16;
    } else if constexpr (kLattice.scales == formats::OddScales::Others) {
      two = others() >> 12 & 0x70007u;
    } else if constexpr (kLattice.scales == formats::OddScales::Nibbles) {
      two = apart(two_bytes(run + kLanes * (group % (kGroups / 2))) >> group / (kGroups / 2) * 4 &
                  0x0f0fu);
    } else {
      const u32 low = two_bytes(run + kLanes * (group % 4)) >> group / 4 * 2 & 0x0303u;
      const u32 high = two_bytes(run + kLanes * (4 + group % 2)) >> group / 2 & 0x0101u;
      two = apart(low | high << 2);
    }
    two = 2u * two + 0x10001u;
    return {static_cast<float>(two & 0xffffu), static_cast<float>(two >> 16)};
  }

private:
  QN_DEVICE u32 two_bytes(const u8 *at) const { return reinterpret_cast<const u16 *>(at)[g]; }
  QN_DEVICE static u32 apart(u32 bytes) { return (bytes | bytes << 8) & 0x00ff00ffu; }
  /// What is left of the channels' places, 16 bits each.
  QN_DEVICE u32 others() const {
    const u8 *at = record + kLattice.others_at();
    if constexpr (kLattice.others_width() == 1)
      return apart(two_bytes(at));
    else
      return reinterpret_cast<const u32 *>(at)[g];
  }
};

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_LATTICEPAIR_CUH
