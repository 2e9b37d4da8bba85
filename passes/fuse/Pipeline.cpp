// The order of the fuse phase.
#include "passes/fuse/Passes.h"

#include "mlir/Pass/PassManager.h"

namespace quern {

void buildFusePhase(mlir::OpPassManager &pm) {
  // First, so that a gated activation finds its gate and its up in one linear.
  pm.addPass(createMergeSiblingLinears());
  // Anchors that stream the most bytes choose first what follows them.
  pm.addPass(createFuseLinearEpilogues());
  pm.addPass(createFuseAttentionPrologues());
  pm.addPass(createFuseConvolutions());
  pm.addPass(createFuseRecurrences());
  pm.addPass(createFuseEmbeddings());
  // Whatever is left.
  pm.addPass(createFuseRows());
  pm.addPass(createVerifyFuse());
}

} // namespace quern
