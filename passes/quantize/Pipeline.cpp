// The order of the quantize phase.
#include "passes/quantize/Passes.h"

#include "mlir/Pass/PassManager.h"

namespace quern {

void buildQuantizePhase(mlir::OpPassManager &pm, const QuantizeWeightsOptions &formats) {
  pm.addPass(createQuantizeWeights(formats));
  // What linears read depends on their weights' formats.
  pm.addPass(createQuantizeActivations());
  pm.addPass(createVerifyQuantize());
}

} // namespace quern
