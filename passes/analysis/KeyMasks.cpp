// See KeyMasks.h.
#include "passes/analysis/KeyMasks.h"

#include "passes/analysis/Sizes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace quern {

bool masksKeys(AttentionRowsOp attention) {
  if (!attention.getMask())
    return false;
  auto type = cast<RankedTensorType>(attention.getMask().getType());
  return type.getRank() == 4 && type.getDimSize(1) == 1 && type.getDimSize(2) == 1 &&
         type.getDimSize(3) != 1;
}

Value makeKeyMask(OpBuilder &builder, Location loc, const KeyMask &mask) {
  const auto tokens = cast<RankedTensorType>(mask.tokens.getType());
  const auto type =
      RankedTensorType::get(tokens.getShape(), builder.getF32Type(), tokens.getEncoding());
  SmallVector<Value> sizes;
  for (StringAttr name : dimNames(type))
    sizes.push_back(SizeOp::create(builder, loc, builder.getIndexType(), name));
  Value empty = tensor::EmptyOp::create(builder, loc, type, sizes);
  const AffineMap identity = builder.getMultiDimIdentityMap(2);
  const AffineMap maps[] = {identity, identity};
  const SmallVector<utils::IteratorType> parallel(2, utils::IteratorType::parallel);
  auto added = linalg::GenericOp::create(
      builder, loc, type, mask.tokens, empty, maps, parallel,
      [&](OpBuilder &b, Location at, ValueRange args) {
        Value hiding = arith::ConstantOp::create(
            b, at, b.getIntegerAttr(tokens.getElementType(), mask.hiding));
        Value hides =
            arith::CmpIOp::create(b, at, arith::CmpIPredicate::eq, args[0], hiding).getResult();
        Value hidden = arith::ConstantOp::create(b, at, b.getF32FloatAttr(mask.hidden));
        Value none = arith::ConstantOp::create(b, at, b.getF32FloatAttr(0));
        linalg::YieldOp::create(b, at,
                                arith::SelectOp::create(b, at, hides, hidden, none).getResult());
      });
  const int64_t shape[] = {type.getDimSize(0), 1, 1, type.getDimSize(1)};
  return ReshapeOp::create(builder, loc,
                           RankedTensorType::get(shape, builder.getF32Type(), type.getEncoding()),
                           added.getResult(0));
}

std::optional<KeyMask> keyMaskOf(AttentionRowsOp attention) {
  if (!attention.getMask())
    return std::nullopt;
  auto reshape = attention.getMask().getDefiningOp<ReshapeOp>();
  auto generic = reshape ? reshape.getInput().getDefiningOp<linalg::GenericOp>() : nullptr;
  if (!generic || generic.getNumDpsInputs() != 1 || generic.getNumReductionLoops() != 0 ||
      cast<RankedTensorType>(generic.getResult(0).getType()).getRank() != 2 ||
      !llvm::all_of(generic.getIndexingMapsArray(), [](AffineMap map) { return map.isIdentity(); }))
    return std::nullopt;
  auto yield = cast<linalg::YieldOp>(generic.getBody()->getTerminator());
  auto choice = yield.getValues()[0].getDefiningOp<arith::SelectOp>();
  auto equal = choice ? choice.getCondition().getDefiningOp<arith::CmpIOp>() : nullptr;
  if (!equal || equal.getPredicate() != arith::CmpIPredicate::eq ||
      equal.getLhs() != generic.getBody()->getArgument(0))
    return std::nullopt;
  APInt hiding;
  FloatAttr hidden, none;
  if (!matchPattern(equal.getRhs(), m_ConstantInt(&hiding)) ||
      !matchPattern(choice.getTrueValue(), m_Constant(&hidden)) ||
      !matchPattern(choice.getFalseValue(), m_Constant(&none)) || !none.getValue().isZero())
    return std::nullopt;
  return KeyMask{generic.getInputs()[0],
                 hiding.getBitWidth() == 1 ? static_cast<int64_t>(hiding.getZExtValue())
                                           : hiding.getSExtValue(),
                 hidden.getValue().convertToFloat()};
}

} // namespace quern
