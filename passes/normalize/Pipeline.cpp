// The order of the normalize phase.
#include "passes/normalize/Passes.h"

#include "mlir/Pass/PassManager.h"

namespace quern {

void buildNormalizePhase(mlir::OpPassManager &pm) {
  // A symbol that is wrong would only be found when the planner sizes a buffer by it: look first.
  pm.addPass(createCheckSymbols());
  pm.addPass(createDecomposeSoftmax());
  pm.addPass(createSimplify());
  // Layers refer to the same weights and tables; one reference of each is left.
  pm.addPass(createMergeEqual());
  pm.addPass(createHoistReferences());
  pm.addPass(createDropUnused());
  // Behind what may find two results to be one.
  pm.addPass(createCopyResults());
  pm.addPass(createVerifyNormalize());
}

} // namespace quern
