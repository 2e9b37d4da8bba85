// How a streamed product (StreamedProducts.cuh) is cut into work for warps: the arithmetic alone,
// freestanding, for device code and the compiler alike.
//
// A block computes panels of 16 channels, `panels` at a time; the inputs of each are shared by
// kWarps / panels of its warps in units, which lie in memory one after the other and are dealt out
// in turn. All of that follows from the weight's shape, so that the order of a sum does.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_STREAMEDSHAPE_H
#define QUERN_CODEGEN_CUDA_DEVICE_STREAMEDSHAPE_H

#include "ir/formats/PackingTable.h"
#include "runtime/abi/StepArgs.h"

namespace quern {

/// How a product is cut where measuring found better than the rule (tuning/ProductTable.h).
struct StreamedCut {
  int panels = 0;     ///< of a block at a time; 0: the rule's
  int warp_bytes = 0; ///< StreamedShape's; 0: its default

  constexpr bool is_default() const { return panels == 0 && warp_bytes == 0; }
  /// Whether it is one for a product of so many panels.
  constexpr bool fits(int64_t of_panels) const {
    const bool cuts = panels == 0 || panels == 1 || panels == 2 || panels == 4 || panels == 8;
    const bool rings = warp_bytes == 0 || (warp_bytes >= 1024 && warp_bytes <= 65536);
    return cuts && rings && (panels == 0 || of_panels % panels == 0);
  }
};

struct StreamedShape {
  formats::Packing packing;
  int64_t inputs = 0;
  int panels = 1; ///< of a block at a time: 1, 2, 4 or 8
  int rows = 1;   ///< the most that are computed at once: 1, or 8, of which two are not computed
                  ///< as eight are
  /// Bytes of weights that are on their way to a warp, about, where shared memory has room: eight
  /// warps' keep memory busy.
  int warp_bytes = 8192;

  static constexpr int kWarps = 8;
  static constexpr int kLanes = 32;
  /// Inputs that share a scale of the activations.
  static constexpr int kPairInputs = 32;
  /// Shared memory that a block may take on every GPU since the A100, which has more itself: those
  /// of compute capability 8.6, 8.9 and 12.0 have 99 KiB.
  static constexpr int64_t kMostBlockBytes = 99 << 10;

  constexpr bool is_integer() const { return !packing.is_float(); }
  /// Warps that share a panel.
  constexpr int parts() const { return kWarps / panels; }

  // ---- Units of a panel: of quantized weights 4 or 8 pairs of groups of activations, of others
  // four times what a warp loads at once

  constexpr int64_t pairs() const { return packing.padded_inputs(inputs) / kPairInputs; }
  /// Bytes of the record of a pair's inputs.
  constexpr int pair_bytes() const { return packing.record_bytes(); }
  constexpr int unit_pairs() const {
    // Super-scales stand in front of a unit. Else it is the smaller one where warps would have
    // less to do by it, or 8 pairs are so much that a ring of two units takes all shared memory.
    constexpr int64_t kMostUnitBytes = 4096;
    const int64_t many = parts();
    const auto longest = [&](int64_t unit) {
      return ((pairs() + unit - 1) / unit + many - 1) / many * unit;
    };
    const bool small = 8 * pair_bytes() <= kMostUnitBytes;
    return packing.super > 0                   ? packing.super / kPairInputs
           : small && longest(8) <= longest(4) ? 8
                                               : 4;
  }
  /// Inputs that a warp loads at once, of float weights: 16 bytes a lane.
  constexpr int step_inputs() const {
    return kLanes * 16 / (formats::kPanelLanes * packing.element_bytes());
  }
  constexpr int unit_inputs() const {
    return is_integer() ? unit_pairs() * kPairInputs : 4 * step_inputs();
  }
  constexpr int64_t units() const {
    return (packing.padded_inputs(inputs) + unit_inputs() - 1) / unit_inputs();
  }
  /// Bytes in front of a panel's units, in front of a unit's records, and of a unit.
  constexpr int head_bytes() const {
    return packing.super == formats::kWholeRow ? packing.super_bytes() : 0;
  }
  constexpr int unit_head_bytes() const { return packing.super > 0 ? packing.super_bytes() : 0; }
  constexpr int unit_bytes() const {
    return is_integer() ? unit_head_bytes() + unit_pairs() * pair_bytes() : 4 * kLanes * 16;
  }

  // ---- Shared memory of a block: the warps' rings, sums of parts, activations

  /// From a pair to the next where a warp holds them: four pairs' scales lie in different banks.
  /// Where a unit has something in front of it, pairs lie as they are stored.
  constexpr int pair_stride() const {
    return pair_bytes() + (pair_bytes() % 128 == 0 && packing.super <= 0 ? 16 : 0);
  }
  /// Bytes of a unit as a warp holds it, the panel's head in front.
  constexpr int stage_bytes() const {
    return is_integer() ? head_bytes() + unit_head_bytes() + unit_pairs() * pair_stride()
                        : unit_bytes();
  }
  /// Units that a warp holds at a time in so many bytes.
  constexpr int stages_in(int64_t bytes) const {
    const int64_t many = bytes / stage_bytes();
    return many < 2 ? 2 : many > 8 ? 8 : static_cast<int>(many);
  }
  /// ... where rows have taken what they need. That changes no bits: units are added in one order.
  constexpr int stages() const {
    const int64_t left = (product_bytes() - sums_bytes() - rows_bytes()) / kWarps;
    return stages_in(left < warp_bytes ? left : warp_bytes);
  }
  constexpr int ring_bytes() const { return kWarps * stages() * stage_bytes(); }
  /// What rows leave to the rings at least. An A100 needs 1200 bytes a warp on their way to keep
  /// its memory busy, an H200 some 3600.
  constexpr int64_t least_ring_bytes() const {
    const int least = rows == 1 ? 4096 : 3072;
    return kWarps * stages_in(least < warp_bytes ? least : warp_bytes) * stage_bytes();
  }
  /// Shared memory that is the product's: the kernel around it has tiles of its results, two where
  /// it pairs products, and one of what is to be quantized.
  constexpr int64_t product_bytes() const {
    const int tile = rows * (panels < 2 ? 2 : panels) * formats::kPanelLanes * 4;
    return kMostBlockBytes - 3 * tile - 1024;
  }
  /// From a row of a warp's sums to the next, in floats: rows that are written together lie in
  /// different banks.
  static constexpr int kSumsStride = 20;
  constexpr int sums_bytes() const { return kWarps * rows * kSumsStride * 4; }

  /// From a row that is held to the next, where so many are computed at once: codes and pairs, or
  /// floats up to the end of the last unit. Rows that are read together lie in different banks.
  constexpr int64_t row_stride(int together) const {
    if (!is_integer())
      return units() * unit_inputs() * 4;
    const int64_t bytes = pairs() * (kPairInputs + static_cast<int64_t>(sizeof(QuernQ8Pair)));
    return (bytes + 127) / 128 * 128 + (together == 1 ? 0 : 128 / together);
  }
  /// Whether that many rows are held. Others are read where they lie.
  constexpr bool holds_rows(int together) const {
    return together * row_stride(together) + sums_bytes() + least_ring_bytes() <= product_bytes();
  }
  constexpr int64_t rows_bytes() const {
    int64_t most = 0;
    for (const int together : {1, 2, 8})
      if (together <= rows && holds_rows(together) && together * row_stride(together) > most)
        most = together * row_stride(together);
    return most;
  }
  constexpr int64_t shared_bytes() const { return ring_bytes() + sums_bytes() + rows_bytes(); }
  /// Whether a block can have the rings that are asked for, and all else.
  constexpr bool is_possible() const {
    return int64_t{kWarps} * warp_bytes <= product_bytes() && shared_bytes() <= product_bytes();
  }
};

/// The shape for a kernel of so many panels. They are computed one at a time, by all warps, unless
/// blocks have enough of them all the same, or rather many and warps of a panel too few inputs. All
/// are a multiple of those that are computed at a time. `cut`, which fits, says otherwise.
constexpr StreamedShape streamed_shape(formats::Packing packing, int64_t panels, int64_t inputs,
                                       int rows, StreamedCut cut = {}) {
  constexpr int64_t kManyBlocks = 128, kEnoughBlocks = 512;
  StreamedShape shape{.packing = packing, .inputs = inputs, .panels = 1, .rows = rows};
  if (cut.warp_bytes != 0)
    shape.warp_bytes = cut.warp_bytes;
  if (cut.panels != 0) {
    shape.panels = cut.panels;
    return shape;
  }
  while (shape.panels < StreamedShape::kWarps && panels % (2 * shape.panels) == 0 &&
         panels / (2 * shape.panels) >=
             (shape.parts() > shape.units() ? kManyBlocks : kEnoughBlocks))
    shape.panels *= 2;
  return shape;
}

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_STREAMEDSHAPE_H
