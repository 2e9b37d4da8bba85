// Verifiers and folds of GeneralOps.td.
#include "ir/quern/QuernDialect.h"

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
