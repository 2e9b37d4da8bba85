// Computing with whole tensors: what lowerings of nodes are written in.
//
// An Array is a value with its ONNX type and its shape as functions of the entry's sizes. Arrays
// writes linalg.generic, tensor ops and the general ops of the quern dialect; element formulas are
// Scalar.h's. Shapes broadcast as numpy's do.
#ifndef QUERN_FRONTENDS_ONNX_LOWERING_ARRAYS_H
#define QUERN_FRONTENDS_ONNX_LOWERING_ARRAYS_H

#include "frontends/onnx/lowering/Scalar.h"
#include "frontends/onnx/shapes/Fact.h"

#include "mlir/Dialect/Utils/StructuredOpsUtils.h"
#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/AffineMap.h"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace quern::onnx {

/// A shape, of which a dimension that is not there is invalid: a node whose inputs are of a lower
/// rank than its op takes is found out when what was written for it is verified.
struct Sizes : Shape {
  using Shape::Shape;
  Sizes() = default;
  Sizes(Shape shape) : Shape(std::move(shape)) {} // NOLINT(google-explicit-constructor)

  const Dim &operator[](size_t i) const { return i < size() ? Shape::operator[](i) : none(); }
  Dim &operator[](size_t i) {
    if (i >= size())
      resize(i + 1, Dim::invalid());
    return Shape::operator[](i);
  }
  const Dim &back() const { return (*this)[size() - 1]; }
  Dim &back() { return (*this)[size() == 0 ? 0 : size() - 1]; }

private:
  static const Dim &none() {
    static const Dim invalid = Dim::invalid();
    return invalid;
  }
};

struct Array {
  mlir::Value value;
  ElementType type = ElementType::Undefined;
  Sizes shape;

  size_t rank() const { return shape.size(); }
};

/// The element of a result from one element of each input.
using Formula = llvm::function_ref<Scalar(const Scalars &)>;
/// The element of a result at its indices.
using AtIndex = llvm::function_ref<Scalar(Writer &, const Scalars &)>;

class Arrays {
public:
  Arrays(mlir::OpBuilder &builder, mlir::Location location) : w_{builder, location} {}

  void at(mlir::Location location) { w_.loc = location; }

  /// Two sizes that have to be equal for what is written to mean anything, where they are not of
  /// one form.
  void demand(const Dim &a, const Dim &b) {
    if (!(a == b))
      demands_.emplace_back(a, b);
  }
  std::vector<std::pair<Dim, Dim>> take_demands() { return std::exchange(demands_, {}); }

  Writer &writer() { return w_; }
  mlir::OpBuilder &b() { return w_.b; }
  mlir::MLIRContext *context() { return w_.b.getContext(); }
  mlir::AffineExpr d(size_t i) {
    return mlir::getAffineDimExpr(static_cast<unsigned>(i), context());
  }
  mlir::RankedTensorType type_of(ElementType type, const Shape &shape) {
    for (const Dim &dim : shape)
      if (!dim.valid() || dim.constant().value_or(0) < 0)
        demand(dim, Dim::invalid());
    return tensor_type(context(), type, shape);
  }

  /// Sizes that the model counts while it runs: what is of them is written where it is asked for.
  void set_counted(std::set<std::string> names) { counted_ = std::move(names); }
  bool is_counted(const Dim &dim) const;

  /// A size as an index; written once for the function.
  mlir::Value size(const Dim &dim);
  Scalar size_index(const Dim &dim) { return {&w_, size(dim), ElementType::Int64}; }
  std::vector<mlir::Value> open_sizes(const Shape &shape);

  Array scalar(ElementType type, double value);
  Array empty(ElementType type, const Shape &shape);
  Array filled(ElementType type, const Shape &shape, double value);
  /// Of int64 values, row-major.
  Array integers(const std::vector<int64_t> &values, const Shape &shape);

  /// Elementwise over broadcast inputs. The shape is what they broadcast to, or is given.
  Array map(const std::vector<Array> &inputs, ElementType type, Formula formula);
  Array map(const std::vector<Array> &inputs, ElementType type, const Shape &shape,
            Formula formula);
  Array cast(const Array &x, ElementType type, bool saturate = true);
  /// Each element by its indices.
  Array generate(ElementType type, const Shape &shape, AtIndex formula);

  /// An element in a body. Indices count from the front and are within the shape.
  static Scalar element(Writer &w, const Array &x, const Scalars &indices);
  /// An element of a tensor of rank 0, or the only one of any.
  static Scalar only(Writer &w, const Array &x);

  /// Where loop dimension `i` is, in a body.
  static Scalar place(Writer &w, size_t i);

  /// sum, max ... over `axes`: next(accumulated, element), from `start`. The accumulator has the
  /// type `type`; elements are handed over as they are.
  Array reduce(const Array &x, const std::vector<size_t> &axes, bool keep, ElementType type,
               double start, llvm::function_ref<Scalar(const Scalar &, const Scalar &)> next);
  Array sum(const Array &x, const std::vector<size_t> &axes, bool keep);
  Array largest(const Array &x, const std::vector<size_t> &axes, bool keep);
  Array smallest(const Array &x, const std::vector<size_t> &axes, bool keep);
  Array mean(const Array &x, const std::vector<size_t> &axes, bool keep);

  /// Sums of products over dimensions `result` lacks. `maps[i]` says, for input i, which loop
  /// dimension, or which expression of them, each dimension is indexed by; loops that the result
  /// has are its dimensions in order, and come first. `loops`: the number of all.
  Array contract(const std::vector<Array> &inputs,
                 const std::vector<std::vector<mlir::AffineExpr>> &maps, size_t loops,
                 ElementType type, const Shape &shape, double start,
                 llvm::function_ref<Scalar(const Scalar &, const Scalars &)> next);

  Array transpose(const Array &x, const std::vector<size_t> &from);
  Array reshape(const Array &x, const Shape &shape);
  Array broadcast(const Array &x, const Shape &shape);
  /// sizes[i] elements of each dimension, from offsets[i] on.
  Array slice(const Array &x, const std::vector<Dim> &offsets, const Shape &shape,
              const std::vector<int64_t> &steps = {});
  /// A part of one axis.
  Array part(const Array &x, size_t axis, const Dim &offset, const Dim &size);
  Array concat(const std::vector<Array> &parts, size_t axis, const Shape &shape);
  Array pad(const Array &x, const std::vector<Dim> &low, const std::vector<Dim> &high,
            const Scalar &value);
  Array pad(const Array &x, const std::vector<Dim> &low, const std::vector<Dim> &high,
            double value);
  /// The row-major positions where the mask is true, [size]: that size is counted, or has to be
  /// their number.
  Array where_true(const Array &mask, const Dim &size);
  /// With an axis of size 1 put in.
  Array unsqueeze(const Array &x, size_t axis);
  /// [..., m, k] by [..., k, n]; leading dimensions broadcast.
  Array matmul(const Array &a, const Array &b);

  // Whole tensors by the formulas of elements.
  Array add(const Array &a, const Array &b);
  Array sub(const Array &a, const Array &b);
  Array mul(const Array &a, const Array &b);
  Array div(const Array &a, const Array &b);
  Array scale(const Array &x, double factor);
  Array softmax(const Array &x, size_t axis);

  static Shape broadcast_shape(const Shape &a, const Shape &b);
  static Shape without(const Shape &shape, const std::vector<size_t> &axes, bool keep);

private:
  /// How an input of this shape is read in loops over `shape`.
  mlir::AffineMap broadcast_map(const Shape &from, const Shape &shape);

  Writer w_;
  std::map<std::string, mlir::Value> sizes_;
  std::vector<std::pair<Dim, Dim>> demands_;
  std::set<std::string> counted_;
};

/// Row-major strides of a shape.
std::vector<Dim> strides_of(const Shape &shape);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_LOWERING_ARRAYS_H
