#include "passes/raise/Product.h"

#include "ir/quern/QuernDialect.h"
#include "passes/analysis/Sizes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace quern::raise {

bool isMultiplyAdd(linalg::GenericOp op) {
  Block &body = *op.getBody();
  auto yield = cast<linalg::YieldOp>(body.getTerminator());
  auto sum = yield.getValues()[0].getDefiningOp<arith::AddFOp>();
  if (!sum || body.getOperations().size() != 3)
    return false;
  const Value out = body.getArgument(2);
  const Value term = sum.getLhs() == out ? sum.getRhs() : sum.getLhs();
  auto product = term.getDefiningOp<arith::MulFOp>();
  if (!product || (sum.getLhs() != out && sum.getRhs() != out))
    return false;
  const Value a = body.getArgument(0), b = body.getArgument(1);
  return (product.getLhs() == a && product.getRhs() == b) ||
         (product.getLhs() == b && product.getRhs() == a);
}

bool isZero(Value init) {
  auto fill = init.getDefiningOp<linalg::FillOp>();
  return fill && matchPattern(fill.getInputs()[0], m_AnyZeroFloat());
}

std::optional<Product> productOf(Operation *op) {
  auto generic = dyn_cast_or_null<linalg::GenericOp>(op);
  if (!generic || generic.getNumDpsInputs() != 2 || generic->getNumResults() != 1 ||
      generic.getNumReductionLoops() != 1 ||
      !cast<RankedTensorType>(generic.getResult(0).getType()).getElementType().isF32() ||
      !isMultiplyAdd(generic) || !isZero(generic.getDpsInits()[0]))
    return std::nullopt;
  const SmallVector<AffineMap> maps = generic.getIndexingMapsArray();
  if (!llvm::all_of(maps, [](AffineMap map) { return map.isProjectedPermutation(); }))
    return std::nullopt;
  Product product{.op = generic};
  bool m = false, n = false, k = false;
  for (unsigned loop = 0; loop < generic.getNumLoops(); ++loop) {
    const bool left = maps[0].isFunctionOfDim(loop), right = maps[1].isFunctionOfDim(loop);
    auto one = [&](bool &seen, unsigned &number) {
      number = loop;
      return !std::exchange(seen, true);
    };
    if (generic.getIteratorTypesArray()[loop] == utils::IteratorType::reduction) {
      if (!left || !right || !one(k, product.k))
        return std::nullopt;
    } else if (left && right) {
      product.outer.push_back(loop);
    } else if ((!left && !right) || !one(left ? m : n, left ? product.m : product.n)) {
      return std::nullopt;
    }
  }
  if (!m || !n || !k)
    return std::nullopt;
  return product;
}

DimSize dimOf(RankedTensorType type, unsigned dim) {
  if (!type.isDynamicDim(dim))
    return {type.getDimSize(dim), {}};
  const ArrayRef<StringAttr> names = dimNames(type);
  const unsigned number = type.getDynamicDimIndex(dim);
  return {ShapedType::kDynamic, number < names.size() ? names[number] : StringAttr()};
}

symbols::Dim countOf(const DimSize &dim) {
  if (!ShapedType::isDynamic(dim.size))
    return dim.size;
  if (!dim.name)
    return symbols::Dim::invalid();
  const auto parsed = symbols::parse_dim(dim.name.str());
  return parsed.ok() ? *parsed : symbols::Dim::invalid();
}

RankedTensorType tensorOf(ArrayRef<DimSize> dims, Type element) {
  SmallVector<int64_t> shape;
  SmallVector<StringAttr> names;
  for (const DimSize &dim : dims) {
    shape.push_back(dim.size);
    if (ShapedType::isDynamic(dim.size))
      names.push_back(dim.name);
  }
  return RankedTensorType::get(
      shape, element, names.empty() ? DimsAttr() : DimsAttr::get(element.getContext(), names));
}

SmallVector<Value> sizesOf(OpBuilder &builder, Location loc, RankedTensorType type) {
  SmallVector<Value> sizes;
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (const DimSize dim = dimOf(type, static_cast<unsigned>(i)); ShapedType::isDynamic(dim.size))
      sizes.push_back(SizeOp::create(builder, loc, builder.getIndexType(), dim.name));
  return sizes;
}

std::optional<SmallVector<unsigned>> permutationOf(Operation *op) {
  auto generic = dyn_cast_or_null<linalg::GenericOp>(op);
  if (!generic || generic.getNumDpsInputs() != 1 || generic->getNumResults() != 1 ||
      generic.getNumReductionLoops() != 0)
    return std::nullopt;
  auto yield = cast<linalg::YieldOp>(generic.getBody()->getTerminator());
  const SmallVector<AffineMap> maps = generic.getIndexingMapsArray();
  if (yield.getValues()[0] != generic.getBody()->getArgument(0) || !maps[0].isPermutation() ||
      !maps[1].isPermutation())
    return std::nullopt;
  // Of the result's dimension i, which one of the input it is.
  SmallVector<unsigned> order;
  for (unsigned i = 0; i < maps[1].getNumResults(); ++i) {
    const unsigned loop = maps[1].getDimPosition(i);
    for (unsigned j = 0; j < maps[0].getNumResults(); ++j)
      if (maps[0].getDimPosition(j) == loop)
        order.push_back(j);
  }
  return order;
}

Value permuted(OpBuilder &builder, Location loc, Value value, ArrayRef<unsigned> order) {
  SmallVector<unsigned> of(order);
  while (auto inner = permutationOf(value.getDefiningOp())) {
    for (unsigned &dim : of)
      dim = (*inner)[dim];
    value = value.getDefiningOp<linalg::GenericOp>().getInputs()[0];
  }
  if (llvm::equal(of, llvm::seq<unsigned>(0, static_cast<unsigned>(of.size()))))
    return value;
  const auto type = cast<RankedTensorType>(value.getType());
  SmallVector<DimSize> dims;
  for (unsigned dim : of)
    dims.push_back(dimOf(type, dim));
  const RankedTensorType result = tensorOf(dims, type.getElementType());
  Value empty = tensor::EmptyOp::create(builder, loc, result, sizesOf(builder, loc, result));
  // Loop i is the result's dimension i.
  SmallVector<unsigned> loops(of.size());
  for (auto [i, dim] : llvm::enumerate(of))
    loops[dim] = static_cast<unsigned>(i);
  const auto rank = static_cast<unsigned>(of.size());
  const AffineMap maps[] = {AffineMap::getPermutationMap(loops, builder.getContext()),
                            builder.getMultiDimIdentityMap(rank)};
  const SmallVector<utils::IteratorType> parallel(rank, utils::IteratorType::parallel);
  auto moved = linalg::GenericOp::create(
      builder, loc, result, value, empty, maps, parallel,
      [](OpBuilder &b, Location at, ValueRange args) { linalg::YieldOp::create(b, at, args[0]); });
  return moved.getResult(0);
}

void replaceUnderPermutations(Value value, Value by) {
  for (Operation *reader : llvm::to_vector(value.getUsers()))
    if (auto order = permutationOf(reader);
        order && cast<linalg::GenericOp>(reader).getInputs()[0] == value) {
      OpBuilder builder(reader);
      if (Value moved = permuted(builder, reader->getLoc(), by, *order);
          moved.getType() == reader->getResult(0).getType())
        reader->getResult(0).replaceAllUsesWith(moved);
    }
  value.replaceAllUsesWith(by);
}

} // namespace quern::raise
