#include "ir/reference/Frame.h"

#include "mlir/IR/Location.h"
#include "llvm/Support/raw_ostream.h"

#include <absl/strings/str_cat.h>

namespace quern::reference {
std::string describe(mlir::Operation *op, mlir::Operation *named_by) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << op->getName();
  if (auto named = (named_by ? named_by : op)->getLoc()->findInstanceOf<mlir::NameLoc>())
    stream << " (" << named.getName().getValue() << ")";
  return text;
}

namespace {

/// Calls `use` with each value of the block that the op, or an op in its regions, reads.
template <class Use> void for_each_use(mlir::Operation *op, mlir::Block &block, Use use) {
  op->walk([&](mlir::Operation *inner) {
    for (mlir::Value operand : inner->getOperands())
      if (operand.getParentBlock() == &block)
        use(operand);
  });
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
    add_general_evals(table);
    add_slice_evals(table);
    add_linalg_evals(table);
    add_control_evals(table);
    return table;
  }();
  return table;
}

template <class S> TensorPtr as_tensor(const Value<S> &value, mlir::RankedTensorType type) {
  if (const auto *tensor = std::get_if<TensorPtr>(&value))
    return *tensor;
  Tensor tensor{type.getElementType(), {}, {}, {}};
  if (const auto *rows = std::get_if<std::shared_ptr<const Rows<S>>>(&value)) {
    tensor.shape = {(*rows)->rows, (*rows)->cols};
    tensor.floats.assign((*rows)->data.begin(), (*rows)->data.end());
  } else {
    const Indices &indices = *std::get<std::shared_ptr<const Indices>>(value);
    const auto count = static_cast<int64_t>(indices.size());
    tensor.shape = {count};
    if (type.getRank() == 2)
      tensor.shape = {count / type.getDimSize(1), type.getDimSize(1)};
    tensor.ints.assign(indices.begin(), indices.end());
  }
  return std::make_shared<const Tensor>(std::move(tensor));
}

template <class S> Value<S> &Frame<S>::slot(mlir::Value value) const {
  const Frame *frame = this;
  auto found = values_.find(value);
  while (found == frame->values_.end()) {
    frame = frame->outer_;
    found = frame->values_.find(value);
  }
  return found->second;
}

template <class S> const Rows<S> &Frame<S>::rows(mlir::Value value) const {
  Value<S> &slot = this->slot(value);
  if (const auto *tensor = std::get_if<TensorPtr>(&slot)) {
    Rows<S> rows((*tensor)->shape[0], (*tensor)->shape[1]);
    for (size_t i = 0; i < rows.data.size(); ++i)
      rows.data[i] = static_cast<S>((*tensor)->floats[i]);
    slot = std::make_shared<const Rows<S>>(std::move(rows));
  }
  return *std::get<std::shared_ptr<const Rows<S>>>(slot);
}

template <class S> const Indices &Frame<S>::indices(mlir::Value value) const {
  Value<S> &slot = this->slot(value);
  if (const auto *tensor = std::get_if<TensorPtr>(&slot))
    slot = std::make_shared<const Indices>((*tensor)->ints.begin(), (*tensor)->ints.end());
  return *std::get<std::shared_ptr<const Indices>>(slot);
}

template <class S> TensorPtr Frame<S>::tensor(mlir::Value value) const {
  Value<S> &slot = this->slot(value);
  if (!std::holds_alternative<TensorPtr>(slot))
    slot = as_tensor<S>(slot, mlir::cast<mlir::RankedTensorType>(value.getType()));
  return std::get<TensorPtr>(slot);
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
absl::StatusOr<std::vector<Value<S>>> Frame<S>::run_within(mlir::Region &region,
                                                           std::vector<Value<S>> arguments) const {
  Frame frame(step, std::move(arguments));
  frame.outer_ = this;
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
  // Rows are of all tokens, or of those whose outputs are wanted; without a batch they are rows.
  const int64_t token = rows == step.batch.num_tokens() || rows != step.batch.num_rows()
                            ? t
                            : step.batch.rows[static_cast<size_t>(t)];
  // A kernel has the name of the first dispatch of it.
  step.state.note_overflow([&] { return describe(op, step.dispatch); }, token);
}

template <class S> absl::Status Frame<S>::run_block(mlir::Block &block) {
  for (auto [argument, value] : llvm::zip_equal(block.getArguments(), arguments))
    set(argument, value);
  // Values are dropped after their last use: a large model's activations would not fit otherwise.
  llvm::DenseMap<mlir::Value, int64_t> uses_left;
  for (mlir::Operation &op : block)
    for_each_use(&op, block, [&](mlir::Value operand) { ++uses_left[operand]; });
  arguments.clear();
  for (mlir::Operation &op : block) {
    if (absl::Status status = eval(&op); !status.ok())
      return status;
    for_each_use(&op, block, [&](mlir::Value operand) {
      if (--uses_left[operand] == 0)
        values_.erase(operand);
    });
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
  for (mlir::Value result : op->getResults())
    if (auto type = mlir::dyn_cast<mlir::RankedTensorType>(result.getType()); type && status.ok())
      if (const auto *tensor = std::get_if<TensorPtr>(&slot(result)))
        status = step.sizes.check(**tensor, type);
  if (status.ok())
    return status;
  return absl::Status(status.code(),
                      absl::StrCat(describe(op), ": ", std::string(status.message())));
}

template class EvalTable<float>;
template class EvalTable<double>;
template class Frame<float>;
template class Frame<double>;
template TensorPtr as_tensor<float>(const Value<float> &value, mlir::RankedTensorType type);
template TensorPtr as_tensor<double>(const Value<double> &value, mlir::RankedTensorType type);

} // namespace quern::reference
