// The memory that a dispatch touches, found from what its kernel does to its operands and from
// where these were planned.
#ifndef QUERN_PASSES_ORDER_ACCESSES_H
#define QUERN_PASSES_ORDER_ACCESSES_H

#include "passes/analysis/Buffers.h"
#include "passes/analysis/Calls.h"

#include <string>
#include <vector>

namespace quern::order {

struct Access {
  enum class Space {
    Arena,  ///< that workers share
    Own,    ///< the arena that the worker has of its own
    Output, ///< the entry's result `index`
    Page,   ///< of kv group `index`
    Slot,   ///< the fixed-size state of a sequence
    Size,   ///< the size `index` of the entry, which the model counts
    Chunks  ///< the count of chunks of work that were fetched since the last barrier
  };
  Space space;
  unsigned index = 0;
  int64_t from = 0, to = 0; ///< bytes
  bool write = false;

  /// "bytes 0 to 64 of the arena"
  std::string where() const;
};

/// Whether the two touch the same bytes and one writes. What workers have of their own is apart, so
/// it is the affair of accesses of one worker only, which come one after the other.
bool conflict(const Access &a, const Access &b);

/// All that the call's kernel touches in a step of the bucket and something of which may be
/// written. Fails with a diagnostic where a value that a dispatch reads lies nowhere.
mlir::FailureOr<std::vector<Access>> accessesOf(const Call &call, const BucketShape &shape);

} // namespace quern::order

#endif // QUERN_PASSES_ORDER_ACCESSES_H
