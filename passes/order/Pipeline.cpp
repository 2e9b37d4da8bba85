// The order of the order phase.
#include "passes/order/Passes.h"

#include "mlir/Pass/PassManager.h"

namespace quern {

void buildOrderPhase(mlir::OpPassManager &pm) {
  // Before barriers: what every worker computes for itself, nobody waits for.
  pm.addPass(createReplicateDispatches());
  pm.addPass(createPlaceBarriers());
  pm.addPass(createMarkArgmax());
  // After all marks: they are part of what makes dispatches alike.
  pm.addPass(createFindRepeats());
  pm.addPass(createVerifyOrder());
}

} // namespace quern
