#include "passes/raise/Rows.h"

#include "passes/analysis/Entries.h"
#include "passes/analysis/GeneralOps.h"
#include "passes/raise/Product.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;

namespace quern::raise {

RankedTensorType rowsOfTensor(Type type) {
  if (isRows(type))
    return cast<RankedTensorType>(type);
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.getElementType().isF32() || tensor.getRank() < 2 ||
      tensor.isDynamicDim(tensor.getRank() - 1))
    return {};
  symbols::Dim rows(1);
  for (unsigned i = 0; i + 1 < tensor.getRank(); ++i)
    rows *= countOf(dimOf(tensor, i));
  if (!rows.valid())
    return {};
  return rowsType(type.getContext(), rows.text(), tensor.getShape().back());
}

static Value reshaped(OpBuilder &builder, Location loc, Value value, Type type) {
  value = behindReshapes(value);
  if (value.getType() == type)
    return value;
  return ReshapeOp::create(builder, loc, type, value);
}

Value asRows(OpBuilder &builder, Location loc, Value value) {
  return reshaped(builder, loc, value, rowsOfTensor(value.getType()));
}

Value asTensor(OpBuilder &builder, Location loc, Value rows, Type type) {
  return reshaped(builder, loc, rows, type);
}

bool isAccepted(Operation *made, std::string &why) {
  ScopedDiagnosticHandler said(made->getContext(), [&](Diagnostic &diagnostic) {
    if (why.empty())
      why = diagnostic.str();
    return success();
  });
  if (succeeded(verify(made)))
    return true;
  if (why.empty())
    why = "the op that it is does not take it";
  made->erase();
  return false;
}

Value behindReshapes(Value value) {
  while (auto reshape = value.getDefiningOp<ReshapeOp>())
    value = reshape.getInput();
  return value;
}

bool isModelOp(Operation *op) {
  return op && isa<QuernDialect>(op->getDialect()) && !isGeneral(op) && !isReference(op);
}

ModelReads::ModelReads(Block &block) {
  for (Operation &op : block)
    if (isModelOp(&op))
      for (Value operand : op.getOperands())
        add(operand);
}

void ModelReads::add(Value value) {
  values.insert(value);
  while (auto reshape = value.getDefiningOp<ReshapeOp>())
    values.insert(value = reshape.getInput());
}

bool ModelReads::meets(Value value) const {
  return isModelOp(behindReshapes(value).getDefiningOp()) || values.contains(value);
}

bool isVector(Value value, RankedTensorType of) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape() && of.getRank() > 0 && type.getRank() > 0 &&
         type.getShape().back() == of.getShape().back() &&
         type.getNumElements() == type.getShape().back();
}

bool readsByIndex(linalg::GenericOp op) {
  return op
      .walk([](Operation *inner) {
        return isa<linalg::IndexOp, tensor::ExtractOp>(inner) ? WalkResult::interrupt()
                                                              : WalkResult::advance();
      })
      .wasInterrupted();
}

bool isParallel(Operation *op) {
  if (isa<ReshapeOp, tensor::ExtractSliceOp, tensor::ConcatOp>(op))
    return true;
  auto generic = dyn_cast_or_null<linalg::GenericOp>(op);
  return generic && generic.getNumReductionLoops() == 0 && generic->getNumResults() == 1;
}

bool isPointwise(Operation *op) {
  auto generic = dyn_cast_or_null<linalg::GenericOp>(op);
  if (!generic || generic.getNumReductionLoops() != 0 || generic->getNumResults() != 1)
    return false;
  auto type = cast<RankedTensorType>(generic.getResult(0).getType());
  if (!type.getElementType().isF32() || !generic.getIndexingMapsArray().back().isIdentity())
    return false;
  if (readsByIndex(generic))
    return false;
  for (OpOperand *input : generic.getDpsInputOperands()) {
    auto read = dyn_cast<RankedTensorType>(input->get().getType());
    if (!read || !read.getElementType().isF32())
      return false;
    const AffineMap map = generic.getMatchingIndexingMap(input);
    const bool single = read.hasStaticShape() && read.getNumElements() == 1;
    if (!single && !isVector(input->get(), type) && !(map.isIdentity() && read == type))
      return false;
  }
  return true;
}

bool isWeight(Value vector) {
  return static_cast<bool>(behindReshapes(vector).getDefiningOp<WeightTensorOp>());
}

Value weightOf(OpBuilder &builder, Value vector) {
  auto tensor = behindReshapes(vector).getDefiningOp<WeightTensorOp>();
  if (!tensor)
    return {};
  Value weight = tensor.getWeight();
  const auto type = cast<WeightType>(weight.getType());
  if (type.getShape().size() == 1)
    return weight;
  const int64_t numbers = tensor.getType().getNumElements();
  return WeightReshapeOp::create(builder, weight.getLoc(),
                                 WeightType::get(type.getContext(), {numbers}, type.getFormat()),
                                 weight);
}

void eraseDead(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

} // namespace quern::raise
