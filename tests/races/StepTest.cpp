// Tests that what one worker writes before the barrier of compiled models is all there for the
// others after it, through step after step of the pool that runs them. ThreadSanitizer watches:
// memory is plain.
#include "codegen/cpu/microkernels/Microkernels.h"
#include "runtime/device/cpu/WorkerPool.h"

#include <gtest/gtest.h>

#include <sched.h>

namespace quern::device {
namespace {

constexpr int kMostWorkers = 5; // more than small machines have cores: they take turns
constexpr int kPhases = 8;

struct Step {
  QuernStepArgs args = {};
  QuernBarrier barrier = {};
  int number = 0;
  int cells[kMostWorkers] = {};
  int wrong[kMostWorkers] = {};
};

void run_step(void *context, int worker, int num_workers) {
  auto *step = static_cast<Step *>(context);
  for (int phase = 0; phase < kPhases; ++phase) {
    const int value = step->number * kPhases + phase;
    step->cells[worker] = value;
    qk_barrier(&step->args, worker, num_workers);
    for (int other = 0; other < num_workers; ++other)
      step->wrong[worker] += step->cells[other] != value;
    qk_barrier(&step->args, worker, num_workers);
  }
}

TEST(Races, StepsOfManyPhases) {
  for (int workers : {1, 2, 3, kMostWorkers}) {
    auto pool = WorkerPool::create(workers);
    ASSERT_TRUE(pool.ok());
    Step step;
    step.args.barrier = &step.barrier;
    step.args.yield = [] { sched_yield(); };
    for (step.number = 0; step.number < 20; ++step.number) {
      step.barrier = {}; // as the device does before each step
      (*pool)->run(run_step, &step);
    }
    for (int wrong : step.wrong)
      EXPECT_EQ(wrong, 0) << workers << " workers";
  }
}

} // namespace
} // namespace quern::device
