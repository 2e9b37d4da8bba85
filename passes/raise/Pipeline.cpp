// The order of the raise phase.
#include "passes/normalize/Passes.h"
#include "passes/raise/Passes.h"

#include "mlir/Pass/PassManager.h"

namespace quern {

void buildRaisePhase(mlir::OpPassManager &pm) {
  // Exporters compute the same mask, and the same table, in every layer.
  pm.addPass(createMergeEqual());
  pm.addPass(createRaiseLinears());
  pm.addPass(createRaiseBiases());
  pm.addPass(createRaiseRotary());
  pm.addPass(createRaiseAttention());
  pm.addPass(createRaiseMasks());
  // When it is known which rows are cosines or masks.
  pm.addPass(createRaiseEmbeddings());
  pm.addPass(createRaiseNorms());
  // Last: what is left between the others.
  pm.addPass(createRaiseElementwise());
}

} // namespace quern
