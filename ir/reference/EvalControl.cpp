// Choices and loops around whole tensors. In a body they are Body.h's.
#include "ir/reference/Frame.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

#include <absl/strings/str_cat.h>

namespace quern::reference {
namespace {

template <class S> absl::Status eval_yield(Frame<S> &frame, mlir::scf::YieldOp op) {
  frame.returned = frame.values_of(op.getOperands());
  return absl::OkStatus();
}

template <class S> absl::Status eval_if(Frame<S> &frame, mlir::scf::IfOp op) {
  mlir::Region &way =
      frame.tensor(op.getCondition())->ints[0] ? op.getThenRegion() : op.getElseRegion();
  if (way.empty())
    return absl::OkStatus();
  auto values = frame.run_within(way, {});
  if (!values.ok())
    return values.status();
  for (auto [result, value] : llvm::zip_equal(op->getResults(), *values))
    frame.set(result, value);
  return absl::OkStatus();
}

template <class S> absl::Status eval_for(Frame<S> &frame, mlir::scf::ForOp op) {
  mlir::Type type = op.getLowerBound().getType();
  const unsigned width = width_of(type);
  int64_t at = frame.tensor(op.getLowerBound())->ints[0];
  const int64_t end = frame.tensor(op.getUpperBound())->ints[0],
                step = frame.tensor(op.getStep())->ints[0];
  if (step <= 0)
    return absl::InvalidArgumentError(absl::StrCat("a step of ", step));
  std::vector<Value<S>> carried = frame.values_of(op.getInitArgs());
  while (op.getUnsignedCmp() ? as_unsigned(at, width) < as_unsigned(end, width) : at < end) {
    std::vector<Value<S>> arguments{std::make_shared<const Tensor>(Tensor::scalar(type, at))};
    arguments.insert(arguments.end(), carried.begin(), carried.end());
    auto values = frame.run_within(op.getRegion(), std::move(arguments));
    if (!values.ok())
      return values.status();
    carried = *std::move(values);
    if (__builtin_add_overflow(at, step, &at))
      break;
  }
  for (auto [result, value] : llvm::zip_equal(op->getResults(), carried))
    frame.set(result, value);
  return absl::OkStatus();
}

} // namespace

template <class S> void add_control_evals(EvalTable<S> &table) {
  table.template add<mlir::scf::YieldOp, eval_yield<S>>();
  table.template add<mlir::scf::IfOp, eval_if<S>>();
  table.template add<mlir::scf::ForOp, eval_for<S>>();
}
QUERN_INSTANTIATE_EVALS(add_control_evals)

} // namespace quern::reference
