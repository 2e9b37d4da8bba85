// Recurrences over a sequence.
#include "ir/reference/Frame.h"

#include <algorithm>

namespace quern::reference {
namespace {

/// Where the decay of (head, key, value) lies in a row of decays.
int64_t decay_index(DecayKind kind, int64_t head, int64_t key, int64_t value, int64_t keys,
                    int64_t values) {
  switch (kind) {
  case DecayKind::head:
    return head;
  case DecayKind::key:
    return head * keys + key;
  case DecayKind::value:
    return head * values + value;
  case DecayKind::elementwise:
    return (head * keys + key) * values + value;
  }
  llvm_unreachable("a decay kind of the dialect");
}

template <class S> absl::Status eval_linear_recurrence(Frame<S> &frame, LinearRecurrenceOp op) {
  const Rows<S> &r = frame.rows(op.getR()), &k = frame.rows(op.getK()), &v = frame.rows(op.getV());
  const Rows<S> &decay = frame.rows(op.getDecay());
  const Rows<S> *a = op.getA() ? &frame.rows(op.getA()) : nullptr;
  const Rows<S> *b = op.getB() ? &frame.rows(op.getB()) : nullptr;
  llvm::ArrayRef<int64_t> shape = op.getState().getType().getShape();
  const int64_t heads = shape[0], keys = shape[1], values = shape[2];
  const int64_t heads_a_group = heads / static_cast<int64_t>(op.getGroups());
  const PackedBatch &batch = frame.step.batch;
  Rows<S> y(v.rows, v.cols);
  for (int64_t t = 0; t < v.rows; ++t) {
    const int64_t slot = batch.slots[static_cast<size_t>(batch.token_seq[static_cast<size_t>(t)])];
    std::vector<double> &states =
        frame.step.state.fixed(slot, frame.state(op.getState()), heads * keys * values);
    for (int64_t h = 0; h < heads; ++h) {
      double *state = states.data() + h * keys * values;
      const int64_t shared = h / heads_a_group * keys; // of r, k, a and b
      for (int64_t j = 0; j < values; ++j) {
        double correction = 0; // a_t^T S_(t-1), column j
        if (a)
          for (int64_t i = 0; i < keys; ++i)
            correction += static_cast<double>((*a)[t][shared + i]) * state[i * values + j];
        double out = 0;
        for (int64_t i = 0; i < keys; ++i) {
          double &s = state[i * values + j];
          double next =
              static_cast<double>(decay[t][decay_index(op.getDecayKind(), h, i, j, keys, values)]) *
              s;
          if (b)
            next += static_cast<double>((*b)[t][shared + i]) * correction;
          next += static_cast<double>(k[t][shared + i]) * static_cast<double>(v[t][h * values + j]);
          s = static_cast<double>(static_cast<S>(next));
          out += s * static_cast<double>(r[t][shared + i]);
        }
        y[t][h * values + j] = static_cast<S>(out);
      }
    }
  }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_causal_conv1d(Frame<S> &frame, CausalConv1dOp op) {
  const Rows<S> &x = frame.rows(op.getInput());
  const auto weight = frame.elements(op.getWeight());
  if (!weight.ok())
    return weight.status();
  WeightCache::Block bias;
  if (op.getBias()) {
    auto elements = frame.elements(op.getBias());
    if (!elements.ok())
      return elements.status();
    bias = *elements;
  }
  const int64_t kept = op.getState().getType().getShape()[1], length = kept + 1;
  const PackedBatch &batch = frame.step.batch;
  Rows<S> y(x.rows, x.cols);
  for (int64_t t = 0; t < x.rows; ++t) {
    const int64_t slot = batch.slots[static_cast<size_t>(batch.token_seq[static_cast<size_t>(t)])];
    std::vector<double> &windows =
        frame.step.state.fixed(slot, frame.state(op.getState()), x.cols * kept);
    for (int64_t c = 0; c < x.cols; ++c) {
      double *window = windows.data() + c * kept;
      const float *w = (*weight)->data() + c * length;
      double sum = bias ? static_cast<double>((*bias)[static_cast<size_t>(c)]) : 0.0;
      for (int64_t i = 0; i < kept; ++i)
        sum += static_cast<double>(w[i]) * window[i];
      sum += static_cast<double>(w[kept]) * static_cast<double>(x[t][c]);
      y[t][c] = static_cast<S>(sum);
      std::copy(window + 1, window + kept, window);
      window[kept - 1] = static_cast<double>(x[t][c]);
    }
  }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

} // namespace

template <class S> void add_scan_evals(EvalTable<S> &table) {
  table.template add<LinearRecurrenceOp, eval_linear_recurrence<S>>();
  table.template add<CausalConv1dOp, eval_causal_conv1d<S>>();
}
QUERN_INSTANTIATE_EVALS(add_scan_evals)

} // namespace quern::reference
