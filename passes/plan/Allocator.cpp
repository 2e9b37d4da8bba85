#include "passes/plan/Allocator.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <random>

namespace quern::plan {
namespace {

using Order = std::vector<int>;

int64_t roundUp(int64_t value, int64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

class Placer {
public:
  Placer(std::span<const Interval> intervals, int64_t alignment)
      : intervals(intervals.begin(), intervals.end()), neighbours(intervals.size()),
        offsets(intervals.size()) {
    for (Interval &interval : this->intervals)
      interval.bytes = roundUp(interval.bytes, alignment);
    findNeighbours();
  }

  const std::vector<Interval> &sizes() const { return intervals; }
  const std::vector<int64_t> &places() const { return offsets; }
  const std::vector<int> &neighboursOf(int i) const { return neighbours[i]; }

  /// Places the intervals in that order, each in the tightest gap between those placed before that
  /// it is live together with, or above them. Returns the arena's size.
  int64_t place(const Order &order) {
    std::fill(offsets.begin(), offsets.end(), -1);
    int64_t peak = 0;
    for (int i : order) {
      offsets[i] = bestFit(i);
      peak = std::max(peak, offsets[i] + intervals[i].bytes);
    }
    return peak;
  }

private:
  /// Which intervals are live together: one sweep in the order of first steps.
  void findNeighbours() {
    Order byFirst(intervals.size());
    std::iota(byFirst.begin(), byFirst.end(), 0);
    std::sort(byFirst.begin(), byFirst.end(), [&](int a, int b) {
      return std::pair(intervals[a].first, a) < std::pair(intervals[b].first, b);
    });
    std::vector<int> live;
    for (int i : byFirst) {
      std::erase_if(live, [&](int j) { return intervals[j].last < intervals[i].first; });
      for (int j : live) {
        neighbours[i].push_back(j);
        neighbours[j].push_back(i);
      }
      live.push_back(i);
    }
  }

  int64_t bestFit(int i) {
    taken.clear();
    for (int j : neighbours[i])
      if (offsets[j] >= 0)
        taken.push_back({offsets[j], offsets[j] + intervals[j].bytes});
    std::sort(taken.begin(), taken.end());
    int64_t top = 0, best = -1, tightest = std::numeric_limits<int64_t>::max();
    for (auto [begin, end] : taken) {
      int64_t gap = begin - top;
      if (gap >= intervals[i].bytes && gap < tightest) {
        best = top;
        tightest = gap;
      }
      top = std::max(top, end);
    }
    return best >= 0 ? best : top;
  }

  std::vector<Interval> intervals;          ///< sizes rounded up
  std::vector<std::vector<int>> neighbours; ///< those live together with each
  std::vector<int64_t> offsets;             ///< -1: not placed yet
  std::vector<std::pair<int64_t, int64_t>> taken;
};

/// For each interval, the most bytes live at a step while it is live.
std::vector<int64_t> contention(const std::vector<Interval> &intervals) {
  std::map<int64_t, int64_t> change;
  for (const Interval &interval : intervals) {
    change[interval.first] += interval.bytes;
    change[interval.last + 1] -= interval.bytes;
  }
  std::vector<std::pair<int64_t, int64_t>> live; // from that step on, that many bytes
  int64_t bytes = 0;
  for (auto [step, delta] : change)
    live.push_back({step, bytes += delta});
  std::vector<int64_t> result;
  for (const Interval &interval : intervals) {
    auto from = std::lower_bound(live.begin(), live.end(), std::pair(interval.first, INT64_MIN));
    int64_t most = 0;
    for (; from != live.end() && from->first <= interval.last; ++from)
      most = std::max(most, from->second);
    result.push_back(most);
  }
  return result;
}

/// Orders that are known to do well, each best on some shapes.
std::vector<Order> startingOrders(const std::vector<Interval> &intervals) {
  std::vector<int64_t> crowd = contention(intervals);
  auto length = [&](int i) { return intervals[i].last - intervals[i].first + 1; };
  std::vector<Order> orders;
  auto add = [&](auto key) { // greatest key first, ties in the order given
    Order order(intervals.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(),
              [&](int a, int b) { return std::pair(key(a), -a) > std::pair(key(b), -b); });
    orders.push_back(std::move(order));
  };
  add([&](int i) { return intervals[i].bytes; });
  add([&](int i) { return std::pair(length(i), intervals[i].bytes); });
  add([&](int i) {
    return static_cast<double>(length(i)) * static_cast<double>(intervals[i].bytes);
  });
  add([&](int i) { return std::pair(crowd[i], intervals[i].bytes); });
  add([&](int i) { return std::pair(crowd[i], length(i)); });
  add([&](int i) { return -intervals[i].first; });
  return orders;
}

} // namespace

int64_t maxLiveBytes(std::span<const Interval> intervals, int64_t alignment) {
  std::vector<Interval> rounded(intervals.begin(), intervals.end());
  for (Interval &interval : rounded)
    interval.bytes = roundUp(interval.bytes, alignment);
  int64_t most = 0;
  for (int64_t bytes : contention(rounded))
    most = std::max(most, bytes);
  return most;
}

Allocation allocate(std::span<const Interval> intervals, const AllocatorOptions &options) {
  Placer placer(intervals, options.alignment);
  Allocation best;
  best.bound = maxLiveBytes(intervals, options.alignment);
  best.bytes = std::numeric_limits<int64_t>::max();
  Order bestOrder;
  auto tryOrder = [&](const Order &order) {
    int64_t bytes = placer.place(order);
    if (bytes < best.bytes) {
      best.bytes = bytes;
      best.offsets = placer.places();
      bestOrder = order;
    }
    return bytes;
  };
  for (const Order &order : startingOrders(placer.sizes()))
    tryOrder(order);
  auto met = [&] {
    return static_cast<double>(best.bytes) <= options.goal * static_cast<double>(best.bound);
  };

  std::minstd_rand random(1); // fixed by the standard, so the same everywhere
  auto below = [&](size_t n) { return random() % n; };
  Order order = bestOrder;
  int64_t current = best.bytes;
  const auto buffers = std::max<int64_t>(1, static_cast<int64_t>(intervals.size()));
  std::vector<int64_t> places = best.offsets; // of `order`
  for (int64_t round = 0; round < options.effort / buffers && !met(); ++round) {
    // Those that reach the top want to be placed earlier; so may one of those they stand on.
    Order next = order;
    std::vector<int> tall;
    for (int i : order)
      if (places[i] + placer.sizes()[i].bytes == current)
        tall.push_back(i);
    int chosen = tall[below(tall.size())];
    if (below(3) == 0 && !placer.neighboursOf(chosen).empty())
      chosen = placer.neighboursOf(chosen)[below(placer.neighboursOf(chosen).size())];
    auto from = std::find(next.begin(), next.end(), chosen);
    size_t to = below(static_cast<size_t>(from - next.begin()) + 1);
    std::rotate(next.begin() + static_cast<std::ptrdiff_t>(to), from, from + 1);
    int64_t bytes = tryOrder(next);
    // A little worse is taken now and then, so that the search leaves a local minimum.
    if (bytes <= current || below(20) == 0) {
      order = std::move(next);
      current = bytes;
      places = placer.places();
    }
    if (round % 500 == 499) {
      order = bestOrder;
      current = best.bytes;
      places = best.offsets;
    }
  }
  return best;
}

} // namespace quern::plan
