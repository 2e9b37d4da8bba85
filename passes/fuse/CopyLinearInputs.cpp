// --quern-copy-linear-inputs: a linear reads rows that lie by themselves.
#include "passes/analysis/Entries.h"
#include "passes/fuse/Passes.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_COPYLINEARINPUTS
#include "passes/fuse/Passes.h.inc"

namespace {
struct CopyLinearInputsPass : impl::CopyLinearInputsBase<CopyLinearInputsPass> {
  using CopyLinearInputsBase::CopyLinearInputsBase;

  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation()))
      for (SliceOp slice : llvm::to_vector(entry.getOps<SliceOp>())) {
        if (llvm::none_of(slice->getUsers(), llvm::IsaPred<LinearOp>))
          continue;
        OpBuilder builder(slice);
        builder.setInsertionPointAfter(slice);
        // A copy: normalize has no scale by 1 left, and none is made after it.
        auto copy = ScaleOp::create(builder, slice.getLoc(), slice.getType(), slice.getResult(),
                                    builder.getF32FloatAttr(1));
        slice.getResult().replaceUsesWithIf(
            copy.getResult(), [](OpOperand &use) { return isa<LinearOp>(use.getOwner()); });
        ++numCopied;
      }
  }
};
} // namespace
} // namespace quern
