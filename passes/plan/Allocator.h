// Offline allocation: places for buffers whose lifetimes are all known ("dynamic storage
// allocation", strongly NP-hard; Garey and Johnson SR2). No IR here: intervals in, offsets out.
#ifndef QUERN_PASSES_PLAN_ALLOCATOR_H
#define QUERN_PASSES_PLAN_ALLOCATOR_H

#include <cstdint>
#include <span>
#include <vector>

namespace quern::plan {

/// A buffer of `bytes` that is live from step `first` to step `last`, both included.
struct Interval {
  int64_t bytes = 0;
  int64_t first = 0;
  int64_t last = 0;
};

struct Allocation {
  std::vector<int64_t> offsets; ///< of each interval, in the order given
  int64_t bytes = 0;            ///< the arena: no buffer ends above
  int64_t bound = 0;            ///< the most bytes live at one step: no allocation needs less
};

struct AllocatorOptions {
  int64_t alignment = 64; ///< of offsets; sizes count as rounded up to it. A power of two.
  double goal = 1.01;     ///< the search ends when bytes <= goal * bound
  int64_t effort =
      300'000; ///< placements of single buffers that the search may try, if the goal is not
               ///< met by then: a bound on its time, whatever the number of buffers
};

/// The most bytes live at one step, sizes rounded up to `alignment`.
int64_t maxLiveBytes(std::span<const Interval> intervals, int64_t alignment);

/// Places the intervals so that those live at one step never overlap. Best-fit in several orders,
/// then a search that moves what made the arena tall to the front of the order (squeaky wheel
/// optimization: Joslin and Clements, 1999). Deterministic: the same intervals give the same
/// offsets.
Allocation allocate(std::span<const Interval> intervals, const AllocatorOptions &options = {});

} // namespace quern::plan

#endif // QUERN_PASSES_PLAN_ALLOCATOR_H
