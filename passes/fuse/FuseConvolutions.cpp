// --quern-fuse-convolutions: a convolution and its activation.
#include "passes/analysis/Remarks.h"
#include "passes/fuse/Epilogue.h"
#include "passes/fuse/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_FUSECONVOLUTIONS
#include "passes/fuse/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"fuse", "fuse-convolutions"};

StringRef rule(Operation *user, Value value, bool throughViews) {
  if (!isa<UnaryOp>(user))
    return "only functions of one operand join a convolution";
  return sameColumns(user, value, throughViews);
}

struct FuseConvolutionsPass : impl::FuseConvolutionsBase<FuseConvolutionsPass> {
  using FuseConvolutionsBase::FuseConvolutionsBase;

  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation())) {
      for (CausalConv1dOp conv : llvm::to_vector(entry.getOps<CausalConv1dOp>())) {
        RegionOps ops;
        ops.insert(conv);
        EpilogueEnd end = join ? growEpilogue(conv.getResult(), ops, rule) : EpilogueEnd();
        numFused += end.fused;
        if (end.missed) {
          ++numMissed;
          kRemarks.miss(conv) << say("'{0}' stays outside its region: {1}",
                                     end.missed->getName().getStringRef(), end.why);
        }
        // It writes state, so it stays in its place; a function reads nothing but its result.
        FusedOp fused = buildRegion("causal_conv1d", conv, ops, conv);
        if (end.fused)
          kRemarks.hit(fused) << say(
              [&] { return companions(fused) + " joined the " + fused.getAnchor().str(); });
      }
    }
  }
};
} // namespace
} // namespace quern
