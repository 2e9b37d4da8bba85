// Numbers and whole tensors: arith and math, what sizes and weights are as tensors, and tensors
// made of little.
#include "ir/quern/AttributeNames.h"
#include "ir/reference/Frame.h"
#include "ir/reference/Lanes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <limits>

namespace quern::reference {
namespace {

/// An op of arith or math on numbers, or element by element.
template <class S> absl::Status eval_elementwise(Frame<S> &frame, mlir::Operation *op) {
  std::vector<int64_t> shape;
  for (mlir::Value operand : op->getOperands())
    if (mlir::isa<mlir::TensorType>(operand.getType()))
      shape = frame.tensor(operand)->shape;
  std::vector<Lanes> given, made;
  llvm::SmallVector<const Lanes *> in;
  llvm::SmallVector<Lanes *> out;
  const absl::StatusOr<int64_t> count = element_count(shape);
  if (!count.ok())
    return count.status();
  const auto n = static_cast<size_t>(*count);
  for (mlir::Value operand : op->getOperands()) {
    const TensorPtr tensor = frame.tensor(operand);
    Lanes lanes{tensor->floats, tensor->ints};
    if (mlir::isa<mlir::TensorType>(operand.getType())) {
      if (tensor->shape != shape)
        return absl::InvalidArgumentError(absl::StrCat(
            "operands of shapes ", shape_text(tensor->shape), " and ", shape_text(shape)));
    } else if (!shape.empty()) { // a select's condition
      lanes.floats.resize(tensor->floats.empty() ? 0 : n,
                          tensor->is_float() ? tensor->floats[0] : 0);
      lanes.ints.resize(tensor->ints.empty() ? 0 : n, tensor->is_float() ? 0 : tensor->ints[0]);
    }
    given.push_back(std::move(lanes));
  }
  std::vector<Tensor> results;
  for (mlir::Value result : op->getResults()) {
    absl::StatusOr<Tensor> tensor =
        Tensor::zeros(mlir::getElementTypeOrSelf(result.getType()), shape);
    if (!tensor.ok())
      return tensor.status();
    made.push_back({std::move(tensor->floats), std::move(tensor->ints)});
    results.push_back(*std::move(tensor));
  }
  for (const Lanes &lanes : given)
    in.push_back(&lanes);
  for (Lanes &lanes : made)
    out.push_back(&lanes);
  if (absl::Status status = lane_table().lookup(op->getName().getStringRef())({op, n, in, out});
      !status.ok())
    return status;
  for (size_t i = 0; i < results.size(); ++i) {
    results[i].floats = std::move(made[i].floats);
    results[i].ints = std::move(made[i].ints);
    if (auto type = mlir::dyn_cast<mlir::FloatType>(results[i].element);
        type && !Frame<S>::kFloat64)
      round_to(type, results[i].floats);
    frame.set_tensor(op->getResult(static_cast<unsigned>(i)), std::move(results[i]));
  }
  return absl::OkStatus();
}

template <class S> absl::Status eval_constant(Frame<S> &frame, mlir::arith::ConstantOp op) {
  absl::StatusOr<Tensor> tensor = constant_tensor(op.getValue());
  if (tensor.ok())
    frame.set_tensor(op.getResult(), *std::move(tensor));
  return tensor.status();
}

template <class S> absl::Status eval_size(Frame<S> &frame, SizeOp op) {
  const absl::StatusOr<int64_t> size = frame.step.sizes.of(op.getDim());
  if (size.ok())
    frame.set_tensor(op.getResult(), Tensor::scalar(op.getType(), *size));
  return size.status();
}

template <class S> absl::Status eval_where_true(Frame<S> &frame, WhereTrueOp op) {
  const TensorPtr mask = frame.tensor(op.getMask());
  std::vector<int64_t> found;
  for (int64_t i = 0; i < mask->count(); ++i)
    if (mask->ints[static_cast<size_t>(i)] != 0)
      found.push_back(i);
  const auto count = static_cast<int64_t>(found.size());
  auto type = mlir::cast<mlir::RankedTensorType>(op.getType());
  const std::string name = dim_names(type).front();
  auto counted =
      frame.step.module->template getAttrOfType<mlir::DictionaryAttr>(attrs::kCountedSizes);
  if (auto bound = counted && !name.empty() ? counted.template getAs<mlir::StringAttr>(name)
                                            : mlir::StringAttr()) {
    auto most = frame.step.module->template getAttrOfType<mlir::DictionaryAttr>(attrs::kSizes)
                    .template getAs<mlir::IntegerAttr>(name);
    const absl::StatusOr<int64_t> limit = frame.step.sizes.of(bound.getValue());
    if (!limit.ok())
      return limit.status();
    if (count > std::min(*limit, most.getInt()))
      return absl::OutOfRangeError(absl::StrCat(count, " elements are more than the ",
                                                std::min(*limit, most.getInt()),
                                                " that there is room for"));
    frame.step.sizes.set(name, count);
  } else {
    const absl::StatusOr<std::vector<int64_t>> shape = frame.step.sizes.shape(type);
    if (!shape.ok())
      return shape.status();
    if (count != shape->front())
      return absl::OutOfRangeError(
          absl::StrCat(count, " elements, where there have to be ", shape->front()));
  }
  Tensor y;
  y.element = type.getElementType();
  y.shape = {count};
  y.ints = std::move(found);
  frame.set_tensor(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_weight_tensor(Frame<S> &frame, WeightTensorOp op) {
  const WeightPtr &weight = frame.weight(op.getWeight());
  absl::StatusOr<Tensor> tensor = Tensor::zeros(op.getType().getElementType(), weight->shape());
  if (!tensor.ok())
    return tensor.status();
  const int64_t step = WeightCache::block_rows(*weight), cols = weight->cols();
  std::vector<float> rows(static_cast<size_t>(step * cols));
  for (int64_t first = 0; first < weight->rows() && cols > 0; first += step) {
    const int64_t count = std::min(step, weight->rows() - first);
    if (absl::Status status = weight->read(first, count, rows.data()); !status.ok())
      return status;
    std::copy_n(rows.data(), count * cols, tensor->floats.data() + first * cols);
  }
  frame.set_tensor(op.getResult(), *std::move(tensor));
  return absl::OkStatus();
}

template <class S> absl::Status eval_reshape(Frame<S> &frame, ReshapeOp op) {
  Tensor y = *frame.tensor(op.getInput());
  const absl::StatusOr<std::vector<int64_t>> shape = frame.step.sizes.shape(op.getType());
  if (!shape.ok())
    return shape.status();
  const absl::StatusOr<int64_t> count = element_count(*shape);
  if (!count.ok())
    return count.status();
  if (*count != y.count())
    return absl::InvalidArgumentError(absl::StrCat("a tensor of shape ", shape_text(y.shape),
                                                   " has not the elements of one of shape ",
                                                   shape_text(*shape)));
  y.shape = *shape;
  frame.set_tensor(op.getResult(), std::move(y));
  return absl::OkStatus();
}

/// The shape of a tensor type whose dynamic dimensions are these operands.
template <class S>
std::vector<int64_t> shape_of(Frame<S> &frame, mlir::RankedTensorType type,
                              mlir::ValueRange dynamic) {
  std::vector<int64_t> shape(type.getShape().begin(), type.getShape().end());
  size_t next = 0;
  for (int64_t &dim : shape)
    if (mlir::ShapedType::isDynamic(dim))
      dim = frame.tensor(dynamic[next++])->ints[0];
  return shape;
}

/// Whatever nobody wrote shows in what is computed of it.
template <class S> absl::Status eval_empty(Frame<S> &frame, mlir::tensor::EmptyOp op) {
  absl::StatusOr<Tensor> tensor = Tensor::zeros(
      op.getType().getElementType(), shape_of(frame, op.getType(), op.getDynamicSizes()));
  if (!tensor.ok())
    return tensor.status();
  std::fill(tensor->floats.begin(), tensor->floats.end(), std::numeric_limits<double>::quiet_NaN());
  if (!tensor->is_float())
    std::fill(tensor->ints.begin(), tensor->ints.end(),
              wrapped(0x5a5a5a5a5a5a5a5a, width_of(tensor->element)));
  frame.set_tensor(op.getResult(), *std::move(tensor));
  return absl::OkStatus();
}

template <class S> absl::Status eval_splat(Frame<S> &frame, mlir::tensor::SplatOp op) {
  const TensorPtr number = frame.tensor(op.getInput());
  absl::StatusOr<Tensor> tensor = Tensor::zeros(
      op.getType().getElementType(), shape_of(frame, op.getType(), op.getDynamicSizes()));
  if (!tensor.ok())
    return tensor.status();
  if (tensor->is_float())
    std::fill(tensor->floats.begin(), tensor->floats.end(), number->floats[0]);
  else
    std::fill(tensor->ints.begin(), tensor->ints.end(), number->ints[0]);
  frame.set_tensor(op.getResult(), *std::move(tensor));
  return absl::OkStatus();
}

template <class S> absl::Status eval_extract(Frame<S> &frame, mlir::tensor::ExtractOp op) {
  const TensorPtr tensor = frame.tensor(op.getTensor());
  const std::vector<int64_t> steps = row_major(tensor->shape);
  int64_t place = 0;
  for (auto [d, value] : llvm::enumerate(op.getIndices())) {
    const int64_t index = frame.tensor(value)->ints[0];
    if (index < 0 || index >= tensor->shape[d])
      return absl::OutOfRangeError(absl::StrCat("index ", index, " in dimension ", d,
                                                " of a tensor of shape ",
                                                shape_text(tensor->shape)));
    place += index * steps[d];
  }
  const auto at = static_cast<size_t>(place);
  frame.set_tensor(op.getResult(), tensor->is_float()
                                       ? Tensor::scalar(tensor->element, tensor->floats[at])
                                       : Tensor::scalar(tensor->element, tensor->ints[at]));
  return absl::OkStatus();
}

template <class S> absl::Status eval_dim(Frame<S> &frame, mlir::tensor::DimOp op) {
  const TensorPtr tensor = frame.tensor(op.getSource());
  const int64_t dim = frame.tensor(op.getIndex())->ints[0];
  if (dim < 0 || dim >= static_cast<int64_t>(tensor->shape.size()))
    return absl::OutOfRangeError(absl::StrCat("there is no dimension ", dim));
  frame.set_tensor(op.getResult(),
                   Tensor::scalar(op.getType(), tensor->shape[static_cast<size_t>(dim)]));
  return absl::OkStatus();
}

/// That the shape is what the result's type says is checked of every op.
template <class S> absl::Status eval_cast(Frame<S> &frame, mlir::tensor::CastOp op) {
  frame.set(op.getResult(), frame.tensor(op.getSource()));
  return absl::OkStatus();
}

} // namespace

template <class S> void add_general_evals(EvalTable<S> &table) {
  for (const auto &entry : lane_table())
    table.add(entry.getKey(), eval_elementwise<S>);
  table.template add<mlir::arith::ConstantOp, eval_constant<S>>();
  table.template add<SizeOp, eval_size<S>>();
  table.template add<WhereTrueOp, eval_where_true<S>>();
  table.template add<WeightTensorOp, eval_weight_tensor<S>>();
  table.template add<ReshapeOp, eval_reshape<S>>();
  table.template add<mlir::tensor::EmptyOp, eval_empty<S>>();
  table.template add<mlir::tensor::SplatOp, eval_splat<S>>();
  table.template add<mlir::tensor::ExtractOp, eval_extract<S>>();
  table.template add<mlir::tensor::DimOp, eval_dim<S>>();
  table.template add<mlir::tensor::CastOp, eval_cast<S>>();
}
QUERN_INSTANTIATE_EVALS(add_general_evals)

} // namespace quern::reference
