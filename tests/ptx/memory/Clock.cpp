#include "tests/ptx/memory/Clock.h"

#include <algorithm>

namespace quern::ptx::memory {
namespace {

void grow_to(std::vector<uint32_t> &mine, const std::vector<uint32_t> &other) {
  if (mine.size() < other.size())
    mine.resize(other.size());
  for (size_t i = 0; i < other.size(); ++i)
    mine[i] = std::max(mine[i], other[i]);
}

bool at_least(const std::vector<uint32_t> &mine, const std::vector<uint32_t> &other) {
  for (size_t i = 0; i < other.size(); ++i)
    if ((i < mine.size() ? mine[i] : 0) < other[i])
      return false;
  return true;
}

} // namespace

void BlockView::know(Key key, uint32_t epoch) {
  auto at = std::lower_bound(threads.begin(), threads.end(), std::pair<Key, uint32_t>(key, 0));
  if (at != threads.end() && at->first == key)
    at->second = std::max(at->second, epoch);
  else
    threads.insert(at, {key, epoch});
}

bool BlockView::knows(int warp, int lane, bool of_copies, uint32_t epoch) const {
  const std::vector<uint32_t> &all = of_copies ? copies : epochs;
  if (static_cast<size_t>(warp) < all.size() && all[warp] >= epoch)
    return true;
  const Key key = static_cast<Key>((warp * 32 + lane) * 2 + (of_copies ? 1 : 0));
  auto at = std::lower_bound(threads.begin(), threads.end(), std::pair<Key, uint32_t>(key, 0));
  return at != threads.end() && at->first == key && at->second >= epoch;
}

bool BlockView::covers(const BlockView &other) const {
  if (!at_least(epochs, other.epochs) || !at_least(copies, other.copies))
    return false;
  return std::all_of(other.threads.begin(), other.threads.end(), [&](const auto &thread) {
    return knows(static_cast<int>(thread.first / 64), static_cast<int>(thread.first / 2 % 32),
                 thread.first % 2 == 1, thread.second);
  });
}

void BlockView::join(const BlockView &other) {
  grow_to(epochs, other.epochs);
  grow_to(copies, other.copies);
  for (const auto &[key, epoch] : other.threads)
    know(key, epoch);
  // What the warp as a whole is known of need not be said again for its threads.
  std::erase_if(threads, [&](const auto &thread) {
    const std::vector<uint32_t> &all = thread.first % 2 == 1 ? copies : epochs;
    const size_t warp = thread.first / 64;
    return warp < all.size() && all[warp] >= thread.second;
  });
}

const BlockView *Clock::find(uint32_t block) const {
  auto at =
      std::lower_bound(blocks.begin(), blocks.end(), block,
                       [](const auto &view, uint32_t wanted) { return view->block < wanted; });
  return at != blocks.end() && (*at)->block == block ? &**at : nullptr;
}

ClockRef join(const ClockRef &a, const ClockRef &b) {
  if (a == b || !b)
    return a;
  if (!a)
    return b;
  auto *joined = new Clock;
  ClockRef result(joined);
  joined->blocks.reserve(std::max(a->blocks.size(), b->blocks.size()));
  bool is_a = true;
  bool is_b = true;
  auto x = a->blocks.begin();
  auto y = b->blocks.begin();
  while (x != a->blocks.end() || y != b->blocks.end()) {
    if (y == b->blocks.end() || (x != a->blocks.end() && (*x)->block < (*y)->block)) {
      joined->blocks.push_back(*x++);
      is_b = false;
    } else if (x == a->blocks.end() || (*y)->block < (*x)->block) {
      joined->blocks.push_back(*y++);
      is_a = false;
    } else {
      if (*x == *y || (*x)->covers(**y)) {
        is_b = is_b && *x == *y;
        joined->blocks.push_back(*x);
      } else if ((*y)->covers(**x)) {
        is_a = false;
        joined->blocks.push_back(*y);
      } else {
        auto *view = new BlockView(**x);
        view->references = 0;
        view->join(**y);
        joined->blocks.emplace_back(view);
        is_a = is_b = false;
      }
      ++x;
      ++y;
    }
  }
  return is_a ? a : is_b ? b : result;
}

ClockRef join(const ClockRef &clock, Ref<const BlockView> view) {
  auto *one = new Clock;
  ClockRef result(one);
  one->blocks.push_back(std::move(view));
  return join(clock, result);
}

} // namespace quern::ptx::memory
