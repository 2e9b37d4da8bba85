// --quern-fuse-expert-epilogues: experts' activations, and their sum, while products are in
// registers.
#include "passes/fuse/Epilogue.h"
#include "passes/fuse/Passes.h"
#include "passes/target/Target.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_FUSEEXPERTEPILOGUES
#include "passes/fuse/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"fuse", "fuse-expert-epilogues"};

/// Gate and up are columns [a, a+n) and [b, b+n) of each block, a kernel computes a panel at a
/// time.
StringRef gatedSlices(GatedActOp op, Value value, int64_t choices, int64_t panel) {
  for (Value side : {op.getGate(), op.getUp()}) {
    auto slice = side.getDefiningOp<SliceOp>();
    if (!slice || slice.getInput() != value || static_cast<int64_t>(slice.getGroups()) != choices)
      return "gate and up are not two slices of each expert's columns";
    if (slice.getOffset() % panel != 0)
      return "a slice begins inside a panel of columns";
  }
  return "";
}

struct FuseExpertEpiloguesPass : impl::FuseExpertEpiloguesBase<FuseExpertEpiloguesPass> {
  using FuseExpertEpiloguesBase::FuseExpertEpiloguesBase;

  void runOnOperation() override {
    const int64_t panel = target::of(getOperation()).panelColumns;
    for (func::FuncOp entry : entriesOf(getOperation())) {
      // Last first, as linears.
      auto all = llvm::to_vector(entry.getOps<ExpertLinearOp>());
      for (ExpertLinearOp expert : llvm::reverse(all)) {
        AnchorRegion region(expert, kRemarks, {numFused, numMissed});
        bool combined = false;
        auto rule = [&](Operation *user, Value value, bool throughViews) -> StringRef {
          if (auto gated = dyn_cast<GatedActOp>(user); gated && throughViews && !combined)
            return gatedSlices(gated, value, expert.choices(), panel);
          if (isa<CombineOp>(user)) {
            if (throughViews || combined || value != user->getOperand(0))
              return "it sums up other columns";
            combined = true;
            return "";
          }
          if (StringRef why = sameColumns(user, value, throughViews); !why.empty())
            return why;
          if (!combined && user->getNumOperands() != 1)
            return "beside the products it reads other rows";
          if (auto binary = dyn_cast<BinaryOp>(user))
            if (binary.getRepeat() != 1 && binary.getRepeat() % panel != 0)
              return "its other side changes inside a panel of columns";
          return "";
        };
        if (join)
          region.takeEpilogue(rule);
        region.build();
      }
    }
  }
};
} // namespace
} // namespace quern
