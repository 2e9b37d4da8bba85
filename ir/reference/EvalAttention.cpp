// Attention over kv state, and rotary positions.
#include "ir/reference/Frame.h"

#include <algorithm>
#include <cmath>

namespace quern::reference {
namespace {

template <class S> absl::Status eval_rope_table(Frame<S> &frame, RopeTableOp op) {
  const std::vector<int64_t> &positions = frame.step.batch.positions;
  llvm::ArrayRef<float> frequencies = op.getInvFreq();
  const auto n = static_cast<int64_t>(frequencies.size());
  const double scale = op.getScale().convertToFloat();
  Rows<S> table(static_cast<int64_t>(positions.size()), 2 * n);
  for (int64_t t = 0; t < table.rows; ++t)
    for (int64_t i = 0; i < n; ++i) {
      // The angle is a float32 product in either precision: the op says so.
      const float angle = static_cast<float>(positions[static_cast<size_t>(t)]) *
                          frequencies[static_cast<size_t>(i)];
      table[t][i] = static_cast<S>(scale * std::cos(static_cast<double>(angle)));
      table[t][n + i] = static_cast<S>(scale * std::sin(static_cast<double>(angle)));
    }
  frame.set_rows(op.getResult(), std::move(table));
  return absl::OkStatus();
}

template <class S> absl::Status eval_rope(Frame<S> &frame, RopeOp op) {
  Rows<S> y = frame.rows(op.getInput());
  const Rows<S> &table = frame.rows(op.getTable());
  const auto head_dim = static_cast<int64_t>(op.getHeadDim());
  const int64_t n = table.cols / 2;
  for (int64_t t = 0; t < y.rows; ++t)
    for (S *head = y[t]; head != y[t] + y.cols; head += head_dim)
      for (int64_t i = 0; i < n; ++i) {
        S &first = head[op.getInterleaved() ? 2 * i : i];
        S &second = head[op.getInterleaved() ? 2 * i + 1 : i + n];
        const S a = first, b = second, cos = table[t][i], sin = table[t][n + i];
        first = a * cos - b * sin;
        second = a * sin + b * cos;
      }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_attention(Frame<S> &frame, AttentionOp op) {
  const Rows<S> &query = frame.rows(op.getQuery());
  const PackedBatch &batch = frame.step.batch;
  llvm::ArrayRef<int64_t> shape = op.getState().getType().getShape();
  const int64_t kv_heads = shape[0], key_dim = shape[1], value_dim = shape[2];
  const auto heads = static_cast<int64_t>(op.getHeads()),
             window = static_cast<int64_t>(op.getWindow());
  const double scale = op.getScale().convertToFloat(), softcap = op.getSoftcap().convertToFloat();
  // A position of the state is all its keys, then all its values.
  const int64_t width = kv_heads * (key_dim + value_dim);
  Rows<S> y(query.rows, heads * value_dim);
  std::vector<double> weights, sums(static_cast<size_t>(value_dim));
  for (int64_t t = 0; t < query.rows; ++t) {
    const int64_t position = batch.positions[static_cast<size_t>(t)];
    const int64_t slot = batch.slots[static_cast<size_t>(batch.token_seq[static_cast<size_t>(t)])];
    const double *state =
        frame.step.state.growing(slot, frame.state(op.getState()), width, position + 1).data();
    const int64_t first = window > 0 ? std::max<int64_t>(0, position - window + 1) : 0;
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t g = h / (heads / kv_heads);
      const S *q = query[t] + h * key_dim;
      weights.clear();
      for (int64_t j = first; j <= position; ++j) {
        const double *key = state + j * width + g * key_dim;
        double score = 0;
        for (int64_t d = 0; d < key_dim; ++d)
          score += static_cast<double>(q[d]) * key[d];
        score *= scale;
        weights.push_back(softcap > 0 ? softcap * std::tanh(score / softcap) : score);
      }
      const double largest = *std::max_element(weights.begin(), weights.end());
      double total = 0;
      for (double &weight : weights)
        total += weight = std::exp(weight - largest);
      std::fill(sums.begin(), sums.end(), 0.0);
      for (int64_t j = first; j <= position; ++j) {
        const double *value = state + j * width + kv_heads * key_dim + g * value_dim;
        const double weight = weights[static_cast<size_t>(j - first)] / total;
        for (int64_t d = 0; d < value_dim; ++d)
          sums[static_cast<size_t>(d)] += weight * value[d];
      }
      std::copy(sums.begin(), sums.end(), y[t] + h * value_dim);
    }
  }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

} // namespace

template <class S> void add_attention_evals(EvalTable<S> &table) {
  table.template add<RopeTableOp, eval_rope_table<S>>();
  table.template add<RopeOp, eval_rope<S>>();
  table.template add<AttentionOp, eval_attention<S>>();
}
QUERN_INSTANTIATE_EVALS(add_attention_evals)

} // namespace quern::reference
