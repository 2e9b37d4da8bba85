#include "runtime/device/cpu/WorkerPool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <thread>

namespace quern::device {
namespace {

struct Count {
  std::atomic<int> calls{0};
  std::atomic<int> workers{0}; // bit mask of those that came
};

void count(void *context, int worker, int num_workers) {
  auto *c = static_cast<Count *>(context);
  c->calls += 1;
  c->workers |= 1 << worker;
}

// Tests that each worker is called once a run, with more workers than CPUs too.
TEST(WorkerPool, RunsEveryWorkerOnce) {
  for (int workers : {1, 2, 5}) {
    auto pool = WorkerPool::create(workers);
    ASSERT_TRUE(pool.ok());
    for (int run = 1; run <= 500; ++run) {
      Count c;
      (*pool)->run(count, &c);
      ASSERT_EQ(c.calls, workers);
      ASSERT_EQ(c.workers, (1 << workers) - 1);
    }
  }
}

// Tests that workers that slept wake up, and take no CPU time meanwhile.
TEST(WorkerPool, SleepsWhenIdle) {
  auto pool = WorkerPool::create(4);
  ASSERT_TRUE(pool.ok());
  Count c;
  (*pool)->run(count, &c);
  std::this_thread::sleep_for(std::chrono::milliseconds(20)); // spins end
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const double seconds = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  EXPECT_LT(seconds, 0.05);
  (*pool)->run(count, &c);
  EXPECT_EQ(c.calls, 8);
}

TEST(WorkerPool, RefusesImpossibleCounts) {
  EXPECT_EQ(WorkerPool::create(0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(WorkerPool::create(1 << 20).status().code(), absl::StatusCode::kInvalidArgument);
}

} // namespace
} // namespace quern::device
