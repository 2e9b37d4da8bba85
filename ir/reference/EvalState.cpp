// State declarations and references, and what is appended to kv state.
#include "ir/formats/Half.h"
#include "ir/reference/Frame.h"

#include <algorithm>

namespace quern::reference {
namespace {

template <class S> absl::Status eval_declare_state(Frame<S> &frame, DeclareStateOp op) {
  frame.returned = {StateHandle{op.getSymName().str()}};
  return absl::OkStatus();
}

template <class S> absl::Status eval_state_ref(Frame<S> &frame, StateRefOp op) {
  auto state = frame.call(op.getName(), {});
  if (!state.ok())
    return state.status();
  frame.set(op.getResult(), state->front());
  return absl::OkStatus();
}

/// A number as the state gives it back.
double as_stored(double value, StateFormat format) {
  const auto number = static_cast<float>(value);
  switch (format) {
  case StateFormat::f32:
    return value;
  case StateFormat::f16:
    return formats::f16_to_f32(formats::f32_to_f16(number));
  case StateFormat::bf16:
    return formats::bf16_to_f32(formats::f32_to_bf16(number));
  }
  return value;
}

template <class S> absl::Status eval_kv_append(Frame<S> &frame, KvAppendOp op) {
  const Rows<S> &keys = frame.rows(op.getKeys()), &values = frame.rows(op.getValues());
  const PackedBatch &batch = frame.step.batch;
  const int64_t width = keys.cols + values.cols;
  for (int64_t t = 0; t < keys.rows; ++t) {
    const int64_t position = batch.positions[static_cast<size_t>(t)];
    const int64_t slot = batch.slots[static_cast<size_t>(batch.token_seq[static_cast<size_t>(t)])];
    double *state =
        frame.step.state.growing(slot, frame.state(op.getState()), width, position + 1).data() +
        position * width;
    const StateFormat format = op.getState().getType().getFormat();
    const auto stored = [&](S value) { return as_stored(value, format); };
    std::transform(keys[t], keys[t] + keys.cols, state, stored);
    std::transform(values[t], values[t] + values.cols, state + keys.cols, stored);
  }
  return absl::OkStatus();
}

} // namespace

template <class S> void add_state_evals(EvalTable<S> &table) {
  table.template add<DeclareStateOp, eval_declare_state<S>>();
  table.template add<StateRefOp, eval_state_ref<S>>();
  table.template add<KvAppendOp, eval_kv_append<S>>();
}
QUERN_INSTANTIATE_EVALS(add_state_evals)

} // namespace quern::reference
