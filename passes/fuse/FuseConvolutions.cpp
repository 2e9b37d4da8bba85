// --quern-fuse-convolutions: a convolution and its activation.
#include "passes/fuse/Epilogue.h"
#include "passes/fuse/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_FUSECONVOLUTIONS
#include "passes/fuse/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"fuse", "fuse-convolutions"};

StringRef rule(Operation *user, Value value, bool throughViews) {
  if (user->getNumOperands() != 1) // another might be computed after the convolution only
    return "only functions of one operand join a convolution";
  return sameColumns(user, value, throughViews);
}

struct FuseConvolutionsPass : impl::FuseConvolutionsBase<FuseConvolutionsPass> {
  using FuseConvolutionsBase::FuseConvolutionsBase;

  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation()))
      for (CausalConv1dOp conv : llvm::to_vector(entry.getOps<CausalConv1dOp>())) {
        AnchorRegion region(conv, kRemarks, {numFused, numMissed});
        if (join)
          region.takeEpilogue(rule);
        region.build();
      }
  }
};
} // namespace
} // namespace quern
