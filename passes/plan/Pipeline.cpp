// The order of the plan phase.
#include "passes/plan/Passes.h"

#include "mlir/Pass/PassManager.h"

namespace quern {

void buildPlanPhase(mlir::OpPassManager &pm) {
  pm.addPass(createPlanWeights());
  pm.addPass(createPlanStates());
  pm.addPass(createPlanArena());
  pm.addPass(createVerifyPlan());
}

} // namespace quern
