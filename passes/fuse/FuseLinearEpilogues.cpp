// --quern-fuse-linear-epilogues: activations and residuals while the result is in registers.
#include "ir/formats/PackingLayout.h"
#include "passes/fuse/Epilogue.h"
#include "passes/fuse/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_FUSELINEAREPILOGUES
#include "passes/fuse/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"fuse", "fuse-linear-epilogues"};

/// Gate and up are the result's columns [a, a+n) and [b, b+n), a kernel computes 16 at a time.
StringRef gatedSlices(GatedActOp op, Value value) {
  for (Value side : {op.getGate(), op.getUp()}) {
    auto slice = side.getDefiningOp<SliceOp>();
    if (!slice || slice.getInput() != value)
      return "gate and up are not two slices of one linear";
    if (slice.getOffset() % formats::kPanelLanes != 0)
      return "a slice begins inside a panel of 16 columns";
  }
  return "";
}

StringRef rule(Operation *user, Value value, bool throughViews) {
  if (auto gated = dyn_cast<GatedActOp>(user); gated && throughViews)
    return gatedSlices(gated, value);
  if (StringRef why = sameColumns(user, value, throughViews); !why.empty())
    return why;
  if (auto binary = dyn_cast<BinaryOp>(user))
    if (binary.getRepeat() != 1 && binary.getRepeat() % formats::kPanelLanes != 0)
      return "its other side changes inside a panel of 16 columns";
  return "";
}

struct FuseLinearEpiloguesPass : impl::FuseLinearEpiloguesBase<FuseLinearEpiloguesPass> {
  using FuseLinearEpiloguesBase::FuseLinearEpiloguesBase;

  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation())) {
      // Last first: where two linears meet in an addition, the other's result is there already when
      // the later one ends.
      auto linears = llvm::to_vector(entry.getOps<LinearOp>());
      for (LinearOp linear : llvm::reverse(linears)) {
        AnchorRegion region(linear, kRemarks, {numFused, numMissed});
        if (join)
          region.takeEpilogue(rule);
        region.build();
      }
    }
  }
};
} // namespace
} // namespace quern
