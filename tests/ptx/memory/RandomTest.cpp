// Random threads against the definition: vector clocks of single threads, every access remembered.
#include "tests/ptx/memory/Races.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>

namespace quern::ptx::memory {
namespace {

constexpr int kBlocks = 2;
constexpr int kThreads = 40; // a whole warp and a part of one
constexpr int kAll = kBlocks * kThreads;
constexpr uint64_t kBase = 0x1000;
constexpr uint32_t kFew = 64;  // bytes, so that threads meet
constexpr uint32_t kRow = 512; // for lanes side by side, as they mostly are

using VectorClock = std::vector<uint32_t>; // threads, then their copies

void join(VectorClock &mine, const VectorClock &other) {
  for (size_t i = 0; i < mine.size(); ++i)
    mine[i] = std::max(mine[i], other[i]);
}

/// The memory model as it is written.
class Definition {
public:
  Definition()
      : known_(kAll, VectorClock(2 * kAll)), fences_(kAll), pending_(kAll), committed_(kAll) {
    for (int thread = 0; thread < kAll; ++thread)
      known_[thread][thread] = 1;
  }

  bool access(int thread, bool shared, uint32_t offset, uint32_t bytes, Access access,
              bool copy = false) {
    const uint32_t agent = static_cast<uint32_t>(copy ? kAll + thread : thread);
    const uint32_t time = copy ? committed_[thread] + 1 : known_[thread][thread];
    const bool write = access.act != Act::Load;
    const bool strong = access.order != Order::Weak;
    const uint32_t space = shared ? 1000u + 1000u * static_cast<uint32_t>(thread / kThreads) : 0;
    bool race = false;
    for (uint32_t byte = offset; byte < offset + bytes; ++byte) {
      std::vector<Seen> &all = seen_[space + byte];
      for (const Seen &then : all) {
        const int other = static_cast<int>(then.agent) % kAll;
        if (then.agent == static_cast<uint32_t>(thread) || (!then.write && !write) ||
            known_[thread][then.agent] >= then.time)
          continue;
        const bool reaches = other / kThreads == thread / kThreads ||
                             (then.access.reach == Reach::Gpu && access.reach == Reach::Gpu);
        if (then.access.order != Order::Weak && strong && then.access.element == access.element &&
            reaches)
          continue;
        race = true;
      }
      all.push_back({agent, time, write, access});
    }
    return race;
  }

  void synchronise(int thread, bool shared, uint32_t offset, Access access) {
    const int block = thread / kThreads;
    Place &place = places_[{shared ? block : -1, offset}];
    if (access.act != Act::Store && place.written) {
      VectorClock near(2 * kAll);
      VectorClock wide(2 * kAll);
      if (place.narrow.count(block) != 0)
        near = place.narrow[block];
      if (access.reach == Reach::Gpu && !place.wide.empty())
        wide = place.wide;
      if (access.order == Order::Acquire || access.order == Order::AcquireRelease) {
        join(known_[thread], near);
        join(known_[thread], wide);
      } else {
        pending_[thread].first.resize(2 * kAll);
        pending_[thread].second.resize(2 * kAll);
        join(pending_[thread].first, near);
        join(pending_[thread].second, wide);
      }
    }
    if (access.act == Act::Load)
      return;
    const bool other_block = place.block != block;
    const bool kept = (access.act == Act::Update || place.thread == thread) &&
                      (!other_block || (access.act == Act::Update && access.reach == Reach::Gpu));
    if (!kept) {
      place.narrow.clear();
      place.wide.clear();
    }
    VectorClock released;
    Reach reach = access.reach;
    if (access.order >= Order::Release) {
      released = known_[thread];
    } else if (!fences_[thread].first.empty()) {
      released = fences_[thread].first;
      reach = std::min(reach, fences_[thread].second);
    }
    if (!released.empty()) {
      place.narrow[block].resize(2 * kAll);
      join(place.narrow[block], released);
      if (reach == Reach::Gpu) {
        place.wide.resize(2 * kAll);
        join(place.wide, released);
      }
    }
    place.written = true;
    place.block = block;
    place.thread = thread;
  }

  void meet(const std::vector<int> &waiting, const VectorClock *arrived = nullptr) {
    VectorClock all(2 * kAll);
    if (arrived != nullptr)
      all = *arrived;
    for (int thread : waiting)
      join(all, known_[thread]);
    for (int thread : waiting) {
      join(known_[thread], all);
      tick(thread);
    }
  }
  void fence(int thread, Reach reach) {
    auto &[narrow, wide] = pending_[thread];
    if (!narrow.empty()) {
      join(known_[thread], narrow);
      if (reach == Reach::Gpu)
        join(known_[thread], wide);
      narrow.clear();
      wide.clear();
    }
    fences_[thread] = {known_[thread], reach};
    tick(thread);
  }
  void commit(int thread) { ++committed_[thread]; }
  void wait(int thread, uint32_t left) {
    if (committed_[thread] > left)
      known_[thread][kAll + thread] =
          std::max(known_[thread][kAll + thread], committed_[thread] - left);
  }
  void tick(int thread) { ++known_[thread][thread]; }
  const VectorClock &known(int thread) const { return known_[thread]; }

private:
  struct Seen {
    uint32_t agent, time;
    bool write;
    Access access;
  };
  struct Place {
    std::map<int, VectorClock> narrow;
    VectorClock wide;
    int block = 0, thread = 0;
    bool written = false;
  };
  std::vector<VectorClock> known_;
  std::vector<std::pair<VectorClock, Reach>> fences_;
  std::vector<std::pair<VectorClock, VectorClock>> pending_;
  std::vector<uint32_t> committed_;
  std::map<uint32_t, std::vector<Seen>> seen_;
  std::map<std::pair<int, uint32_t>, Place> places_;
};

struct Trial {
  explicit Trial(uint32_t seed) : chance(seed), size(seed % 2 == 0 ? kFew : kRow) {
    races.add(kBase, kRow);
    races.begin_launch(0, "random");
    for (int block = 0; block < kBlocks; ++block)
      blocks.push_back(races.begin_block(static_cast<uint32_t>(block), kThreads, kRow));
  }

  uint32_t below(uint32_t count) { return static_cast<uint32_t>(chance() % count); }

  static std::vector<int> threads_of(int block, int warp, uint32_t lanes = kAllLanes) {
    std::vector<int> made;
    for (int lane = 0; lane < (warp == 0 ? 32 : 8); ++lane)
      if ((lanes >> lane & 1) != 0)
        made.push_back(block * kThreads + warp * 32 + lane);
    return made;
  }

  /// Runs one step in both; false when one of them reports.
  bool step(bool &expected, bool &found) {
    expected = false;
    const int block = static_cast<int>(below(kBlocks));
    const int warp = static_cast<int>(below(2));
    const uint32_t live = warp == 0 ? kAllLanes : 0xff;
    uint32_t lanes = below(8) == 0   ? live
                     : below(4) != 0 ? 1u << below(8)
                                     : live & static_cast<uint32_t>(chance());
    lanes = lanes == 0 ? 1 : lanes;
    BlockTime &time = *blocks[block];
    const std::vector<int> threads = threads_of(block, warp, lanes);
    switch (below(12)) {
    default: { // an access
      const bool shared = below(2) == 0;
      const bool strong = below(2) == 0;
      Access access{strong ? static_cast<Act>(below(3)) : below(3) == 0 ? Act::Store : Act::Load};
      const uint32_t bytes = strong ? 4 : 1u << below(size == kRow ? 5 : 4);
      if (strong) {
        constexpr Order kOrders[] = {Order::Relaxed, Order::Acquire, Order::Release};
        access.order = access.act == Act::Load    ? kOrders[below(2)]
                       : access.act == Act::Store ? kOrders[2 * below(2)]
                                                  : static_cast<Order>(1 + below(4));
        access.reach = below(3) == 0 ? Reach::Cta : Reach::Gpu;
      }
      // Flags lie behind the data, mostly.
      const uint32_t first = strong && below(8) != 0         ? size / 2 + 4 * below(2)
                             : size == kRow && below(2) == 0 ? 0
                                                             : below(size / 2 / bytes) * bytes;
      const uint32_t apart = strong || below(3) == 0 ? 0 : bytes;
      // Lanes side by side that read the same.
      const uint32_t alike = access.act == Act::Load && below(2) == 0 ? 1u << below(5) : 1;
      uint32_t offsets[kLanes];
      uint64_t addresses[kLanes];
      for (uint32_t lane = 0; lane < kLanes; ++lane) {
        offsets[lane] = (first + lane / alike * apart) % size;
        addresses[lane] = kBase + offsets[lane];
      }
      for (int thread : threads)
        expected =
            definition.access(thread, shared, offsets[thread % kThreads % 32], bytes, access) ||
            expected;
      if (strong)
        for (int thread : threads)
          definition.synchronise(thread, shared, offsets[thread % kThreads % 32], access);
      for (int thread : threads)
        definition.tick(thread);
      if (shared)
        races.shared(time, warp, lanes & live, offsets, bytes, access, 1);
      else
        races.global(time, warp, lanes & live, addresses, bytes, access, 1);
      break;
    }
    case 0:
      races.warp_barrier(time, warp, lanes & live);
      definition.meet(threads);
      break;
    case 1: {
      const int both[] = {0, 1};
      races.barrier(time, 0, both);
      std::vector<int> all = threads_of(block, 0);
      const std::vector<int> rest = threads_of(block, 1);
      all.insert(all.end(), rest.begin(), rest.end());
      definition.meet(all);
      break;
    }
    case 2: {
      const Reach reach = below(3) == 0 ? Reach::Cta : Reach::Gpu;
      for (int thread : threads)
        definition.fence(thread, reach);
      races.fence(time, warp, lanes & live, reach);
      break;
    }
    case 3: {
      uint32_t offsets[kLanes];
      uint64_t sources[kLanes];
      uint32_t bytes[kLanes];
      for (uint32_t lane = 0; lane < kLanes; ++lane) {
        offsets[lane] = lane * 4 % size;
        sources[lane] = kBase + (lane + 1) * 4 % size;
        bytes[lane] = 4;
      }
      for (int thread : threads) {
        const uint32_t lane = static_cast<uint32_t>(thread % kThreads % 32);
        expected = definition.access(thread, false, (lane + 1) * 4 % size, 4, {Act::Load}, true) ||
                   expected;
      }
      for (int thread : threads) {
        const uint32_t lane = static_cast<uint32_t>(thread % kThreads % 32);
        expected =
            definition.access(thread, true, lane * 4 % size, 4, {Act::Store}, true) || expected;
      }
      races.copy(time, warp, lanes & live, offsets, 4, sources, bytes, 2);
      break;
    }
    case 4:
      races.commit(time, warp, lanes & live);
      for (int thread : threads)
        definition.commit(thread);
      break;
    case 5: {
      const uint32_t left = below(2);
      races.wait(time, warp, lanes & live, left);
      for (int thread : threads)
        definition.wait(thread, left);
      break;
    }
    case 6: { // one warp arrives, the other waits
      const std::vector<int> arriving = threads_of(block, warp);
      VectorClock arrived(2 * kAll);
      for (int thread : arriving)
        join(arrived, definition.known(thread));
      races.arrive(time, warp, 1);
      const int waiting[] = {1 - warp};
      races.barrier(time, 1, waiting);
      definition.meet(threads_of(block, 1 - warp), &arrived);
      for (int thread : arriving)
        definition.tick(thread);
      break;
    }
    }
    found = !reports.empty();
    return !expected && !found;
  }

  std::mt19937 chance;
  uint32_t size;
  std::vector<RaceReport> reports;
  Races races{[this](const RaceReport &report) { reports.push_back(report); }};
  std::vector<std::unique_ptr<BlockTime>> blocks;
  Definition definition;
};

TEST(RandomTest, ReportsWhatTheDefinitionCallsARaceAndNothingElse) {
  int races = 0;
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    Trial trial(seed);
    bool expected = false;
    bool found = false;
    for (int step = 0; step < 60 && trial.step(expected, found); ++step) {
    }
    ASSERT_EQ(found, expected) << "seed " << seed << (found ? ": " + trial.reports[0].why : "");
    races += found ? 1 : 0;
  }
  EXPECT_GT(races, 2000);
}

} // namespace
} // namespace quern::ptx::memory
