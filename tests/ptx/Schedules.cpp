#include "tests/ptx/Schedules.h"

#include "tests/ptx/Warp.h"

#include <algorithm>
#include <numeric>
#include <random>

namespace quern::ptx {
namespace {

constexpr int kPolicies = 4;

class Schedule : public Scheduler {
public:
  explicit Schedule(u64 seed) : policy_(policy_of(seed)), chance_(seed) {}

  size_t choose_warp(const Block &block, std::span<Warp *const> ready) override {
    return choose(ready.size(), [&](size_t n) { return ready[n]->index; }, warps_[&block]);
  }

  size_t choose_block(std::span<Block *const> ready) override {
    return choose(
        ready.size(), [&](size_t n) { return static_cast<int>(ready[n]->index); }, blocks_);
  }

  u32 block(u32 n, u32 count) override {
    if (n == 0 && policy_ == Policy::Random) {
      order_.resize(count);
      std::iota(order_.begin(), order_.end(), 0);
      std::shuffle(order_.begin(), order_.end(), chance_);
    }
    switch (policy_) {
    case Policy::Reversed:
      return count - 1 - n;
    case Policy::Random:
      return order_[n];
    default:
      return n;
    }
  }

  u64 slice() override {
    switch (policy_) {
    case Policy::RoundRobin:
      return 1 + chance_() % 64;
    case Policy::Random:
      return 1 + chance_() % (chance_() % 4 == 0 ? 1024 : 16);
    default:
      return u64{1} << 20;
    }
  }

private:
  struct Turn {
    int last = -1;
    int times = 0; ///< that it was chosen in a row
  };
  // One that has been chosen this often without waiting for anything is polling.
  static constexpr int kPatience = 8;

  /// The position of the ready one that comes next after the last chosen, going round.
  template <class Index> size_t next(size_t count, const Index &index, int last, bool down) {
    size_t best = 0;
    bool found = false;
    for (size_t n = 0; n < count; ++n) {
      const bool after = down ? index(n) < last : index(n) > last;
      if (after && (!found || (down ? index(n) > index(best) : index(n) < index(best)))) {
        best = n;
        found = true;
      }
    }
    if (!found)
      for (size_t n = 1; n < count; ++n)
        if (down ? index(n) > index(best) : index(n) < index(best))
          best = n;
    return best;
  }

  template <class Index> size_t choose(size_t count, const Index &index, Turn &turn) {
    size_t chosen = 0;
    switch (policy_) {
    case Policy::Random:
      return chance_() % count;
    case Policy::RoundRobin:
      chosen = next(count, index, turn.last, false);
      break;
    case Policy::Depth:
    case Policy::Reversed: {
      const bool down = policy_ == Policy::Reversed;
      size_t same = count;
      for (size_t n = 0; n < count; ++n)
        if (index(n) == turn.last)
          same = n;
      if (same != count && turn.times < kPatience) {
        ++turn.times;
        return same;
      }
      chosen = next(count, index, turn.last < 0 && down ? 1 << 30 : turn.last, down);
      break;
    }
    }
    turn.last = index(chosen);
    turn.times = 1;
    return chosen;
  }

  Policy policy_;
  std::mt19937_64 chance_;
  std::vector<u32> order_;
  std::map<const Block *, Turn> warps_;
  Turn blocks_;
};

} // namespace

std::string_view name_of(Policy policy) {
  constexpr std::string_view kNames[] = {"round robin", "depth first", "reversed", "random"};
  return kNames[static_cast<size_t>(policy)];
}

Policy policy_of(u64 seed) { return static_cast<Policy>((seed + kPolicies - 1) % kPolicies); }

std::unique_ptr<Scheduler> new_schedule(u64 seed) { return std::make_unique<Schedule>(seed); }

} // namespace quern::ptx
