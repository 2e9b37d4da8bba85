// --quern-verify-normalize: what holds after the normalize phase.
#include "passes/analysis/Buffers.h"
#include "passes/normalize/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_VERIFYNORMALIZE
#include "passes/normalize/Passes.h.inc"

namespace {

LogicalResult verifyTypes(Operation &op) {
  for (Type type : llvm::concat<const Type>(op.getOperandTypes(), op.getResultTypes()))
    if ((isRows(type) || isIndices(type) || isChoices(type) || isa<Q8RowsType>(type)) &&
        !isKnownSymbol(rowsOf(type)))
      return op.emitOpError("has rows counted by '")
             << rowsOf(type) << "'; after normalize, rows are counted by T, B or R";
  return success();
}

LogicalResult verifyReturn(func::ReturnOp op) {
  llvm::SmallDenseSet<Value> seen;
  for (auto [index, value] : llvm::enumerate(op.getOperands())) {
    if (!value.getDefiningOp() || isReference(value.getDefiningOp()))
      return op.emitError("result ") << index << " of the entry is not computed by it";
    if (!seen.insert(value).second)
      return op.emitError("result ") << index << " of the entry is returned twice";
  }
  return success();
}

LogicalResult verifyEntry(func::FuncOp entry) {
  if (failed(verifyEntryForm(entry)))
    return failure();
  bool references = true;
  for (Operation &op : entry.getBody().front()) {
    if (isa<FusedOp, DispatchOp>(op))
      return op.emitOpError("is not legal before the fuse phase");
    if (isa<QuantizeRowsOp>(op))
      return op.emitOpError("is not legal before the quantize phase");
    if (auto ret = dyn_cast<func::ReturnOp>(op))
      return verifyReturn(ret);
    if (failed(verifyTypes(op)))
      return failure();
    if (isReference(&op) && !references)
      return op.emitOpError("comes after computation; quern-hoist-references moves it");
    references &= isReference(&op);
    if (isOpTriviallyDead(&op))
      return op.emitOpError("has no use; quern-simplify removes it");
  }
  return success();
}

struct VerifyNormalizePass : impl::VerifyNormalizeBase<VerifyNormalizePass> {
  void runOnOperation() override {
    for (Operation &op : getOperation().getOps())
      if (isa<PackedOp, KernelOp>(op)) {
        op.emitOpError("is not legal before the schedule phase");
        return signalPassFailure();
      }
    for (func::FuncOp entry : entriesOf(getOperation()))
      if (failed(verifyEntry(entry)))
        return signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
} // namespace quern
