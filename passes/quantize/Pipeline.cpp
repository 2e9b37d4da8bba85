// The order of the quantize phase.
#include "passes/quantize/Passes.h"

#include "mlir/Pass/PassManager.h"

namespace quern {

void buildQuantizePhase(mlir::OpPassManager &pm, const QuantizeWeightsOptions &weights,
                        const QuantizeStatesOptions &states,
                        const QuantizeActivationsOptions &activations) {
  pm.addPass(createQuantizeWeights(weights));
  pm.addPass(createQuantizeStates(states));
  // What linears read depends on their weights' formats.
  pm.addPass(createQuantizeActivations(activations));
  pm.addPass(createVerifyQuantize());
}

} // namespace quern
