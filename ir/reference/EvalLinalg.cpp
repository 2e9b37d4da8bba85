// Ops of linalg.
#include "ir/reference/Frame.h"
#include "ir/reference/Generic.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace quern::reference {
namespace {

template <class S, class Op> absl::Status eval_structured(Frame<S> &frame, Op op) {
  std::vector<TensorPtr> operands;
  for (mlir::Value operand : op->getOperands())
    operands.push_back(frame.tensor(operand));
  absl::StatusOr<Generic> generic =
      Generic::create(mlir::cast<mlir::linalg::LinalgOp>(op.getOperation()), std::move(operands),
                      {.float64 = Frame<S>::kFloat64, .threads = frame.step.threads});
  if (!generic.ok())
    return generic.status();
  absl::StatusOr<std::vector<Tensor>> results = generic->run(
      [&](mlir::Value value) -> absl::StatusOr<TensorPtr> { return frame.tensor(value); });
  if (!results.ok())
    return results.status();
  for (auto [result, tensor] : llvm::zip_equal(op->getResults(), *results))
    frame.set_tensor(result, std::move(tensor));
  return absl::OkStatus();
}

template <class S> absl::Status eval_softmax(Frame<S> &frame, mlir::linalg::SoftmaxOp op) {
  const TensorPtr x = frame.tensor(op.getInput());
  if (frame.tensor(op.getOutput())->shape != x->shape)
    return absl::InvalidArgumentError("the output's shape is not the input's");
  Tensor y = *x;
  const auto dim = static_cast<size_t>(op.getDimension());
  const int64_t n = x->shape[dim], step = row_major(x->shape)[dim];
  for (int64_t first = 0; n > 0 && first < y.count(); ++first) {
    if (first / step % n != 0)
      continue;
    double most = -std::numeric_limits<double>::infinity(), sum = 0;
    double *at = y.floats.data() + first;
    for (int64_t i = 0; i < n; ++i)
      // A NaN stays one.
      most = at[i * step] > most || std::isnan(at[i * step]) ? at[i * step] : most;
    for (int64_t i = 0; i < n; ++i) {
      at[i * step] = std::exp(at[i * step] - most);
      sum += at[i * step];
    }
    for (int64_t i = 0; i < n; ++i)
      at[i * step] /= sum;
  }
  if (!Frame<S>::kFloat64)
    round_to(mlir::cast<mlir::FloatType>(y.element), y.floats);
  frame.set_tensor(op->getResult(0), std::move(y));
  return absl::OkStatus();
}

/// Of a body: a frame runs no body op by op.
template <class S> absl::Status only_in_bodies(Frame<S> &, mlir::linalg::IndexOp) {
  return absl::InvalidArgumentError("is not in a body");
}
template <class S> absl::Status eval_yield(Frame<S> &frame, mlir::linalg::YieldOp op) {
  frame.returned = frame.values_of(op.getOperands());
  return absl::OkStatus();
}

} // namespace

template <class S> void add_linalg_evals(EvalTable<S> &table) {
  using namespace mlir::linalg;
  table.template add<GenericOp, eval_structured<S, GenericOp>>();
  table.template add<FillOp, eval_structured<S, FillOp>>();
  table.template add<SoftmaxOp, eval_softmax<S>>();
  table.template add<IndexOp, only_in_bodies<S>>();
  table.template add<mlir::linalg::YieldOp, eval_yield<S>>();
}
QUERN_INSTANTIATE_EVALS(add_linalg_evals)

} // namespace quern::reference
