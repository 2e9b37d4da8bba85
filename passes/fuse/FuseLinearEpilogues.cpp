// --quern-fuse-linear-epilogues: activations and residuals while the result is in registers.
#include "passes/fuse/Epilogue.h"
#include "passes/fuse/Passes.h"
#include "passes/target/Target.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_FUSELINEAREPILOGUES
#include "passes/fuse/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"fuse", "fuse-linear-epilogues"};

/// Gate and up are the result's columns [a, a+n) and [b, b+n), a kernel computes a panel at a time.
StringRef gatedSlices(GatedActOp op, Value value, int64_t panel) {
  for (Value side : {op.getGate(), op.getUp()}) {
    auto slice = side.getDefiningOp<SliceOp>();
    if (!slice || slice.getInput() != value || slice.getGroups() != 1)
      return "gate and up are not two slices of one linear";
    if (slice.getOffset() % panel != 0)
      return "a slice begins inside a panel of columns";
  }
  return "";
}

StringRef rule(Operation *user, Value value, bool throughViews, int64_t panel) {
  if (auto gated = dyn_cast<GatedActOp>(user); gated && throughViews)
    return gatedSlices(gated, value, panel);
  if (StringRef why = sameColumns(user, value, throughViews); !why.empty())
    return why;
  if (auto binary = dyn_cast<BinaryOp>(user))
    if (binary.getRepeat() != 1 && binary.getRepeat() % panel != 0)
      return "its other side changes inside a panel of columns";
  return "";
}

struct FuseLinearEpiloguesPass : impl::FuseLinearEpiloguesBase<FuseLinearEpiloguesPass> {
  using FuseLinearEpiloguesBase::FuseLinearEpiloguesBase;

  void runOnOperation() override {
    auto atPanels = [panel = target::of(getOperation()).panelColumns](Operation *user, Value value,
                                                                      bool throughViews) {
      return rule(user, value, throughViews, panel);
    };
    for (func::FuncOp entry : entriesOf(getOperation())) {
      // Last first: where two linears meet in an addition, the other's result is there already when
      // the later one ends.
      auto linears = llvm::to_vector(entry.getOps<LinearOp>());
      for (LinearOp linear : llvm::reverse(linears)) {
        AnchorRegion region(linear, kRemarks, {numFused, numMissed});
        if (join)
          region.takeEpilogue(atPanels);
        region.build();
      }
    }
  }
};
} // namespace
} // namespace quern
