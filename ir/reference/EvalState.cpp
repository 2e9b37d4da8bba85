// State declarations and references, and what is appended to kv state.
#include "ir/formats/Half.h"
#include "ir/reference/Frame.h"
#include "ir/reference/Int8.h"
#include "runtime/abi/StepArgs.h"

#include <algorithm>
#include <cmath>
#include <vector>

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

/// The number as `round` gives it back, but for finite ones that lie beyond `largest`.
template <class S> double held(S number, float largest, float (*round)(float)) {
  const auto value = static_cast<float>(number);
  return round(std::isfinite(value) ? std::clamp(value, -largest, largest) : value);
}
float through_f16(float x) { return formats::f16_to_f32(formats::f32_to_f16(x)); }
float through_bf16(float x) { return formats::bf16_to_f32(formats::f32_to_bf16(x)); }

/// Writes a key or a value as the state gives it back.
template <class S> void store(const S *from, int64_t dim, StateFormat format, double *to) {
  constexpr int64_t kGroup = QUERN_KV_GROUP;
  switch (format) {
  case StateFormat::f32:
    std::copy(from, from + dim, to);
    return;
  case StateFormat::f16:
    std::transform(from, from + dim, to,
                   [](S number) { return held(number, 65504.0f, through_f16); });
    return;
  case StateFormat::bf16:
    std::transform(from, from + dim, to,
                   [](S number) { return held(number, 0x1.fep127f, through_bf16); });
    return;
  case StateFormat::int8:
    std::vector<S> rounded(from, from + dim);
    for (int64_t begin = 0; begin < dim; begin += kGroup) {
      const int64_t n = std::min(kGroup, dim - begin);
      round_to_int8(rounded.data() + begin, n, largest_magnitude(rounded.data() + begin, n));
    }
    std::copy(rounded.begin(), rounded.end(), to);
    return;
  }
}

/// Whether the format ends before that number.
bool saturates(double number, StateFormat format) {
  return format == StateFormat::f16 ? std::abs(number) >= 65520.0
                                    : format == StateFormat::bf16 && std::abs(number) >= 0x1.ffp127;
}

/// Adds what rounding took of a head's numbers.
template <class S>
void add_rounding(const S *given, const double *stored, int64_t dim, StateFormat format,
                  ReferenceState::Rounding &rounding) {
  for (int64_t i = 0; i < dim; ++i) {
    const auto number = static_cast<double>(given[i]);
    if (!std::isfinite(number) || saturates(number, format))
      continue;
    rounding.given += number * number;
    rounding.lost += (number - stored[i]) * (number - stored[i]);
  }
}

template <class S> absl::Status eval_kv_append(Frame<S> &frame, KvAppendOp op) {
  const Rows<S> &keys = frame.rows(op.getKeys());
  const Rows<S> *values = op.getValues() ? &frame.rows(op.getValues()) : nullptr;
  const PackedBatch &batch = frame.step.batch;
  StateType type = op.getState().getType();
  if (frame.step.exact_formats)
    type = type.in(StateFormat::f32);
  const int64_t width = keys.cols + (values ? values->cols : 0);
  for (int64_t t = 0; t < keys.rows; ++t) {
    const int64_t position = batch.positions[static_cast<size_t>(t)];
    const int64_t slot = batch.slots[static_cast<size_t>(batch.token_seq[static_cast<size_t>(t)])];
    double *state =
        frame.step.state.growing(slot, frame.state(op.getState()), width, position + 1).data() +
        position * width;
    for (const Rows<S> *rows : {&keys, values}) {
      if (!rows)
        continue;
      const int64_t heads = type.getShape()[0], dim = rows->cols / heads;
      for (int64_t head = 0; head < heads; ++head) {
        const S *from = (*rows)[t] + head * dim;
        store(from, dim, type.getFormat(), state + head * dim);
        add_rounding(from, state + head * dim, dim, type.getFormat(),
                     frame.step.state.rounding(frame.state(op.getState()),
                                               rows == &keys ? head : heads + head,
                                               values ? 2 * heads : heads));
      }
      for (int64_t i = 0; i < rows->cols; ++i) {
        const double given = static_cast<double>((*rows)[t][i]);
        if (std::isfinite(given) && saturates(given, type.getFormat()))
          frame.step.state.note_saturated(frame.state(op.getState()), std::abs(given));
      }
      state += rows->cols;
    }
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
