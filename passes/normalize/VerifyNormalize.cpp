// --quern-verify-normalize: what holds after the normalize phase.
#include "passes/analysis/Buffers.h"
#include "passes/analysis/GeneralOps.h"
#include "passes/normalize/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_VERIFYNORMALIZE
#include "passes/normalize/Passes.h.inc"

namespace {

LogicalResult verifyTypes(Operation &op, const symbols::Maxima &sizes) {
  for (Type type : llvm::concat<const Type>(op.getOperandTypes(), op.getResultTypes()))
    for (StringAttr name : dimNames(type))
      if (!isKnownSymbol(name.getValue()) && !dimOf(name.getValue(), sizes))
        return op.emitOpError("has a dimension '")
               << name.getValue()
               << "', which is not T, B or R, nor an expression over the module's "
               << attrs::kSizes;
  return success();
}

LogicalResult verifyReturn(func::ReturnOp op) {
  llvm::SmallDenseSet<Value> seen;
  for (auto [index, value] : llvm::enumerate(op.getOperands())) {
    if (!isComputed(value))
      return op.emitError("result ") << index << " of the entry is not computed by it";
    if (!seen.insert(value).second)
      return op.emitError("result ") << index << " of the entry is returned twice";
  }
  return success();
}

LogicalResult verifyEntry(func::FuncOp entry) {
  if (failed(verifyEntryForm(entry)))
    return failure();
  const symbols::Maxima sizes = sizesOf(entry);
  bool references = true;
  for (Operation &op : entry.getBody().front()) {
    if (isa<FusedOp, DispatchOp>(op))
      return op.emitOpError("is not legal before the fuse phase");
    if (isa<linalg::SoftmaxOp>(op))
      return op.emitOpError("is not legal after normalize; quern-decompose-softmax takes it apart");
    if (isa<QuantizeRowsOp>(op))
      return op.emitOpError("is not legal before the quantize phase");
    if (auto ret = dyn_cast<func::ReturnOp>(op))
      return verifyReturn(ret);
    if (failed(verifyTypes(op, sizes)))
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
