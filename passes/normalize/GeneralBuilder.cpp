#include "passes/normalize/GeneralBuilder.h"

#include "ir/quern/QuernDialect.h"
#include "passes/analysis/Sizes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace quern {

Value emptyTensor(OpBuilder &builder, Location loc, RankedTensorType type) {
  SmallVector<Value> sizes;
  for (StringAttr name : dimNames(type))
    sizes.push_back(SizeOp::create(builder, loc, builder.getIndexType(), name));
  return tensor::EmptyOp::create(builder, loc, type, sizes);
}

Value filledTensor(OpBuilder &builder, Location loc, RankedTensorType type,
                   const llvm::APFloat &number) {
  Value scalar =
      arith::ConstantOp::create(builder, loc, builder.getFloatAttr(type.getElementType(), number));
  return linalg::FillOp::create(builder, loc, ValueRange(scalar),
                                ValueRange(emptyTensor(builder, loc, type)))
      .getResult(0);
}

Value genericOp(OpBuilder &builder, Location loc, ValueRange inputs, Value init, int64_t reduced,
                ElementBody body) {
  const int64_t rank = cast<RankedTensorType>(inputs.front().getType()).getRank();
  const AffineMap all = builder.getMultiDimIdentityMap(static_cast<unsigned>(rank));
  auto mapOf = [&](Value value) {
    return cast<RankedTensorType>(value.getType()).getRank() == rank
               ? all
               : all.dropResult(static_cast<unsigned>(reduced));
  };
  SmallVector<AffineMap> maps = llvm::map_to_vector(inputs, mapOf);
  maps.push_back(mapOf(init));
  SmallVector<utils::IteratorType> iterators(static_cast<size_t>(rank),
                                             utils::IteratorType::parallel);
  if (maps.back() != all)
    iterators[static_cast<size_t>(reduced)] = utils::IteratorType::reduction;
  return linalg::GenericOp::create(
             builder, loc, TypeRange(init.getType()), inputs, ValueRange(init), maps, iterators,
             [&](OpBuilder &inner, Location at, ValueRange elements) {
               linalg::YieldOp::create(inner, at,
                                       body(inner, at, elements.drop_back(), elements.back()));
             })
      .getResult(0);
}

} // namespace quern
