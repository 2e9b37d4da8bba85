#include "frontends/onnx/lowering/Arrays.h"

#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>
#include <optional>

namespace quern::onnx {
namespace {

namespace linalg = mlir::linalg;
namespace tensor = mlir::tensor;
using mlir::utils::IteratorType;

bool contains(const std::vector<size_t> &list, size_t item) {
  return std::ranges::find(list, item) != list.end();
}

/// The number of a constant of one element; null where it is none.
mlir::TypedAttr only_number(const Array &x) {
  for (const Dim &dim : x.shape)
    if (!dim.is(1))
      return {};
  mlir::DenseElementsAttr elements;
  if (!mlir::matchPattern(x.value, mlir::m_Constant(&elements)) || elements.getNumElements() != 1)
    return {};
  return llvm::cast<mlir::TypedAttr>(*elements.getValues<mlir::Attribute>().begin());
}

} // namespace

bool Arrays::is_counted(const Dim &dim) const {
  return !counted_.empty() && std::ranges::any_of(dim.symbols(), [&](const std::string &symbol) {
    return counted_.contains(symbol);
  });
}

mlir::Value Arrays::size(const Dim &dim) {
  if (!dim.valid()) {
    demand(dim, Dim::invalid());
    return size(0);
  }
  mlir::Value &value = sizes_[dim.text()];
  if (value)
    return value;
  // At the top of the function, where it is there for all; but what is counted is not there before.
  mlir::OpBuilder::InsertionGuard guard(w_.b);
  mlir::Block *block = w_.b.getInsertionBlock();
  mlir::Operation *around = nullptr;
  while (!llvm::isa<mlir::FunctionOpInterface>(block->getParentOp())) {
    around = block->getParentOp();
    block = around->getBlock();
  }
  if (!is_counted(dim))
    w_.b.setInsertionPointToStart(block);
  else if (around != nullptr)
    w_.b.setInsertionPoint(around);
  if (const auto constant = dim.constant())
    value = mlir::arith::ConstantIndexOp::create(w_.b, w_.loc, *constant);
  else
    value = SizeOp::create(w_.b, w_.loc, w_.b.getIndexType(), w_.b.getStringAttr(dim.text()));
  return value;
}

std::vector<mlir::Value> Arrays::open_sizes(const Shape &shape) {
  std::vector<mlir::Value> values;
  for (const Dim &dim : shape)
    if (!dim.is_constant())
      values.push_back(size(dim));
  return values;
}

Array Arrays::scalar(ElementType type, double value) { return filled(type, {}, value); }

Array Arrays::empty(ElementType type, const Shape &shape) {
  return {tensor::EmptyOp::create(w_.b, w_.loc, type_of(type, shape), open_sizes(shape)), type,
          shape};
}

Array Arrays::filled(ElementType type, const Shape &shape, double value) {
  const Scalar element = number(w_, type, value);
  const Array into = empty(type, shape);
  return {linalg::FillOp::create(w_.b, w_.loc, mlir::ValueRange{element.value},
                                 mlir::ValueRange{into.value})
              .getResult(0),
          type, shape};
}

Array Arrays::integers(const std::vector<int64_t> &values, const Shape &shape) {
  const auto type = type_of(ElementType::Int64, shape);
  const auto elements = mlir::DenseElementsAttr::get(type, llvm::ArrayRef(values));
  return {mlir::arith::ConstantOp::create(w_.b, w_.loc, elements), ElementType::Int64, shape};
}

Shape Arrays::broadcast_shape(const Shape &a, const Shape &b) {
  const Shape &longer = a.size() >= b.size() ? a : b, &shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  const size_t skip = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i)
    if (Dim &dim = out[skip + i]; dim.is(1) || (!dim.is_constant() && !shorter[i].is(1)))
      dim = shorter[i];
  return out;
}

Shape Arrays::without(const Shape &shape, const std::vector<size_t> &axes, bool keep) {
  Shape left;
  for (size_t i = 0; i < shape.size(); ++i)
    if (!contains(axes, i))
      left.push_back(shape[i]);
    else if (keep)
      left.push_back(1);
  return left;
}

mlir::AffineMap Arrays::broadcast_map(const Shape &from, const Shape &shape) {
  llvm::SmallVector<mlir::AffineExpr> exprs;
  // Where there are more dimensions than there may be, the op that is written does not verify.
  const size_t skip = shape.size() >= from.size() ? shape.size() - from.size() : 0;
  for (size_t i = 0; i < from.size(); ++i) {
    const bool repeats = from[i].is(1) && (skip + i >= shape.size() || !shape[skip + i].is(1));
    exprs.push_back(repeats ? mlir::getAffineConstantExpr(0, context()) : d(skip + i));
    if (!repeats)
      demand(from[i], skip + i < shape.size() ? shape[skip + i] : Dim::invalid());
  }
  return mlir::AffineMap::get(static_cast<unsigned>(shape.size()), 0, exprs, context());
}

Array Arrays::map(const std::vector<Array> &inputs, ElementType type, Formula formula) {
  Shape shape;
  for (const Array &input : inputs)
    shape = broadcast_shape(shape, input.shape);
  return map(inputs, type, shape, formula);
}

Array Arrays::map(const std::vector<Array> &inputs, ElementType type, const Shape &shape,
                  Formula formula) {
  llvm::SmallVector<mlir::Value> operands;
  llvm::SmallVector<mlir::AffineMap> maps;
  std::vector<mlir::TypedAttr> constants;
  for (const Array &input : inputs) {
    constants.push_back(only_number(input));
    const mlir::AffineMap map = broadcast_map(input.shape, shape);
    if (constants.back())
      continue; // is written into the body
    operands.push_back(input.value);
    maps.push_back(map);
  }
  const Array into = empty(type, shape);
  const auto rank = static_cast<unsigned>(shape.size());
  maps.push_back(mlir::AffineMap::getMultiDimIdentityMap(rank, context()));
  auto op = linalg::GenericOp::create(
      w_.b, w_.loc, mlir::TypeRange{into.value.getType()}, operands, mlir::ValueRange{into.value},
      maps, llvm::SmallVector<IteratorType>(rank, IteratorType::parallel),
      [&](mlir::OpBuilder &b, mlir::Location loc, mlir::ValueRange args) {
        Scalars elements;
        unsigned next = 0;
        for (size_t i = 0; i < inputs.size(); ++i)
          elements.push_back(
              {&w_,
               constants[i] ? mlir::Value(mlir::arith::ConstantOp::create(b, loc, constants[i]))
                            : args[next++],
               inputs[i].type});
        linalg::YieldOp::create(b, loc, formula(elements).value);
      });
  return {op.getResult(0), type, shape};
}

Array Arrays::cast(const Array &x, ElementType type, bool saturate) {
  if (x.type == type)
    return x;
  return map({x}, type, [&](const Scalars &e) { return onnx::cast(e[0], type, saturate); });
}

Array Arrays::generate(ElementType type, const Shape &shape, AtIndex formula) {
  return map({}, type, shape, [&](const Scalars &) {
    Scalars indices;
    for (size_t i = 0; i < shape.size(); ++i)
      indices.push_back(place(w_, i));
    return formula(w_, indices);
  });
}

Scalar Arrays::place(Writer &w, size_t i) {
  return {&w, linalg::IndexOp::create(w.b, w.loc, static_cast<int64_t>(i)), ElementType::Int64};
}

Scalar Arrays::element(Writer &w, const Array &x, const Scalars &indices) {
  llvm::SmallVector<mlir::Value> list;
  for (const Scalar &index : indices)
    list.push_back(index.value);
  return {&w, tensor::ExtractOp::create(w.b, w.loc, x.value, list), x.type};
}

Scalar Arrays::only(Writer &w, const Array &x) {
  if (const mlir::TypedAttr number = only_number(x))
    return {&w, mlir::arith::ConstantOp::create(w.b, w.loc, number), x.type};
  return element(w, x, Scalars(x.rank(), index(w, 0)));
}

Array Arrays::reduce(const Array &x, const std::vector<size_t> &axes, bool keep, ElementType type,
                     double start,
                     llvm::function_ref<Scalar(const Scalar &, const Scalar &)> next) {
  const Shape left = without(x.shape, axes, false);
  llvm::SmallVector<mlir::AffineExpr> out;
  llvm::SmallVector<IteratorType> iterators;
  for (size_t i = 0; i < x.rank(); ++i) {
    iterators.push_back(contains(axes, i) ? IteratorType::reduction : IteratorType::parallel);
    if (!contains(axes, i))
      out.push_back(d(i));
  }
  const auto rank = static_cast<unsigned>(x.rank());
  const Array into = filled(type, left, start);
  auto op = linalg::GenericOp::create(
      w_.b, w_.loc, mlir::TypeRange{into.value.getType()}, mlir::ValueRange{x.value},
      mlir::ValueRange{into.value},
      {mlir::AffineMap::getMultiDimIdentityMap(rank, context()),
       mlir::AffineMap::get(rank, 0, out, context())},
      iterators, [&](mlir::OpBuilder &b, mlir::Location loc, mlir::ValueRange args) {
        linalg::YieldOp::create(b, loc, next({&w_, args[1], type}, {&w_, args[0], x.type}).value);
      });
  const Array result{op.getResult(0), type, left};
  return keep ? reshape(result, without(x.shape, axes, true)) : result;
}

Array Arrays::sum(const Array &x, const std::vector<size_t> &axes, bool keep) {
  // Halves are summed in float32 and rounded once.
  const bool half = x.type == ElementType::Float16 || x.type == ElementType::BFloat16;
  const ElementType type = half ? ElementType::Float32 : x.type;
  const Array total = reduce(x, axes, keep, type, 0, [&](const Scalar &all, const Scalar &e) {
    return all + onnx::cast(e, type);
  });
  return cast(total, x.type);
}

Array Arrays::largest(const Array &x, const std::vector<size_t> &axes, bool keep) {
  const int bits = element_bits(x.type);
  const double least = is_float(x.type)    ? -HUGE_VAL
                       : is_signed(x.type) ? -std::ldexp(1.0, bits - 1)
                                           : 0.0;
  return reduce(x, axes, keep, x.type, least,
                [](const Scalar &all, const Scalar &e) { return max(all, e); });
}

Array Arrays::smallest(const Array &x, const std::vector<size_t> &axes, bool keep) {
  if (is_float(x.type) || x.type == ElementType::Bool)
    return reduce(x, axes, keep, x.type, x.type == ElementType::Bool ? 1 : HUGE_VAL,
                  [](const Scalar &all, const Scalar &e) { return min(all, e); });
  const int bits = element_bits(x.type);
  // All ones but the sign's bit; -1, all ones, for unsigned types.
  const double most = is_signed(x.type) ? std::ldexp(1.0, bits - 1) - 1 : -1.0;
  return reduce(x, axes, keep, x.type, bits == 64 && is_signed(x.type) ? 0x1p63 : most,
                [](const Scalar &all, const Scalar &e) { return min(all, e); });
}

Array Arrays::mean(const Array &x, const std::vector<size_t> &axes, bool keep) {
  Dim count = 1;
  for (const size_t axis : axes)
    count *= x.shape[axis];
  const Array total = sum(x, axes, keep);
  if (!count.is_constant()) {
    const Scalar by = size_index(count);
    return map({total}, x.type, [&](const Scalars &e) { return e[0] / from_index(by, x.type); });
  }
  const auto by = static_cast<double>(*count.constant());
  return map({total}, x.type, [&](const Scalars &e) { return e[0] / by; });
}

Array Arrays::contract(const std::vector<Array> &inputs,
                       const std::vector<std::vector<mlir::AffineExpr>> &maps, size_t loops,
                       ElementType type, const Shape &shape, double start,
                       llvm::function_ref<Scalar(const Scalar &, const Scalars &)> next) {
  llvm::SmallVector<mlir::Value> operands;
  llvm::SmallVector<mlir::AffineMap> list;
  const auto count = static_cast<unsigned>(loops);
  std::vector<std::optional<Dim>> sizes(loops);
  for (size_t i = 0; i < shape.size() && i < loops; ++i)
    sizes[i] = shape[i];
  for (size_t i = 0; i < inputs.size(); ++i) {
    for (size_t k = 0; k < maps[i].size(); ++k)
      if (const auto loop = llvm::dyn_cast<mlir::AffineDimExpr>(maps[i][k]);
          loop && loop.getPosition() < loops) {
        std::optional<Dim> &size = sizes[loop.getPosition()];
        if (!size)
          size = inputs[i].shape[k];
        demand(inputs[i].shape[k], *size);
      }
    operands.push_back(inputs[i].value);
    list.push_back(mlir::AffineMap::get(count, 0, maps[i], context()));
  }
  llvm::SmallVector<mlir::AffineExpr> out;
  for (size_t i = 0; i < shape.size(); ++i)
    out.push_back(d(i));
  list.push_back(mlir::AffineMap::get(count, 0, out, context()));
  llvm::SmallVector<IteratorType> iterators(loops, IteratorType::parallel);
  for (size_t i = shape.size(); i < loops; ++i)
    iterators[i] = IteratorType::reduction;
  const Array into = filled(type, shape, start);
  auto op = linalg::GenericOp::create(
      w_.b, w_.loc, mlir::TypeRange{into.value.getType()}, operands, mlir::ValueRange{into.value},
      list, iterators, [&](mlir::OpBuilder &b, mlir::Location loc, mlir::ValueRange args) {
        Scalars elements;
        for (size_t i = 0; i < inputs.size(); ++i)
          elements.push_back({&w_, args[static_cast<unsigned>(i)], inputs[i].type});
        linalg::YieldOp::create(b, loc, next({&w_, args.back(), type}, elements).value);
      });
  return {op.getResult(0), type, shape};
}

} // namespace quern::onnx
