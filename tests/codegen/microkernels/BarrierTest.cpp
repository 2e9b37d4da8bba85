// Tests that nobody passes the barrier before all have come, that writes before it are seen after
// it (ThreadSanitizer watches, in its preset), and that waiting workers yield.
#include "tests/codegen/microkernels/Support.h"

#include <atomic>
#include <functional>
#include <thread>

namespace quern::native {
namespace {

std::atomic<int> yields;

/// Runs work(worker) for each worker at the same time, the first in this thread.
void run_workers(int workers, const std::function<void(int)> &work) {
  std::vector<std::thread> threads;
  for (int worker = 1; worker < workers; ++worker)
    threads.emplace_back(work, worker);
  work(0);
  for (std::thread &thread : threads)
    thread.join();
}

TEST(Barrier, SeparatesPhases) {
  for (const Build &build : usable_builds()) {
    constexpr int kWorkers = 3, kPhases = 60; // few: machines with fewer cores take turns
    QuernBarrier barrier = {};
    QuernStepArgs args = {};
    args.barrier = &barrier;
    args.yield = [] {
      ++yields;
      std::this_thread::yield();
    };
    // Plain memory: each phase everyone writes its own cell and then reads all.
    std::vector<int> cells(kWorkers, -1);
    std::atomic<int> wrong = 0;
    const auto work = [&](int worker) {
      for (int phase = 0; phase < kPhases; ++phase) {
        cells[worker] = phase;
        build.kernels->qk_barrier(&args, worker, kWorkers);
        for (const int cell : cells)
          wrong += cell != phase;
        build.kernels->qk_barrier(&args, worker, kWorkers);
      }
    };
    run_workers(kWorkers, work);
    EXPECT_EQ(wrong, 0) << build.name;
    EXPECT_EQ(barrier.arrived, 0u);
    EXPECT_EQ(barrier.phase, 2u * kPhases);
  }
}

TEST(Barrier, YieldsWhileWaitingLong) {
  for (const Build &build : usable_builds()) {
    QuernBarrier barrier = {};
    QuernStepArgs args = {};
    args.barrier = &barrier;
    args.yield = [] { ++yields; };
    yields = 0;
    std::thread other([&] { build.kernels->qk_barrier(&args, 1, 2); });
    while (yields == 0)
      std::this_thread::yield();
    build.kernels->qk_barrier(&args, 0, 2);
    other.join();
  }
}

TEST(Barrier, LetsOneWorkerPass) {
  for (const Build &build : usable_builds()) {
    QuernBarrier barrier = {};
    QuernStepArgs args = {};
    args.barrier = &barrier;
    build.kernels->qk_barrier(&args, 0, 1);
  }
}

TEST(Chunks, AreGivenOnceAndFromZeroAfterABarrier) {
  for (const Build &build : usable_builds())
    for (const int workers : {1, 3}) {
      constexpr int kPhases = 20, kChunks = 100;
      QuernBarrier barrier = {};
      QuernStepArgs args = {};
      args.barrier = &barrier;
      args.yield = [] { std::this_thread::yield(); };
      std::vector<std::atomic<int>> given(kChunks);
      const auto work = [&](int worker) {
        for (int phase = 0; phase < kPhases; ++phase) {
          int64_t chunk;
          while ((chunk = build.kernels->qk_next_chunk(&args)) < kChunks)
            ++given[chunk];
          build.kernels->qk_barrier(&args, worker, workers);
        }
      };
      run_workers(workers, work);
      for (const std::atomic<int> &times : given)
        EXPECT_EQ(times, kPhases) << build.name;
    }
}

TEST(NoteTime, IsOfTheFirstWorkerWhereItIsAskedFor) {
  for (const Build &build : usable_builds()) {
    uint64_t ticks[3] = {};
    QuernStepArgs args = {};
    build.kernels->qk_note_time(&args, 0, 1);
    args.ticks = ticks;
    build.kernels->qk_note_time(&args, 1, 0);
    build.kernels->qk_note_time(&args, 0, 1);
    build.kernels->qk_note_time(&args, 0, 2);
    EXPECT_EQ(ticks[0], 0u);
    EXPECT_GT(ticks[1], 0u);
    EXPECT_GE(ticks[2], ticks[1]);
  }
}

} // namespace
} // namespace quern::native
