// Verifiers and folds of GeneralOps.td.
#include "ir/quern/QuernDialect.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace quern;

LogicalResult SizeOp::verify() {
  if (getDim().empty())
    return emitOpError("C1: the expression is not empty");
  return success();
}

LogicalResult WeightTensorOp::verify() {
  if (getType().getShape() != getWeight().getType().getShape())
    return emitOpError("C1: the result has the weight's shape");
  return success();
}

LogicalResult ReshapeOp::verify() {
  RankedTensorType from = getInput().getType(), to = getType();
  if (from.getElementType() != to.getElementType())
    return emitOpError("C1: elements stay of one type");
  if (from.hasStaticShape() && to.hasStaticShape() && from.getNumElements() != to.getNumElements())
    return emitOpError("C1: ") << from.getNumElements() << " elements become "
                               << to.getNumElements();
  return success();
}

OpFoldResult ReshapeOp::fold(FoldAdaptor) {
  Value source = getInput();
  while (auto before = source.getDefiningOp<ReshapeOp>())
    source = before.getInput();
  if (source.getType() == getType())
    return source;
  if (source == getInput())
    return {};
  getInputMutable().assign(source);
  return getResult();
}

OpFoldResult CheckIndexOp::fold(FoldAdaptor) {
  llvm::APInt index, size;
  if (!matchPattern(getIndex(), m_ConstantInt(&index)) ||
      !matchPattern(getSize(), m_ConstantInt(&size)))
    return {};
  const int64_t most = size.getSExtValue();
  int64_t at = index.getSExtValue();
  if (getFromEnd() && at < 0)
    at += most;
  // A fault stays, for the call to report.
  return at >= 0 && at < most ? IntegerAttr::get(getType(), at) : OpFoldResult();
}

OpFoldResult CheckDivisorOp::fold(FoldAdaptor) {
  llvm::APInt divisor;
  return matchPattern(getDivisor(), m_ConstantInt(&divisor)) && !divisor.isZero()
             ? OpFoldResult(getDivisor())
             : OpFoldResult();
}

LogicalResult WhereTrueOp::verify() {
  auto type = dyn_cast<RankedTensorType>(getType());
  if (!type || type.getRank() != 1)
    return emitOpError("C1: the result is of rank 1");
  return success();
}
