// The order of the fuse phase.
#include "passes/fuse/Passes.h"

#include "mlir/Pass/PassManager.h"

namespace quern {

void buildFusePhase(mlir::OpPassManager &pm, llvm::function_ref<bool(llvm::StringRef)> isOn) {
  // First, so that a gated activation finds its gate and its up in one linear.
  if (isOn("merge-sibling-linears"))
    pm.addPass(createMergeSiblingLinears());
  if (isOn("merge-sibling-experts"))
    pm.addPass(createMergeSiblingExperts());
  pm.addPass(createFuseGeneric());
  pm.addPass(createCopyLinearInputs());
  // Anchors that stream the most bytes choose first what follows them. One that is off still gives
  // its anchors regions.
  pm.addPass(createFuseLinearEpilogues({isOn("fuse-linear-epilogues")}));
  pm.addPass(createFuseExpertEpilogues({isOn("fuse-expert-epilogues")}));
  pm.addPass(createFuseAttentionPrologues({isOn("fuse-attention-prologues")}));
  pm.addPass(createFuseConvolutions({isOn("fuse-convolutions")}));
  pm.addPass(createFuseRecurrences({isOn("fuse-recurrences")}));
  pm.addPass(createFuseEmbeddings({isOn("fuse-embeddings")}));
  // Anchors without a pass of their own.
  pm.addPass(createFuseAnchors({isOn("fuse-anchors")}));
  // Whatever is left.
  pm.addPass(createFuseRows({isOn("fuse-rows")}));
  pm.addPass(createVerifyFuse());
}

} // namespace quern
