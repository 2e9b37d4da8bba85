// --quern-decompose-softmax: a maximum, exponentials, their sum, a quotient.
#include "passes/analysis/Entries.h"
#include "passes/analysis/Sizes.h"
#include "passes/normalize/GeneralBuilder.h"
#include "passes/normalize/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_DECOMPOSESOFTMAX
#include "passes/normalize/Passes.h.inc"

namespace {

/// The type without one of its dimensions.
RankedTensorType without(RankedTensorType type, int64_t dim) {
  SmallVector<int64_t> shape(type.getShape());
  SmallVector<StringAttr> names(dimNames(type));
  if (type.isDynamicDim(static_cast<unsigned>(dim)))
    names.erase(names.begin() + type.getDynamicDimIndex(static_cast<unsigned>(dim)));
  shape.erase(shape.begin() + dim);
  Attribute encoding = names.empty() ? Attribute() : DimsAttr::get(type.getContext(), names);
  return RankedTensorType::get(shape, type.getElementType(), encoding);
}

/// Combines an element of the one input and the result.
template <class Op> Value combine(OpBuilder &builder, Location loc, ValueRange in, Value result) {
  return Op::create(builder, loc, in.front(), result);
}
template <class Op> Value ofBoth(OpBuilder &builder, Location loc, ValueRange in, Value) {
  return Op::create(builder, loc, in.front(), in.back());
}

void decompose(linalg::SoftmaxOp op) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  auto type = cast<RankedTensorType>(op.getInput().getType());
  const auto dim = static_cast<int64_t>(op.getDimension());
  const RankedTensorType reduced = without(type, dim);
  const auto &semantics = cast<FloatType>(type.getElementType()).getFloatSemantics();
  Value lowest = filledTensor(builder, loc, reduced, APFloat::getInf(semantics, /*Negative=*/true));
  Value most = genericOp(builder, loc, op.getInput(), lowest, dim, combine<arith::MaxNumFOp>);
  Value exponentials =
      genericOp(builder, loc, {op.getInput(), most}, emptyTensor(builder, loc, type), dim,
                [](OpBuilder &inner, Location at, ValueRange in, Value) -> Value {
                  return math::ExpOp::create(
                      inner, at, arith::SubFOp::create(inner, at, in.front(), in.back()));
                });
  Value zero = filledTensor(builder, loc, reduced, APFloat::getZero(semantics));
  Value sum = genericOp(builder, loc, exponentials, zero, dim, combine<arith::AddFOp>);
  Value result = genericOp(builder, loc, {exponentials, sum}, emptyTensor(builder, loc, type), dim,
                           ofBoth<arith::DivFOp>);
  op.getResult().front().replaceAllUsesWith(result);
  op.erase();
}

struct DecomposeSoftmaxPass : impl::DecomposeSoftmaxBase<DecomposeSoftmaxPass> {
  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation()))
      for (auto op : llvm::make_early_inc_range(entry.getOps<linalg::SoftmaxOp>())) {
        decompose(op);
        ++numDecomposed;
      }
  }
};

} // namespace
} // namespace quern
