// The scratch memory of a kernel of one token whose workers share the work of a row: what is
// planned and what kernels address.
#ifndef QUERN_PASSES_TARGET_BLOCKSCRATCH_H
#define QUERN_PASSES_TARGET_BLOCKSCRATCH_H

#include "ir/interfaces/AnchorInterface.h"

#include "llvm/Support/MathExtras.h"

namespace quern::target {

/// Where such a kernel leaves partials: rows of `stride` floats, first the totals, then two times
/// kBlocksARound blocks, for the workers fill one half while the other is being read.
struct BlockScratch {
  Partials partials;

  /// Blocks that all workers finish before they go on: bounds the memory, whatever the context.
  static constexpr int64_t kBlocksARound = 16;

  /// Floats a row: its columns padded to a cache line, then the maximum and the sum.
  int64_t stride() const { return static_cast<int64_t>(llvm::alignTo(partials.columns, 16)) + 16; }
  int64_t maxAt() const { return stride() - 16; }
  /// A multiple of 64.
  int64_t bytes() const { return (1 + 2 * kBlocksARound) * partials.rows * stride() * 4; }
};

} // namespace quern::target

#endif // QUERN_PASSES_TARGET_BLOCKSCRATCH_H
