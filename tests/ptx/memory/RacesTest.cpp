// The memory model by itself: each way to order two accesses, and the same with something left out.
#include "tests/ptx/memory/Races.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace quern::ptx::memory {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr uint64_t kX = 0x1000;
constexpr uint64_t kFlag = 0x1800;

constexpr Access kLoad{Act::Load};
constexpr Access kStore{Act::Store};
constexpr Access load(Order order, Reach reach = Reach::Gpu) { return {Act::Load, order, reach}; }
constexpr Access store(Order order, Reach reach = Reach::Gpu) { return {Act::Store, order, reach}; }
constexpr Access update(Order order, Reach reach = Reach::Gpu) {
  return {Act::Update, order, reach};
}

class RacesTest : public testing::Test {
protected:
  RacesTest() { races.add(0x1000, 0x1000); }

  void launch(int blocks, uint32_t threads = 64, Streams::Stream stream = 0) {
    for (auto &block : this->blocks)
      races.end_block(std::move(block));
    this->blocks.clear();
    races.begin_launch(stream, "kernel");
    for (int i = 0; i < blocks; ++i)
      this->blocks.push_back(races.begin_block(i, threads, 0x400));
  }
  /// One thread's access to global memory.
  void global(int block, int thread, uint64_t address, Access access, uint32_t bytes = 4) {
    uint64_t addresses[kLanes] = {};
    addresses[thread % kLanes] = address;
    races.global(*blocks[block], thread / kLanes, 1u << thread % kLanes, addresses, bytes, access,
                 ++pc);
  }
  void shared(int block, int thread, uint32_t offset, Access access, uint32_t bytes = 4) {
    uint32_t offsets[kLanes] = {};
    offsets[thread % kLanes] = offset;
    races.shared(*blocks[block], thread / kLanes, 1u << thread % kLanes, offsets, bytes, access,
                 ++pc);
  }
  /// A warp's access, its lanes `apart` bytes from each other.
  void warp_shared(int block, int warp, uint32_t offset, uint32_t apart, Access access,
                   uint32_t bytes = 4, uint32_t lanes = kAllLanes) {
    uint32_t offsets[kLanes];
    for (uint32_t lane = 0; lane < kLanes; ++lane)
      offsets[lane] = offset + lane * apart;
    races.shared(*blocks[block], warp, lanes, offsets, bytes, access, ++pc);
  }
  void warp_global(int block, int warp, uint64_t address, uint32_t apart, Access access,
                   uint32_t bytes = 4) {
    uint64_t addresses[kLanes];
    for (uint32_t lane = 0; lane < kLanes; ++lane)
      addresses[lane] = address + lane * apart;
    races.global(*blocks[block], warp, kAllLanes, addresses, bytes, access, ++pc);
  }
  void copy(int block, int thread, uint32_t offset, uint64_t source) {
    uint32_t offsets[kLanes] = {};
    uint64_t sources[kLanes] = {};
    uint32_t bytes[kLanes] = {};
    offsets[thread % kLanes] = offset;
    sources[thread % kLanes] = source;
    bytes[thread % kLanes] = 16;
    races.copy(*blocks[block], thread / kLanes, 1u << thread % kLanes, offsets, 16, sources, bytes,
               ++pc);
  }
  void barrier(int block) {
    std::vector<int> warps(blocks[block]->warps.size());
    std::iota(warps.begin(), warps.end(), 0);
    races.barrier(*blocks[block], 0, warps);
  }
  void fence(int block, int thread, Reach reach = Reach::Gpu) {
    races.fence(*blocks[block], thread / kLanes, 1u << thread % kLanes, reach);
  }
  void expect_race(std::string_view why) {
    ASSERT_THAT(reports, SizeIs(1));
    EXPECT_EQ(reports[0].kind, RaceReport::Kind::Race);
    EXPECT_THAT(reports[0].why, HasSubstr(std::string(why)));
  }

  std::vector<RaceReport> reports;
  Races races{[this](const RaceReport &report) { reports.push_back(report); }};
  std::vector<std::unique_ptr<BlockTime>> blocks;
  uint32_t pc = 0;
};

TEST(StampTest, SaysWhichLanesRead) {
  for (uint32_t count = 1; count <= 32; count *= 2)
    for (uint32_t first = 0; first < 32; first += count) {
      const uint32_t lanes = kAllLanes >> (32 - count) << first;
      const uint64_t stamp = with_lanes(stamp_of(5, 7, kBytes), lanes);
      EXPECT_EQ(lanes_of(stamp), lanes);
      EXPECT_EQ(segment_of(stamp), 5u);
      EXPECT_EQ(pc_of(stamp), 7u);
      EXPECT_EQ(bytes_of(stamp), kBytes);
    }
  for (const uint32_t lanes : {0x6u, 0x7u, 0x5u, 0x3cu, 0x80000001u, 0x7fffffffu})
    EXPECT_EQ(with_lanes(stamp_of(5, 7, kBytes), lanes), 0u) << lanes;
}

TEST_F(RacesTest, BarrierOrdersWarps) {
  launch(1);
  warp_shared(0, 0, 0, 4, kStore);
  barrier(0);
  warp_shared(0, 1, 0, 4, kLoad);
  barrier(0);
  warp_shared(0, 1, 0, 4, kStore);
  EXPECT_THAT(reports, IsEmpty());
}

TEST_F(RacesTest, MissingBarrierIsReportedWithBothSides) {
  launch(1);
  warp_shared(0, 0, 0, 4, kStore);
  shared(0, 37, 20, kLoad);
  expect_race("__syncthreads");
  EXPECT_TRUE(reports[0].shared);
  EXPECT_EQ(reports[0].address, 20u);
  EXPECT_EQ(reports[0].earlier.thread, 5u);
  EXPECT_TRUE(reports[0].earlier.write);
  EXPECT_EQ(reports[0].earlier.pc, 1u);
  EXPECT_EQ(reports[0].later.thread, 37u);
  EXPECT_FALSE(reports[0].later.write);
  EXPECT_EQ(reports[0].later.pc, 2u);
  EXPECT_EQ(reports[0].later.kernel, "kernel");
}

TEST_F(RacesTest, WriteAfterReadNeedsABarrierToo) {
  launch(1);
  warp_shared(0, 0, 0, 0, kLoad); // a broadcast
  shared(0, 3, 0, kStore);
  expect_race("__syncwarp");
}

TEST_F(RacesTest, WriteAfterReadsOfAnotherWarp) {
  launch(1, 128);
  shared(0, 0, 0, kLoad);
  shared(0, 33, 0, kLoad);
  shared(0, 65, 0, kLoad);
  races.warp_barrier(*blocks[0], 0, kAllLanes);
  shared(0, 1, 0, kStore);
  expect_race("__syncthreads");
}

TEST_F(RacesTest, LockstepHidesNoMissingWarpBarrier) {
  launch(1);
  warp_shared(0, 0, 0, 4, kStore);
  warp_shared(0, 0, 4, 4, kLoad, 4, 0x7fffffff);
  expect_race("__syncwarp");
}

TEST_F(RacesTest, WarpBarrierOrdersLanes) {
  launch(1);
  warp_shared(0, 0, 0, 4, kStore);
  races.warp_barrier(*blocks[0], 0, kAllLanes);
  warp_shared(0, 0, 4, 4, kLoad, 4, 0x7fffffff);
  EXPECT_THAT(reports, IsEmpty());
}

TEST_F(RacesTest, PartialWarpBarrierOrdersItsLanesOnly) {
  launch(1);
  warp_shared(0, 0, 0, 4, kStore);
  races.warp_barrier(*blocks[0], 0, 0xff);
  shared(0, 1, 7 * 4, kLoad);
  EXPECT_THAT(reports, IsEmpty());
  shared(0, 1, 8 * 4, kLoad);
  expect_race("__syncwarp");
}

TEST_F(RacesTest, PartialWarpBarrierIsTransitive) {
  launch(1);
  shared(0, 0, 0, kStore);
  races.warp_barrier(*blocks[0], 0, 0b11);
  races.warp_barrier(*blocks[0], 0, 0b110);
  shared(0, 2, 0, kLoad);
  EXPECT_THAT(reports, IsEmpty());
}

TEST_F(RacesTest, LanesOfOneStoreRace) {
  launch(1);
  warp_shared(0, 0, 0, 0, kStore);
  expect_race("__syncwarp");
}

TEST_F(RacesTest, BytesOfAWordAreApart) {
  launch(1);
  warp_shared(0, 0, 0, 1, kStore, 1);
  races.warp_barrier(*blocks[0], 0, kAllLanes);
  warp_shared(0, 1, 32, 1, kStore, 1);
  warp_shared(0, 0, 0, 2, kLoad, 2, 0xffff);
  EXPECT_THAT(reports, IsEmpty());
  warp_shared(0, 0, 0, 2, kLoad, 2, 0x1ffff);
  expect_race("__syncthreads");
}

TEST_F(RacesTest, ReadsOfBytesDoNotRaceWithWritesOfOthers) {
  launch(1);
  shared(0, 0, 0, kLoad, 2);
  shared(0, 40, 2, kStore, 2);
  EXPECT_THAT(reports, IsEmpty());
  shared(0, 41, 0, kStore, 1);
  expect_race("__syncthreads");
}

TEST_F(RacesTest, NamedBarriersOrderWhoTakesPart) {
  launch(1, 128);
  shared(0, 0, 0, kStore);
  shared(0, 64, 8, kStore);
  const int two[] = {0, 1};
  races.barrier(*blocks[0], 1, two);
  shared(0, 32, 0, kLoad);
  EXPECT_THAT(reports, IsEmpty());
  shared(0, 32, 8, kLoad);
  expect_race("__syncthreads");
}

TEST_F(RacesTest, ArrivingReleasesWithoutAcquiring) {
  launch(1);
  shared(0, 0, 0, kStore);
  races.arrive(*blocks[0], 0, 1);
  shared(0, 0, 4, kStore);
  shared(0, 32, 8, kStore);
  const int waiting[] = {1};
  races.barrier(*blocks[0], 1, waiting);
  shared(0, 32, 0, kLoad);
  EXPECT_THAT(reports, IsEmpty());
  shared(0, 32, 4, kLoad); // written after the arrival
  EXPECT_THAT(reports, SizeIs(1));
  shared(0, 0, 8, kLoad); // who arrives does not wait
  EXPECT_THAT(reports, SizeIs(2));
}

TEST_F(RacesTest, CopyIsWaitedForAndThenABarrier) {
  launch(1);
  copy(0, 0, 0, kX);
  races.commit(*blocks[0], 0, 1);
  copy(0, 0, 16, kX + 16);
  races.commit(*blocks[0], 0, 1);
  races.wait(*blocks[0], 0, 1, 1);
  shared(0, 0, 0, kLoad);
  barrier(0);
  shared(0, 40, 12, kLoad);
  EXPECT_THAT(reports, IsEmpty());
  shared(0, 40, 16, kLoad); // the second group
  expect_race("has not waited");
}

TEST_F(RacesTest, CopyIsNotThereForItsThreadBeforeTheWait) {
  launch(1);
  copy(0, 0, 0, kX);
  races.commit(*blocks[0], 0, 1);
  barrier(0);
  shared(0, 0, 0, kLoad);
  expect_race("the thread has not waited for its copy");
}

TEST_F(RacesTest, WaitForACopyIsForItsThreadAlone) {
  launch(1);
  copy(0, 0, 0, kX);
  races.commit(*blocks[0], 0, 1);
  barrier(0);
  races.wait(*blocks[0], 0, 1, 0);
  shared(0, 1, 0, kLoad);
  expect_race("no barrier since the copy's thread waited");
}

TEST_F(RacesTest, WarpBarrierAfterTheWaitServesTheWarp) {
  launch(1);
  copy(0, 0, 0, kX);
  races.wait_all(*blocks[0], 0, 1);
  races.warp_barrier(*blocks[0], 0, kAllLanes);
  shared(0, 1, 0, kLoad);
  EXPECT_THAT(reports, IsEmpty());
  shared(0, 33, 0, kLoad);
  expect_race("no barrier since");
}

TEST_F(RacesTest, CopyOverwritesOnlyWhatIsThroughWith) {
  launch(1);
  shared(0, 40, 0, kLoad);
  copy(0, 0, 0, kX);
  expect_race("__syncthreads");
}

TEST_F(RacesTest, SourceOfACopyIsReadUntilTheWait) {
  launch(1);
  copy(0, 0, 0, kX);
  races.commit(*blocks[0], 0, 1);
  global(0, 0, kX, kStore);
  expect_race("the thread has not waited for its copy");
}

TEST_F(RacesTest, BlocksOfALaunchRace) {
  launch(2);
  global(0, 0, kX, kStore);
  global(1, 0, kX, kLoad);
  expect_race("release at gpu scope");
  EXPECT_EQ(reports[0].earlier.block, 0u);
  EXPECT_EQ(reports[0].later.block, 1u);
}

TEST_F(RacesTest, ReadsOfManyBlocksThenAWrite) {
  launch(4);
  for (int block = 0; block < 4; ++block)
    for (int warp = 0; warp < 2; ++warp)
      warp_global(block, warp, kX, 4, kLoad);
  EXPECT_THAT(reports, IsEmpty());
  global(3, 0, kX, kStore);
  EXPECT_THAT(reports, SizeIs(1));
}

TEST_F(RacesTest, ReleaseAndAcquireAtGpuScope) {
  launch(2);
  warp_global(0, 0, kX, 4, kStore);
  barrier(0);
  global(0, 0, kFlag, update(Order::Release));
  global(1, 0, kFlag, load(Order::Acquire));
  barrier(1);
  warp_global(1, 1, kX, 4, kLoad);
  EXPECT_THAT(reports, IsEmpty());
}

TEST_F(RacesTest, WhatComesAfterTheReleaseIsNotReleased) {
  launch(2);
  global(0, 0, kFlag, store(Order::Release));
  global(0, 0, kX, kStore);
  global(1, 0, kFlag, load(Order::Acquire));
  global(1, 0, kX, kLoad);
  EXPECT_THAT(reports, SizeIs(1));
}

TEST_F(RacesTest, OtherLanesAreReleasedOnlyAfterABarrier) {
  launch(2);
  global(0, 1, kX, kStore);
  global(0, 0, kFlag, store(Order::Release));
  global(1, 0, kFlag, load(Order::Acquire));
  global(1, 0, kX, kLoad);
  EXPECT_THAT(reports, SizeIs(1));
}

TEST_F(RacesTest, RelaxedFlagReleasesNothing) {
  launch(2);
  global(0, 0, kX, kStore);
  global(0, 0, kFlag, store(Order::Relaxed));
  global(1, 0, kFlag, load(Order::Acquire));
  global(1, 0, kX, kLoad);
  expect_race("without a release");
  EXPECT_EQ(reports[0].sync_pc, 3u);
}

TEST_F(RacesTest, RelaxedReadDoesNotAcquire) {
  launch(2);
  global(0, 0, kX, kStore);
  global(0, 0, kFlag, store(Order::Release));
  global(1, 0, kFlag, load(Order::Relaxed));
  global(1, 0, kX, kLoad);
  expect_race("without acquiring it");
}

TEST_F(RacesTest, FencesMakeRelaxedAccessesSynchronise) {
  launch(2);
  global(0, 0, kX, kStore);
  fence(0, 0);
  global(0, 0, kFlag, store(Order::Relaxed));
  global(1, 0, kFlag, load(Order::Relaxed));
  fence(1, 0);
  global(1, 0, kX, kLoad);
  EXPECT_THAT(reports, IsEmpty());
}

TEST_F(RacesTest, FencesOfOneSideOnly) {
  launch(2);
  global(0, 0, kX, kStore);
  races.fence(*blocks[0], 0, 1, Reach::Gpu, Order::Release);
  global(0, 0, kFlag, store(Order::Relaxed));
  global(1, 0, kFlag, load(Order::Relaxed));
  races.fence(*blocks[1], 0, 1, Reach::Gpu, Order::Acquire);
  global(1, 0, kX, kLoad);
  EXPECT_THAT(reports, IsEmpty());
  global(0, 0, kX + 4, kStore);
  races.fence(*blocks[0], 0, 1, Reach::Gpu, Order::Acquire);
  global(0, 0, kFlag, store(Order::Relaxed));
  global(1, 0, kFlag, load(Order::Acquire));
  global(1, 0, kX + 4, kLoad);
  EXPECT_THAT(reports, SizeIs(1));
}

TEST_F(RacesTest, AWriteLetPassHidesNoneBeforeIt) {
  launch(3);
  global(0, 0, kX, kStore);
  global(0, 0, kFlag, store(Order::Release));
  global(1, 0, kFlag, load(Order::Acquire));
  global(1, 0, kX, store(Order::Relaxed)); // after the first, and passes beside the next one
  EXPECT_THAT(reports, IsEmpty());
  global(2, 0, kX, store(Order::Relaxed));
  EXPECT_THAT(reports, SizeIs(1));
}

TEST_F(RacesTest, FenceOfAnotherThreadDoesNot) {
  launch(2);
  global(0, 1, kX, kStore);
  fence(0, 1);
  races.warp_barrier(*blocks[0], 0, kAllLanes);
  global(0, 0, kFlag, store(Order::Relaxed));
  global(1, 0, kFlag, load(Order::Acquire));
  global(1, 0, kX, kLoad);
  expect_race("without a release");
}

TEST_F(RacesTest, ScopesHaveToReach) {
  for (const bool narrow_release : {true, false}) {
    reports.clear();
    launch(2);
    global(0, 0, kX, kStore);
    global(0, 0, kFlag, store(Order::Release, narrow_release ? Reach::Cta : Reach::Gpu));
    global(1, 0, kFlag, load(Order::Acquire, narrow_release ? Reach::Gpu : Reach::Cta));
    global(1, 0, kX, kLoad);
    // The flag's own accesses are not morally strong, and the data is not ordered.
    ASSERT_THAT(reports, SizeIs(2));
    EXPECT_EQ(reports[0].address, kFlag);
    EXPECT_THAT(reports[1].why, HasSubstr("cta scope"));
  }
}

TEST_F(RacesTest, CtaScopeServesABlock) {
  launch(1);
  shared(0, 0, 0, kStore);
  shared(0, 0, 64, store(Order::Release, Reach::Cta));
  shared(0, 40, 64, load(Order::Acquire, Reach::Cta));
  shared(0, 40, 0, kLoad);
  EXPECT_THAT(reports, IsEmpty());
}

TEST_F(RacesTest, AtomicsCarryReleasesOn) {
  launch(3);
  global(0, 0, kX, kStore);
  global(0, 0, kFlag, update(Order::Release));
  global(1, 0, kX + 4, kStore);
  global(1, 0, kFlag, update(Order::Release));
  global(2, 0, kFlag, load(Order::Acquire));
  global(2, 0, kX, kLoad);
  global(2, 0, kX + 4, kLoad);
  EXPECT_THAT(reports, IsEmpty());
}

TEST_F(RacesTest, AStoreOfAnotherThreadBreaksTheChain) {
  launch(3);
  global(0, 0, kX, kStore);
  global(0, 0, kFlag, store(Order::Release));
  global(1, 0, kFlag, store(Order::Relaxed));
  global(2, 0, kFlag, load(Order::Acquire));
  global(2, 0, kX, kLoad);
  EXPECT_THAT(reports, SizeIs(1));
}

TEST_F(RacesTest, ReleasesAreCumulative) {
  launch(3);
  global(0, 0, kX, kStore);
  global(0, 0, kFlag, store(Order::Release));
  global(1, 0, kFlag, load(Order::Acquire));
  barrier(1);
  global(1, 40, kFlag + 4, store(Order::Release));
  global(2, 0, kFlag + 4, load(Order::Acquire));
  global(2, 0, kX, kLoad);
  EXPECT_THAT(reports, IsEmpty());
}

TEST_F(RacesTest, GridBarrierOverAndOver) {
  constexpr int kBlocks = 4;
  launch(kBlocks);
  for (int round = 0; round < 5; ++round) {
    for (int block = 0; block < kBlocks; ++block) {
      for (int warp = 0; warp < 2; ++warp)
        warp_global(block, warp, kX + block * 256 + warp * 128, 4, kStore);
      barrier(block);
      global(block, 0, kFlag, update(Order::Release));
    }
    for (int block = 0; block < kBlocks; ++block) {
      global(block, 0, kFlag, load(Order::Acquire));
      barrier(block);
      for (int other = 0; other < kBlocks; ++other)
        warp_global(block, 1, kX + other * 256, 8, kLoad, 8);
    }
    // Without this second barrier the next round's writes would race with these reads.
    for (int block = 0; block < kBlocks; ++block) {
      barrier(block);
      global(block, 0, kFlag + 8, update(Order::Release));
    }
    for (int block = 0; block < kBlocks; ++block) {
      global(block, 0, kFlag + 8, load(Order::Acquire));
      barrier(block);
    }
  }
  EXPECT_THAT(reports, IsEmpty());
  global(0, 0, kX + 256, kLoad);
  global(1, 0, kX + 256, kStore);
  EXPECT_THAT(reports, SizeIs(1));
}

TEST_F(RacesTest, AtomicsDoNotRaceWithEachOther) {
  launch(2);
  global(0, 0, kX, update(Order::Relaxed));
  global(1, 0, kX, update(Order::Relaxed));
  global(1, 1, kX, load(Order::Relaxed));
  EXPECT_THAT(reports, IsEmpty());
  global(1, 2, kX, kLoad);
  EXPECT_THAT(reports, SizeIs(1));
}

TEST_F(RacesTest, AtomicsOfDifferentSizesRace) {
  launch(2);
  global(0, 0, kX, {.act = Act::Update, .order = Order::Relaxed, .element = 8}, 8);
  global(1, 0, kX, update(Order::Relaxed));
  EXPECT_THAT(reports, SizeIs(1));
}

TEST_F(RacesTest, NonCoherentReadsOfWhatTheLaunchWrites) {
  constexpr Access kNonCoherent{.act = Act::Load, .nc = true};
  launch(1);
  global(0, 0, kX, kStore);
  launch(1);
  global(0, 0, kX, kNonCoherent);
  EXPECT_THAT(reports, IsEmpty());
  barrier(0);
  global(0, 0, kX, kStore);
  ASSERT_THAT(reports, SizeIs(1));
  EXPECT_EQ(reports[0].kind, RaceReport::Kind::NonCoherentRead);
  barrier(0);
  global(0, 40, kX, kNonCoherent);
  EXPECT_THAT(reports, SizeIs(2));
}

TEST_F(RacesTest, LaunchesOfAStreamFollowEachOther) {
  launch(2);
  global(0, 0, kX, kStore);
  launch(2);
  global(1, 0, kX, kLoad);
  global(1, 0, kX, kStore);
  EXPECT_THAT(reports, IsEmpty());
}

TEST_F(RacesTest, LaunchesOfTwoStreamsDoNot) {
  const Streams::Stream a = races.streams().create(true);
  const Streams::Stream b = races.streams().create(true);
  launch(1, 64, a);
  global(0, 0, kX, kStore);
  launch(1, 64, b);
  global(0, 0, kX, kLoad);
  expect_race("streams");
  EXPECT_EQ(reports[0].earlier.operation, 1u);
  EXPECT_EQ(reports[0].later.operation, 2u);
}

TEST_F(RacesTest, EventsAndTheHostOrderStreams) {
  Streams &streams = races.streams();
  const Streams::Stream a = streams.create(true);
  const Streams::Stream b = streams.create(true);
  launch(1, 64, a);
  global(0, 0, kX, kStore);
  streams.wait(b, streams.record(a));
  launch(1, 64, b);
  global(0, 0, kX, kStore);
  streams.synchronize(b);
  launch(1, 64, a);
  global(0, 0, kX, kStore);
  launch(1, 64, 0); // does not wait for what was made as non-blocking
  EXPECT_THAT(reports, IsEmpty());
  global(0, 0, kX, kLoad);
  EXPECT_THAT(reports, SizeIs(1));
}

TEST_F(RacesTest, CopiesOfTheHostBesideALaunch) {
  Streams &streams = races.streams();
  const Streams::Stream a = streams.create(true);
  const Streams::Stream b = streams.create(true);
  races.host_copy(a, kX, 256, true);
  launch(1, 64, a);
  global(0, 0, kX, kLoad);
  EXPECT_THAT(reports, IsEmpty());
  launch(1, 64, b);
  global(0, 0, kX + 128, kLoad);
  ASSERT_THAT(reports, SizeIs(1));
  EXPECT_EQ(reports[0].earlier.kernel, "");
  streams.synchronize_all();
  reports.clear();
  launch(1, 64, a);
  global(0, 0, kX + 4, kStore);
  races.host_copy(b, kX, 16, false);
  EXPECT_THAT(reports, SizeIs(1));
}

TEST_F(RacesTest, SharedMemoryOfTheBlockBefore) {
  launch(1);
  shared(0, 0, 0, kStore);
  shared(0, 32, 5, kStore, 1);
  shared(0, 33, 6, kStore, 1);
  copy(0, 0, 16, kX);
  for (int round = 0; round < 2; ++round) {
    races.end_block(std::move(blocks[0]));
    blocks[0] = races.begin_block(1 + round, 64, 0x400);
    shared(0, 40, 0, kLoad);
    shared(0, 40, 4, kLoad);
    shared(0, 41, 16, kStore);
  }
  EXPECT_THAT(reports, IsEmpty());
}

} // namespace
} // namespace quern::ptx::memory
