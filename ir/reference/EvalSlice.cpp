// Parts of tensors, and tensors put together.
#include "ir/reference/Frame.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace quern::reference {
namespace {

/// A box of elements: `shape` of them, from `first` on, the next of each dimension `steps` away.
struct Box {
  int64_t first = 0;
  std::vector<int64_t> shape, steps;
};

/// The whole of a tensor.
Box whole(const Tensor &tensor) { return {0, tensor.shape, row_major(tensor.shape)}; }

template <class T>
void copy_box(const T *from, const Box &source, T *to, const Box &target, size_t dim) {
  if (dim == source.shape.size()) {
    *to = *from;
    return;
  }
  for (int64_t i = 0; i < source.shape[dim]; ++i)
    copy_box(from + i * source.steps[dim], source, to + i * target.steps[dim], target, dim + 1);
}
/// Copies the elements of one box to those of another of the same shape.
void copy_box(const Tensor &from, const Box &source, Tensor &to, const Box &target) {
  if (llvm::is_contained(source.shape, 0))
    return;
  if (from.is_float())
    copy_box(from.floats.data() + source.first, source, to.floats.data() + target.first, target, 0);
  else
    copy_box(from.ints.data() + source.first, source, to.ints.data() + target.first, target, 0);
}

/// Constants and operands together.
template <class S>
std::vector<int64_t> numbers(Frame<S> &frame, llvm::ArrayRef<mlir::OpFoldResult> mixed) {
  std::vector<int64_t> result;
  for (mlir::OpFoldResult number : mixed)
    if (auto value = mlir::dyn_cast<mlir::Value>(number))
      result.push_back(frame.tensor(value)->ints[0]);
    else
      result.push_back(mlir::cast<mlir::IntegerAttr>(mlir::cast<mlir::Attribute>(number)).getInt());
  return result;
}

template <class S>
absl::Status eval_extract_slice(Frame<S> &frame, mlir::tensor::ExtractSliceOp op) {
  const TensorPtr x = frame.tensor(op.getSource());
  const std::vector<int64_t> offsets = numbers(frame, op.getMixedOffsets()),
                             strides = numbers(frame, op.getMixedStrides());
  Box source{0, numbers(frame, op.getMixedSizes()), row_major(x->shape)};
  for (size_t d = 0; d < x->shape.size(); ++d) {
    const int64_t size = source.shape[d];
    int64_t last = 0;
    if (size < 0 || offsets[d] < 0 || strides[d] <= 0 ||
        __builtin_mul_overflow(size - 1, strides[d], &last) ||
        __builtin_add_overflow(last, offsets[d], &last) ||
        (size > 0 ? last >= x->shape[d] : offsets[d] > x->shape[d]))
      return absl::OutOfRangeError(absl::StrCat(size, " elements from ", offsets[d], " by ",
                                                strides[d], " in dimension ", d,
                                                " of a tensor of shape ", shape_text(x->shape)));
    source.first += offsets[d] * source.steps[d];
    source.steps[d] *= strides[d];
  }
  const llvm::SmallBitVector dropped = op.getDroppedDims();
  std::vector<int64_t> shape;
  for (size_t d = 0; d < source.shape.size(); ++d)
    if (!dropped.test(static_cast<unsigned>(d)))
      shape.push_back(source.shape[d]);
  absl::StatusOr<Tensor> y = Tensor::zeros(x->element, source.shape);
  if (!y.ok())
    return y.status();
  copy_box(*x, source, *y, whole(*y));
  y->shape = std::move(shape);
  frame.set_tensor(op.getResult(), *std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_concat(Frame<S> &frame, mlir::tensor::ConcatOp op) {
  const auto dim = static_cast<size_t>(op.getDim());
  std::vector<TensorPtr> inputs;
  for (mlir::Value input : op.getInputs())
    inputs.push_back(frame.tensor(input));
  std::vector<int64_t> shape = inputs.front()->shape;
  shape[dim] = 0;
  for (const TensorPtr &input : inputs) {
    std::vector<int64_t> other = input->shape;
    other[dim] = shape[dim];
    if (other != shape)
      return absl::InvalidArgumentError(absl::StrCat("tensors of shapes ",
                                                     shape_text(inputs.front()->shape), " and ",
                                                     shape_text(input->shape)));
    shape[dim] += input->shape[dim];
  }
  absl::StatusOr<Tensor> y = Tensor::zeros(inputs.front()->element, shape);
  if (!y.ok())
    return y.status();
  Box target = whole(*y);
  for (const TensorPtr &input : inputs) {
    target.shape = input->shape;
    copy_box(*input, whole(*input), *y, target);
    target.first += input->shape[dim] * target.steps[dim];
  }
  frame.set_tensor(op.getResult(), *std::move(y));
  return absl::OkStatus();
}

/// The one number that a pad's region yields.
template <class S> absl::StatusOr<TensorPtr> padding(Frame<S> &frame, mlir::tensor::PadOp op) {
  mlir::Value value = op.getBody()->getTerminator()->getOperand(0);
  if (value.getParentRegion() != &op.getRegion())
    return frame.tensor(value);
  auto constant = value.getDefiningOp<mlir::arith::ConstantOp>();
  if (!constant)
    return absl::UnimplementedError("the interpreter pads with one number only");
  absl::StatusOr<Tensor> number = constant_tensor(constant.getValue());
  if (!number.ok())
    return number.status();
  return std::make_shared<const Tensor>(*std::move(number));
}

template <class S> absl::Status eval_pad(Frame<S> &frame, mlir::tensor::PadOp op) {
  const TensorPtr x = frame.tensor(op.getSource());
  const std::vector<int64_t> low = numbers(frame, op.getMixedLowPad()),
                             high = numbers(frame, op.getMixedHighPad());
  const absl::StatusOr<TensorPtr> number = padding(frame, op);
  if (!number.ok())
    return number.status();
  std::vector<int64_t> shape = x->shape;
  for (size_t d = 0; d < shape.size(); ++d)
    if (low[d] < 0 || high[d] < 0 || __builtin_add_overflow(shape[d], low[d], &shape[d]) ||
        __builtin_add_overflow(shape[d], high[d], &shape[d]))
      return absl::InvalidArgumentError(
          absl::StrCat("pads dimension ", d, " by ", low[d], " and ", high[d]));
  absl::StatusOr<Tensor> y = Tensor::zeros(x->element, std::move(shape));
  if (!y.ok())
    return y.status();
  if (y->is_float())
    std::fill(y->floats.begin(), y->floats.end(), (*number)->floats[0]);
  else
    std::fill(y->ints.begin(), y->ints.end(), (*number)->ints[0]);
  Box target = whole(*y);
  for (size_t d = 0; d < low.size(); ++d)
    target.first += low[d] * target.steps[d];
  target.shape = x->shape;
  copy_box(*x, whole(*x), *y, target);
  frame.set_tensor(op.getResult(), *std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_yield(Frame<S> &frame, mlir::tensor::YieldOp op) {
  frame.returned = frame.values_of(op->getOperands());
  return absl::OkStatus();
}

} // namespace

template <class S> void add_slice_evals(EvalTable<S> &table) {
  table.template add<mlir::tensor::ExtractSliceOp, eval_extract_slice<S>>();
  table.template add<mlir::tensor::ConcatOp, eval_concat<S>>();
  table.template add<mlir::tensor::PadOp, eval_pad<S>>();
  table.template add<mlir::tensor::YieldOp, eval_yield<S>>();
}
QUERN_INSTANTIATE_EVALS(add_slice_evals)

} // namespace quern::reference
