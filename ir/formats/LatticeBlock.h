// A channel's 256 inputs as points of a lattice, taken apart as GGUF's formats and the packings'
// records both can be.
#ifndef QUERN_IR_FORMATS_LATTICEBLOCK_H
#define QUERN_IR_FORMATS_LATTICEBLOCK_H

#include "ir/formats/PackingLayout.h"

#include <cstddef>
#include <cstdint>

namespace quern::formats {

struct LatticeBlock {
  static constexpr int kInputs = 256, kRecords = kInputs / kRecordInputs;

  uint16_t places[kInputs / 4] = {}; ///< of each 8 inputs, or each 4
  uint8_t signs[kInputs / 8] = {};   ///< bit i of a byte: whether input i of 8 is negative
  bool down[kInputs / 8] = {};       ///< whether the place of 8 inputs is moved down
  uint8_t scales[kInputs / 16] = {}; ///< of each group: n of 2 * n + 1
};

/// The block's codes, of the packing's zero point.
void lattice_block_codes(const Packing &packing, const LatticeBlock &block, uint8_t *codes);

/// Writes a channel's block to the records from `first` on, `stride` bytes apart and zeros so far,
/// of the run whose scales, zeros as well, lie at `run_scales`.
void store_lattice_block(const Packing &packing, const LatticeBlock &block, int lane, int records,
                         std::byte *first, int64_t stride, std::byte *run_scales);

} // namespace quern::formats

#endif // QUERN_IR_FORMATS_LATTICEBLOCK_H
