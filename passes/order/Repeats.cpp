// See Repeats.h.
#include "passes/order/Repeats.h"

#include <algorithm>
#include <optional>

namespace quern::order {
namespace {

/// The repeat of items[begin, end) that saves most.
std::optional<Repeat> best(llvm::ArrayRef<unsigned> items, size_t begin, size_t end, size_t least) {
  std::optional<Repeat> found;
  size_t most = std::max<size_t>(least, 1) - 1;
  for (size_t period = 1; 2 * period <= end - begin; ++period) {
    // Items that are followed by themselves, a period on: a run of n of them repeats.
    size_t run = 0;
    for (size_t i = begin; i + period < end; ++i) {
      run = items[i] == items[i + period] ? run + 1 : 0;
      const size_t saved = run / period * period;
      if (saved <= most)
        continue;
      most = saved;
      found = Repeat{i + 1 - run, period, saved / period + 1};
    }
  }
  return found;
}

void collect(llvm::ArrayRef<unsigned> items, size_t begin, size_t end, size_t least,
             std::vector<Repeat> &repeats) {
  const std::optional<Repeat> found = best(items, begin, end, least);
  if (!found)
    return;
  collect(items, begin, found->first, least, repeats);
  repeats.push_back(*found);
  collect(items, found->end(), end, least, repeats);
}

} // namespace

std::vector<Repeat> findRepeats(llvm::ArrayRef<unsigned> items, size_t least) {
  std::vector<Repeat> repeats;
  collect(items, 0, items.size(), least, repeats);
  return repeats;
}

} // namespace quern::order
