// Where a sequence repeats itself: a model's layers in a bucket's calls.
#ifndef QUERN_PASSES_ORDER_REPEATS_H
#define QUERN_PASSES_ORDER_REPEATS_H

#include "llvm/ADT/ArrayRef.h"

#include <cstddef>
#include <vector>

namespace quern::order {

/// items[first, first + period * count) are the same `period` items `count` times.
struct Repeat {
  size_t first, period, count;

  size_t end() const { return first + period * count; }
  /// Items that need not be written out.
  size_t saved() const { return period * (count - 1); }
  bool operator==(const Repeat &) const = default;
};

/// Repeats of `items` in order, none of which overlap: the one that saves most, then what lies
/// before and behind it in the same way. Of those that save as much, the shortest period counts and
/// then the first. What would save less than `least` is left out. Takes time that grows with the
/// square of the number of items.
std::vector<Repeat> findRepeats(llvm::ArrayRef<unsigned> items, size_t least);

} // namespace quern::order

#endif // QUERN_PASSES_ORDER_REPEATS_H
