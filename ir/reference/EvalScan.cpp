// Recurrences over a sequence.
#include "ir/reference/Frame.h"

#include <algorithm>
#include <utility>

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

template <class S> absl::Status eval_token_shift(Frame<S> &frame, TokenShiftOp op) {
  const Rows<S> &x = frame.rows(op.getInput());
  const PackedBatch &batch = frame.step.batch;
  Rows<S> y(x.rows, x.cols);
  for (int64_t t = 0; t < x.rows; ++t) {
    const int64_t slot = batch.slots[static_cast<size_t>(batch.token_seq[static_cast<size_t>(t)])];
    std::vector<double> &window = frame.step.state.fixed(slot, frame.state(op.getState()), x.cols);
    for (int64_t c = 0; c < x.cols; ++c)
      y[t][c] = static_cast<S>(
          std::exchange(window[static_cast<size_t>(c)], static_cast<double>(x[t][c])));
  }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_scan(Frame<S> &frame, ScanOp op) {
  const PackedBatch &batch = frame.step.batch;
  const int64_t states = op.states(), cols = op.columns();
  std::vector<Rows<S>> results(op.getNumResults(), Rows<S>(batch.num_tokens(), cols));
  const auto row_of = [](const S *numbers, int64_t count) {
    Rows<S> row(1, count);
    std::copy_n(numbers, count, row.data.begin());
    return std::make_shared<const Rows<S>>(std::move(row));
  };
  for (int64_t t = 0; t < batch.num_tokens(); ++t) {
    const int64_t slot = batch.slots[static_cast<size_t>(batch.token_seq[static_cast<size_t>(t)])];
    std::vector<double> &state =
        frame.step.state.fixed(slot, frame.state(op.getState()), states * cols);
    std::vector<Value<S>> arguments;
    for (int64_t s = 0; s < states; ++s) {
      Rows<S> row(1, cols);
      for (int64_t c = 0; c < cols; ++c)
        row.data[static_cast<size_t>(c)] =
            static_cast<S>(state[static_cast<size_t>(s * cols + c)]);
      arguments.emplace_back(std::make_shared<const Rows<S>>(std::move(row)));
    }
    for (mlir::Value input : op.getInputs())
      if (mlir::isa<WeightType>(input.getType()))
        arguments.push_back(frame.value_of(input));
      else
        arguments.emplace_back(row_of(frame.rows(input)[t], frame.rows(input).cols));
    auto yielded = frame.run(op.getBody(), std::move(arguments));
    if (!yielded.ok())
      return yielded.status();
    const auto row = [&](int64_t i) -> const Rows<S> & {
      return *std::get<std::shared_ptr<const Rows<S>>>((*yielded)[static_cast<size_t>(i)]);
    };
    for (int64_t s = 0; s < states; ++s)
      for (int64_t c = 0; c < cols; ++c)
        state[static_cast<size_t>(s * cols + c)] =
            static_cast<double>(row(s).data[static_cast<size_t>(c)]);
    for (size_t i = 0; i < results.size(); ++i)
      std::copy_n(row(states + static_cast<int64_t>(i)).data.begin(), cols, results[i][t]);
  }
  for (auto [result, rows] : llvm::zip_equal(op.getResults(), results))
    frame.set_rows(result, std::move(rows));
  return absl::OkStatus();
}

} // namespace

template <class S> void add_scan_evals(EvalTable<S> &table) {
  table.template add<LinearRecurrenceOp, eval_linear_recurrence<S>>();
  table.template add<CausalConv1dOp, eval_causal_conv1d<S>>();
  table.template add<TokenShiftOp, eval_token_shift<S>>();
  table.template add<ScanOp, eval_scan<S>>();
}
QUERN_INSTANTIATE_EVALS(add_scan_evals)

} // namespace quern::reference
