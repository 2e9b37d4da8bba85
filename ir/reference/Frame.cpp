#include "ir/reference/Frame.h"

#include "mlir/IR/Location.h"
#include "llvm/Support/raw_ostream.h"

#include <absl/strings/str_cat.h>

namespace quern::reference {
namespace {

/// `quern.linear (model.layers.3.mlp.up_proj)`: the op and the source's name for it, or for
/// `named_by`.
std::string describe(mlir::Operation *op, mlir::Operation *named_by = nullptr) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << op->getName();
  if (auto named = (named_by ? named_by : op)->getLoc()->findInstanceOf<mlir::NameLoc>())
    stream << " (" << named.getName().getValue() << ")";
  return text;
}

} // namespace

template <class S> const EvalTable<S> &EvalTable<S>::all() {
  static const EvalTable table = [] {
    EvalTable table;
    add_weight_evals(table);
    add_state_evals(table);
    add_matmul_evals(table);
    add_expert_evals(table);
    add_norm_evals(table);
    add_attention_evals(table);
    add_scan_evals(table);
    add_tensor_evals(table);
    add_region_evals(table);
    return table;
  }();
  return table;
}

template <class S> std::vector<Value<S>> Frame<S>::values_of(mlir::ValueRange values) const {
  std::vector<Value<S>> result;
  result.reserve(values.size());
  for (mlir::Value value : values)
    result.push_back(value_of(value));
  return result;
}

template <class S>
absl::StatusOr<std::vector<Value<S>>> Frame<S>::run(mlir::Region &region,
                                                    std::vector<Value<S>> arguments) const {
  Frame frame(step, std::move(arguments));
  if (absl::Status status = frame.run_block(region.front()); !status.ok())
    return status;
  return std::move(frame.returned);
}

template <class S>
absl::StatusOr<std::vector<Value<S>>> Frame<S>::call(llvm::StringRef symbol,
                                                     std::vector<Value<S>> arguments) const {
  mlir::Operation *target = step.symbols.lookupSymbolIn(
      step.module, mlir::StringAttr::get(step.module.getContext(), symbol));
  if (!target)
    return absl::NotFoundError(absl::StrCat("there is no symbol @", std::string(symbol)));
  constexpr int kDeepest =
      16; // an entry's dispatch's kernel's weight's ...: far deeper than modules go
  if (step.calls >= kDeepest)
    return absl::InvalidArgumentError(absl::StrCat("@", std::string(symbol), " refers to itself"));
  Frame frame(step, std::move(arguments));
  ++step.calls;
  absl::Status status = frame.eval(target);
  --step.calls;
  if (!status.ok())
    return status;
  return std::move(frame.returned);
}

template <class S>
void Frame<S>::note_overflow(mlir::Operation *op, int64_t t, int64_t rows) const {
  // Rows are of all tokens, or of those whose outputs are wanted.
  const int64_t token =
      rows == step.batch.num_tokens() ? t : step.batch.rows[static_cast<size_t>(t)];
  // A kernel has the name of the first dispatch of it.
  step.state.note_overflow([&] { return describe(op, step.dispatch); }, token);
}

template <class S> absl::Status Frame<S>::run_block(mlir::Block &block) {
  for (auto [argument, value] : llvm::zip_equal(block.getArguments(), arguments))
    set(argument, value);
  // Values are dropped after their last use: a large model's activations would not fit otherwise.
  llvm::DenseMap<mlir::Value, int64_t> uses_left;
  for (mlir::Operation &op : block)
    for (mlir::Value operand : op.getOperands())
      ++uses_left[operand];
  arguments.clear();
  for (mlir::Operation &op : block) {
    if (absl::Status status = eval(&op); !status.ok())
      return status;
    for (mlir::Value operand : op.getOperands())
      if (--uses_left[operand] == 0)
        values_.erase(operand);
    for (mlir::Value result : op.getResults())
      if (result.use_empty())
        values_.erase(result);
  }
  return absl::OkStatus();
}

template <class S> absl::Status Frame<S>::eval(mlir::Operation *op) {
  const Eval<S> eval = EvalTable<S>::all().find(op->getName().getStringRef());
  if (!eval)
    return absl::UnimplementedError(
        absl::StrCat(describe(op), ": the interpreter has no eval for this op"));
  absl::Status status = eval(*this, op);
  if (status.ok())
    return status;
  return absl::Status(status.code(),
                      absl::StrCat(describe(op), ": ", std::string(status.message())));
}

template class EvalTable<float>;
template class EvalTable<double>;
template class Frame<float>;
template class Frame<double>;

} // namespace quern::reference
