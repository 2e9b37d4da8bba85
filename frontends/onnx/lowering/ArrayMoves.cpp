// Arrays under other shapes, cut, joined and multiplied.
#include "frontends/onnx/lowering/Arrays.h"
#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <cmath>

namespace quern::onnx {

namespace linalg = mlir::linalg;
namespace tensor = mlir::tensor;
using mlir::utils::IteratorType;

std::vector<Dim> strides_of(const Shape &shape) {
  std::vector<Dim> strides(shape.size());
  Dim stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

Array Arrays::transpose(const Array &x, const std::vector<size_t> &from) {
  bool moves = false;
  Shape shape;
  llvm::SmallVector<mlir::AffineExpr> in(x.rank());
  for (size_t i = 0; i < from.size(); ++i) {
    moves |= from[i] != i;
    shape.push_back(x.shape[from[i]]);
    in[from[i]] = d(i);
  }
  if (!moves)
    return x;
  const Array into = empty(x.type, shape);
  const auto rank = static_cast<unsigned>(shape.size());
  auto op =
      linalg::GenericOp::create(w_.b, w_.loc, mlir::TypeRange{into.value.getType()},
                                mlir::ValueRange{x.value}, mlir::ValueRange{into.value},
                                {mlir::AffineMap::get(rank, 0, in, context()),
                                 mlir::AffineMap::getMultiDimIdentityMap(rank, context())},
                                llvm::SmallVector<IteratorType>(rank, IteratorType::parallel),
                                [](mlir::OpBuilder &b, mlir::Location loc, mlir::ValueRange args) {
                                  linalg::YieldOp::create(b, loc, args[0]);
                                });
  return {op.getResult(0), x.type, shape};
}

Array Arrays::reshape(const Array &x, const Shape &shape) {
  const auto type = type_of(x.type, shape);
  if (type == x.value.getType())
    return {x.value, x.type, shape};
  return {ReshapeOp::create(w_.b, w_.loc, type, x.value), x.type, shape};
}

Array Arrays::broadcast(const Array &x, const Shape &shape) {
  if (type_of(x.type, shape) == x.value.getType())
    return x;
  return map({x}, x.type, shape, [](const Scalars &e) { return e[0]; });
}

Array Arrays::slice(const Array &x, const std::vector<Dim> &offsets, const Shape &shape,
                    const std::vector<int64_t> &steps) {
  llvm::SmallVector<mlir::OpFoldResult> at, sizes, strides;
  const auto folded = [&](const Dim &dim) -> mlir::OpFoldResult {
    if (const auto constant = dim.constant())
      return w_.b.getIndexAttr(*constant);
    return size(dim);
  };
  bool whole = true;
  for (size_t i = 0; i < x.rank(); ++i) {
    at.push_back(folded(offsets[i]));
    sizes.push_back(folded(shape[i]));
    strides.push_back(w_.b.getIndexAttr(steps.empty() ? 1 : steps[i]));
    whole &= offsets[i].is(0) && shape[i] == x.shape[i];
  }
  if (whole)
    return x;
  for (const Dim &dim : shape)
    if (dim.is(0)) // which would begin behind the last element
      return empty(x.type, shape);
  return {tensor::ExtractSliceOp::create(w_.b, w_.loc, type_of(x.type, shape), x.value, at, sizes,
                                         strides),
          x.type, shape};
}

Array Arrays::part(const Array &x, size_t axis, const Dim &offset, const Dim &size) {
  std::vector<Dim> offsets(x.rank(), Dim(0));
  Sizes shape = x.shape;
  offsets[axis] = offset;
  shape[axis] = size;
  return slice(x, offsets, shape);
}

Array Arrays::concat(const std::vector<Array> &parts, size_t axis, const Shape &shape) {
  llvm::SmallVector<mlir::Value> values;
  for (const Array &part : parts)
    if (!part.shape[axis].is(0))
      values.push_back(part.value);
  const auto type = type_of(parts[0].type, shape);
  if (values.empty())
    return {empty(parts[0].type, shape).value, parts[0].type, shape};
  if (values.size() == 1 && values[0].getType() == type)
    return {values[0], parts[0].type, shape};
  return {tensor::ConcatOp::create(w_.b, w_.loc, type,
                                   w_.b.getI64IntegerAttr(static_cast<int64_t>(axis)), values),
          parts[0].type, shape};
}

Array Arrays::pad(const Array &x, const std::vector<Dim> &low, const std::vector<Dim> &high,
                  const Scalar &value) {
  Sizes shape = x.shape;
  llvm::SmallVector<mlir::OpFoldResult> before, after;
  const auto folded = [&](const Dim &dim) -> mlir::OpFoldResult {
    if (const auto constant = dim.constant())
      return w_.b.getIndexAttr(*constant);
    return size(dim);
  };
  bool any = false;
  for (size_t i = 0; i < shape.size(); ++i) {
    before.push_back(folded(low[i]));
    after.push_back(folded(high[i]));
    any |= !low[i].is(0) || !high[i].is(0);
    shape[i] = shape[i] + low[i] + high[i];
  }
  if (!any)
    return x;
  auto op = tensor::PadOp::create(w_.b, w_.loc, type_of(x.type, shape), x.value, before, after,
                                  value.value);
  return {op.getResult(), x.type, shape};
}

Array Arrays::pad(const Array &x, const std::vector<Dim> &low, const std::vector<Dim> &high,
                  double value) {
  return pad(x, low, high, number(w_, x.type, value));
}

Array Arrays::where_true(const Array &mask, const Dim &size) {
  return {WhereTrueOp::create(w_.b, w_.loc, type_of(ElementType::Int64, {size}), mask.value),
          ElementType::Int64,
          {size}};
}

Array Arrays::unsqueeze(const Array &x, size_t axis) {
  Sizes shape = x.shape;
  shape.insert(shape.begin() + static_cast<ptrdiff_t>(axis), 1);
  return reshape(x, shape);
}

Array Arrays::matmul(const Array &a, const Array &b) {
  const size_t ra = a.rank(), rb = b.rank();
  const Shape lead =
      broadcast_shape({a.shape.begin(), a.shape.end() - 2}, {b.shape.begin(), b.shape.end() - 2});
  const size_t outer = lead.size();
  Sizes shape = lead;
  shape.push_back(a.shape[ra - 2]);
  shape.push_back(b.shape[rb - 1]);
  const auto indices = [&](const Array &x, size_t row, size_t column) {
    std::vector<mlir::AffineExpr> exprs;
    const size_t skip = outer - (x.rank() - 2);
    for (size_t i = 0; i + 2 < x.rank(); ++i)
      exprs.push_back(x.shape[i].is(1) && !lead[skip + i].is(1)
                          ? mlir::getAffineConstantExpr(0, context())
                          : d(skip + i));
    exprs.push_back(d(row));
    exprs.push_back(d(column));
    return exprs;
  };
  // Halves are multiplied and summed in float32, and rounded once.
  const bool half = a.type == ElementType::Float16 || a.type == ElementType::BFloat16;
  const ElementType type = half ? ElementType::Float32 : a.type;
  const Array product =
      contract({a, b}, {indices(a, outer, outer + 2), indices(b, outer + 2, outer + 1)}, outer + 3,
               type, shape, 0, [&](const Scalar &sum, const Scalars &e) {
                 return sum + onnx::cast(e[0], type) * onnx::cast(e[1], type);
               });
  return cast(product, a.type);
}

Array Arrays::add(const Array &a, const Array &b) {
  return map({a, b}, a.type, [](const Scalars &e) { return e[0] + e[1]; });
}
Array Arrays::sub(const Array &a, const Array &b) {
  return map({a, b}, a.type, [](const Scalars &e) { return e[0] - e[1]; });
}
Array Arrays::mul(const Array &a, const Array &b) {
  return map({a, b}, a.type, [](const Scalars &e) { return e[0] * e[1]; });
}
Array Arrays::div(const Array &a, const Array &b) {
  return map({a, b}, a.type, [](const Scalars &e) { return e[0] / e[1]; });
}
Array Arrays::scale(const Array &x, double factor) {
  return map({x}, x.type, [&](const Scalars &e) { return e[0] * factor; });
}

Array Arrays::softmax(const Array &x, size_t axis) {
  if (x.type == ElementType::Float32 || x.type == ElementType::Float64) {
    const Array into = empty(x.type, x.shape);
    auto op = linalg::SoftmaxOp::create(w_.b, w_.loc, mlir::TypeRange{into.value.getType()},
                                        x.value, into.value, static_cast<uint64_t>(axis));
    return {op.getResult()[0], x.type, x.shape};
  }
  // Halves: sums in float32.
  const Array top = largest(x, {axis}, true);
  const Array powers =
      map({x, top}, x.type, [](const Scalars &e) { return onnx::exp(e[0] - e[1]); });
  return div(powers, sum(powers, {axis}, true));
}

} // namespace quern::onnx
