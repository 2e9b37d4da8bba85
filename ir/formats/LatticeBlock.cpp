#include "ir/formats/LatticeBlock.h"

#include "ir/formats/PackedRow.h"

#include <cstring>

namespace quern::formats {
namespace {

void or_into(std::byte *at, uint32_t bits) { *at |= static_cast<std::byte>(bits); }

/// The signs of record `index` as a lane stores them.
uint32_t stored_signs(const LatticeBlock &block, int index) {
  uint32_t signs = 0;
  for (int k = 0; k < kRecordInputs; ++k) {
    const uint32_t negative = block.signs[index * 4 + k / 8] >> k % 8 & 1u;
    signs |= negative << (8 * (k % 4) + k / 4);
  }
  return signs;
}

/// What is left of the places of record `index`.
uint32_t others_of(const Lattice &lattice, const LatticeBlock &block, int index) {
  const int places = kRecordInputs / lattice.inputs, bits = lattice.place_bits - 8;
  uint32_t others = 0;
  for (int i = 0; i < places; ++i)
    others |= static_cast<uint32_t>(block.places[index * places + i]) >> 8 << bits * i;
  return others;
}

void store_run_scale(const Lattice &lattice, int groups, int group, int lane, uint32_t scale,
                     std::byte *at) {
  if (lattice.scales == OddScales::Nibbles) {
    or_into(at + kPanelLanes * (group % (groups / 2)) + lane, scale << group / (groups / 2) * 4);
  } else if (lattice.scales == OddScales::Triples) {
    or_into(at + kPanelLanes * (group % 4) + lane, (scale & 3) << group / 4 * 2);
    or_into(at + kPanelLanes * (4 + group % 2) + lane, scale >> 2 << group / 2);
  }
}

} // namespace

void lattice_block_codes(const Packing &packing, const LatticeBlock &block, uint8_t *codes) {
  const Lattice lattice = packing.lattice();
  for (int k = 0; k < LatticeBlock::kInputs; k += 4) {
    uint32_t four =
        lattice_magnitudes(packing.codebook, block.places[k / lattice.inputs], k % lattice.inputs);
    if (lattice.is_ternary())
      four += block.down[k / 8] ? 0 : kEighthUp;
    else
      four = signed_codes(packing.zero_point, four,
                          spread_signs(static_cast<uint32_t>(block.signs[k / 8] >> k % 8)), 0);
    std::memcpy(codes + k, &four, sizeof four);
  }
}

void store_lattice_block(const Packing &packing, const LatticeBlock &block, int lane, int records,
                         std::byte *first, int64_t stride, std::byte *run_scales) {
  const Lattice lattice = packing.lattice();
  const int groups = packing.groups(), places = kRecordInputs / lattice.inputs;
  for (int index = 0; index < records; ++index) {
    std::byte *record = first + index * stride;
    for (int i = 0; i < places; ++i)
      record[kPanelLanes * i + lane] = static_cast<std::byte>(block.places[index * places + i]);
    const uint32_t scale = block.scales[index * groups];
    uint32_t others = others_of(lattice, block, index);
    if (lattice.signs != Signs::None) {
      uint32_t signs = stored_signs(block, index);
      if (lattice.signs == Signs::Even) {
        const uint32_t spare = lattice.scales == OddScales::Spare ? scale : others;
        signs = (signs & ~with_spare_bits(15)) | with_spare_bits(spare);
      }
      std::memcpy(record + lattice.signs_at() + 4 * lane, &signs, sizeof signs);
    }
    if (lattice.scales == OddScales::Others)
      others |= scale << 12 | (block.down[index * 4] ? 1u << 15 : 0u);
    else if (lattice.is_ternary())
      for (int i = 0; i < 4; ++i)
        others |= (block.down[index * 4 + i] ? 1u : 0u) << (12 + i);
    std::memcpy(record + lattice.others_at() + lattice.others_width() * lane, &others,
                static_cast<size_t>(lattice.others_width()));
    for (int group = 0; group < groups; ++group)
      store_run_scale(lattice, packing.super / packing.group, index * groups + group, lane,
                      block.scales[index * groups + group], run_scales);
  }
}

} // namespace quern::formats
