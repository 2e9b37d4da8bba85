// Fused regions, kernels and dispatches: they change where ops are, not what they mean.
#include "ir/reference/Frame.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <utility>

namespace quern::reference {
namespace {

template <class S>
absl::Status set_results(Frame<S> &frame, mlir::Operation *op,
                         absl::StatusOr<std::vector<Value<S>>> values) {
  if (!values.ok())
    return values.status();
  for (auto [result, value] : llvm::zip_equal(op->getResults(), *values))
    frame.set(result, value);
  return absl::OkStatus();
}

template <class S> absl::Status eval_yield(Frame<S> &frame, YieldOp op) {
  frame.returned = frame.values_of(op.getValues());
  return absl::OkStatus();
}

template <class S> absl::Status eval_return(Frame<S> &frame, mlir::func::ReturnOp op) {
  frame.returned = frame.values_of(op.getOperands());
  return absl::OkStatus();
}

template <class S> absl::Status eval_fused(Frame<S> &frame, FusedOp op) {
  return set_results(frame, op, frame.run(op.getBody(), frame.values_of(op.getInputs())));
}

template <class S> absl::Status eval_kernel(Frame<S> &frame, KernelOp op) {
  auto results = frame.run(op.getBody(), frame.arguments);
  if (!results.ok())
    return results.status();
  frame.returned = *std::move(results);
  return absl::OkStatus();
}

template <class S> absl::Status eval_dispatch(Frame<S> &frame, DispatchOp op) {
  frame.step.dispatch = op;
  auto results = frame.call(op.getKernel(), frame.values_of(op.getInputs()));
  frame.step.dispatch = nullptr;
  return set_results(frame, op, std::move(results));
}

// The dispatches that it speaks of stand there one by one.
template <class S> absl::Status eval_repeat(Frame<S> &, RepeatOp) { return absl::OkStatus(); }

} // namespace

template <class S> void add_region_evals(EvalTable<S> &table) {
  table.template add<YieldOp, eval_yield<S>>();
  table.template add<mlir::func::ReturnOp, eval_return<S>>();
  table.template add<FusedOp, eval_fused<S>>();
  table.template add<KernelOp, eval_kernel<S>>();
  table.template add<DispatchOp, eval_dispatch<S>>();
  table.template add<RepeatOp, eval_repeat<S>>();
}
QUERN_INSTANTIATE_EVALS(add_region_evals)

} // namespace quern::reference
