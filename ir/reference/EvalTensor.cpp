// Elementwise functions and plain tensor ops.
#include "ir/reference/Frame.h"
#include "ir/reference/Interpreter.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace quern::reference {

double unary_value(UnaryKind kind, double x) {
  switch (kind) {
  case UnaryKind::silu:
    return x / (1 + std::exp(-x));
  case UnaryKind::sigmoid:
    return 1 / (1 + std::exp(-x));
  case UnaryKind::gelu_erf:
    return x / 2 * (1 + std::erf(x / std::numbers::sqrt2));
  case UnaryKind::gelu_tanh:
    return x / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
  case UnaryKind::relu:
    return std::max(x, 0.0);
  case UnaryKind::tanh:
    return std::tanh(x);
  case UnaryKind::softplus:
    return x > 20 ? x : std::log1p(std::exp(x));
  case UnaryKind::exp:
    return std::exp(x);
  case UnaryKind::relu2:
    return std::max(x, 0.0) * std::max(x, 0.0);
  case UnaryKind::quick_gelu:
    return x / (1 + std::exp(-1.702 * x));
  case UnaryKind::mish:
    return x * std::tanh(unary_value(UnaryKind::softplus, x));
  case UnaryKind::relu6:
    return std::clamp(x, 0.0, 6.0);
  case UnaryKind::leaky_relu:
    return x < 0 ? 0.01 * x : x;
  case UnaryKind::hardswish:
    return x * unary_value(UnaryKind::relu6, x + 3) / 6;
  case UnaryKind::gelu_10:
    return std::min(unary_value(UnaryKind::gelu_erf, x), 10.0);
  case UnaryKind::abs:
    return std::abs(x);
  case UnaryKind::log_sigmoid:
    return x < 0 ? x - std::log1p(std::exp(x)) : -std::log1p(std::exp(-x));
  case UnaryKind::one_minus_square_root:
    return x > 0 ? 0 : std::sqrt(-std::expm1(2 * x));
  case UnaryKind::sin:
    return std::sin(x);
  case UnaryKind::cos:
    return std::cos(x);
  }
  llvm_unreachable("a unary kind of the dialect");
}

namespace {

template <class S> S apply(BinaryKind kind, S x, S r) {
  switch (kind) {
  case BinaryKind::add:
    return x + r;
  case BinaryKind::mul:
    return x * r;
  case BinaryKind::sub:
    return x - r;
  case BinaryKind::max:
    return x != x || x > r ? x : r; // NaN is larger than anything
  case BinaryKind::div:
    return x / r;
  }
  llvm_unreachable("a binary kind of the dialect");
}

template <class S> absl::Status eval_unary(Frame<S> &frame, UnaryOp op) {
  Rows<S> y = frame.rows(op.getInput());
  for (S &x : y.data)
    x = static_cast<S>(unary_value(op.getFn(), static_cast<double>(x)));
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_binary(Frame<S> &frame, BinaryOp op) {
  Rows<S> y = frame.rows(op.getLhs());
  const auto repeat = static_cast<int64_t>(op.getRepeat());
  if (mlir::isa<WeightType>(op.getRhs().getType())) {
    const auto r = frame.elements(op.getRhs());
    if (!r.ok())
      return r.status();
    for (int64_t t = 0; t < y.rows; ++t)
      for (int64_t c = 0; c < y.cols; ++c)
        y[t][c] = apply<S>(op.getFn(), y[t][c], (**r)[static_cast<size_t>(c / repeat)]);
  } else {
    const Rows<S> &r = frame.rows(op.getRhs());
    for (int64_t t = 0; t < y.rows; ++t)
      for (int64_t c = 0; c < y.cols; ++c)
        y[t][c] = apply<S>(op.getFn(), y[t][c], r[t][c / repeat]);
  }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_scale(Frame<S> &frame, ScaleOp op) {
  Rows<S> y = frame.rows(op.getInput());
  const S factor = op.getFactor().convertToFloat();
  for (S &x : y.data)
    x *= factor;
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_clamp(Frame<S> &frame, ClampOp op) {
  Rows<S> y = frame.rows(op.getInput());
  const S least = op.getMin().convertToFloat(), most = op.getMax().convertToFloat();
  for (S &x : y.data)
    x = std::min(std::max(x, least), most);
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_gated_act(Frame<S> &frame, GatedActOp op) {
  Rows<S> y = frame.rows(op.getGate());
  const Rows<S> &up = frame.rows(op.getUp());
  const auto number = [](const std::optional<llvm::APFloat> &value, float otherwise) {
    return static_cast<S>(value ? value->convertToFloat() : otherwise);
  };
  const S alpha = number(op.getAlpha(), 1), shift = number(op.getShift(), 0);
  const S limit = number(op.getLimit(), std::numeric_limits<float>::infinity());
  for (size_t i = 0; i < y.data.size(); ++i) {
    const S gate = std::min(y.data[i], limit) * alpha;
    const S other = std::min(std::max(up.data[i], -limit), limit) + shift;
    // Rounded before the product, as a unary followed by a binary is.
    y.data[i] = static_cast<S>(unary_value(op.getFn(), static_cast<double>(gate))) / alpha * other;
  }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_slice(Frame<S> &frame, SliceOp op) {
  const Rows<S> &x = frame.rows(op.getInput());
  Rows<S> y(x.rows, colsOf(op.getType()));
  const auto groups = static_cast<int64_t>(op.getGroups());
  const int64_t from = x.cols / groups, to = y.cols / groups;
  for (int64_t t = 0; t < y.rows; ++t)
    for (int64_t g = 0; g < groups; ++g)
      std::copy_n(x[t] + g * from + op.getOffset(), to, y[t] + g * to);
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_concat(Frame<S> &frame, ConcatOp op) {
  Rows<S> y(frame.rows(op.getInputs().front()).rows, colsOf(op.getType()));
  const auto groups = static_cast<int64_t>(op.getGroups());
  for (int64_t t = 0; t < y.rows; ++t) {
    S *to = y[t];
    for (int64_t g = 0; g < groups; ++g)
      for (mlir::Value input : op.getInputs()) {
        const Rows<S> &x = frame.rows(input);
        const int64_t cols = x.cols / groups;
        to = std::copy_n(x[t] + g * cols, cols, to);
      }
  }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_group_sum(Frame<S> &frame, GroupSumOp op) {
  const Rows<S> &x = frame.rows(op.getInput());
  Rows<S> y(x.rows, colsOf(op.getType()));
  const int64_t cols = x.cols / y.cols;
  for (int64_t t = 0; t < y.rows; ++t)
    for (int64_t g = 0; g < y.cols; ++g) {
      double sum = 0;
      for (int64_t c = g * cols; c < (g + 1) * cols; ++c)
        sum += static_cast<double>(x[t][c]);
      y[t][g] = static_cast<S>(sum);
    }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_transpose(Frame<S> &frame, TransposeOp op) {
  const Rows<S> &x = frame.rows(op.getInput());
  Rows<S> y(x.rows, x.cols);
  const auto groups = static_cast<int64_t>(op.getGroups());
  for (int64_t t = 0; t < y.rows; ++t)
    for (int64_t c = 0; c < y.cols; ++c)
      y[t][c] = x[t][c % groups * (x.cols / groups) + c / groups];
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_gather_rows(Frame<S> &frame, GatherRowsOp op) {
  const Rows<S> &x = frame.rows(op.getInput());
  const Indices &rows = frame.indices(op.getRows());
  Rows<S> y(static_cast<int64_t>(rows.size()), x.cols);
  for (int64_t r = 0; r < y.rows; ++r) {
    const int32_t row = rows[static_cast<size_t>(r)];
    if (row < 0 || row >= x.rows)
      return absl::InvalidArgumentError(
          absl::StrCat("row ", r, " is ", row, ", outside [0, ", x.rows, ")"));
    std::copy_n(x[row], x.cols, y[r]);
  }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_pool(Frame<S> &frame, PoolOp op) {
  const Rows<S> &x = frame.rows(op.getInput());
  const PackedBatch &batch = frame.step.batch;
  Rows<S> y(batch.num_seqs(), x.cols);
  for (int64_t b = 0; b < y.rows; ++b) {
    const int64_t first = batch.cu_seqlens[static_cast<size_t>(b)],
                  end = batch.cu_seqlens[static_cast<size_t>(b) + 1];
    const auto count = static_cast<double>(end - first);
    for (int64_t c = 0; c < y.cols; ++c) {
      double sum = 0, weighted = 0;
      S largest = x[first][c];
      for (int64_t t = first; t < end; ++t) {
        sum += static_cast<double>(x[t][c]);
        weighted += static_cast<double>(t - first + 1) * static_cast<double>(x[t][c]);
        largest = std::max(largest, x[t][c]);
      }
      switch (op.getFn()) {
      case PoolKind::mean:
        y[b][c] = static_cast<S>(sum / count);
        break;
      case PoolKind::first:
        y[b][c] = x[first][c];
        break;
      case PoolKind::last:
        y[b][c] = x[end - 1][c];
        break;
      case PoolKind::max:
        y[b][c] = largest;
        break;
      case PoolKind::root_mean:
        y[b][c] = static_cast<S>(sum / std::sqrt(count));
        break;
      case PoolKind::weighted_mean:
        y[b][c] = static_cast<S>(weighted / (count * (count + 1) / 2));
        break;
      }
    }
  }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

} // namespace

template <class S> void add_tensor_evals(EvalTable<S> &table) {
  table.template add<UnaryOp, eval_unary<S>>();
  table.template add<BinaryOp, eval_binary<S>>();
  table.template add<ScaleOp, eval_scale<S>>();
  table.template add<ClampOp, eval_clamp<S>>();
  table.template add<GatedActOp, eval_gated_act<S>>();
  table.template add<SliceOp, eval_slice<S>>();
  table.template add<ConcatOp, eval_concat<S>>();
  table.template add<GroupSumOp, eval_group_sum<S>>();
  table.template add<TransposeOp, eval_transpose<S>>();
  table.template add<GatherRowsOp, eval_gather_rows<S>>();
  table.template add<PoolOp, eval_pool<S>>();
}
QUERN_INSTANTIATE_EVALS(add_tensor_evals)

} // namespace quern::reference
