// The order of the schedule phase.
#include "passes/normalize/Passes.h"
#include "passes/schedule/Passes.h"

#include "mlir/Pass/PassManager.h"

namespace quern {

void buildSchedulePhase(mlir::OpPassManager &pm, const MakeBucketsOptions &buckets) {
  // Equal expressions on weights are one value from here on.
  pm.addPass(createMergeEqual());
  pm.addPass(createOutlineWeights());
  pm.addPass(createOutlineKernels());
  // Last: buckets share weights and kernels.
  pm.addPass(createMakeBuckets(buckets));
  pm.addPass(createVerifySchedule());
}

} // namespace quern
