// Slots, steps and sampling.
#include "runtime/capi/Handles.h"

#include <algorithm>
#include <cstring>
#include <vector>

using quern::capi::guarded;
using quern::session::Rows;

namespace {

template <class T> absl::Status give(const absl::StatusOr<T> &value, T *out) {
  if (!value.ok())
    return value.status();
  *out = *value;
  return absl::OkStatus();
}

absl::Status step(QuernModel *model, const QuernSequence *batch, size_t batch_size, float *logits,
                  size_t max_rows) {
  std::vector<quern::session::SequenceStep> steps;
  steps.reserve(batch_size);
  for (size_t i = 0; i < batch_size; ++i) {
    const QuernSequence &s = batch[i];
    if (s.rows < QUERN_ROWS_NONE || s.rows > QUERN_ROWS_ALL)
      return absl::InvalidArgumentError("rows must be QUERN_ROWS_NONE, _LAST or _ALL");
    steps.push_back({s.slot, {s.tokens, s.num_tokens}, static_cast<Rows>(s.rows)});
  }
  const uint64_t vocab = model->engine->vocab();
  if (vocab != 0 && max_rows > UINT64_MAX / sizeof(float) / vocab)
    return absl::InvalidArgumentError("max_rows is larger than any memory");
  return model->engine->step(steps, {logits, max_rows * vocab});
}

} // namespace

static_assert(static_cast<int>(Rows::none) == QUERN_ROWS_NONE &&
              static_cast<int>(Rows::last) == QUERN_ROWS_LAST &&
              static_cast<int>(Rows::all) == QUERN_ROWS_ALL);

extern "C" {

QuernStatus quern_slot_create(QuernModel *model, QuernSlot *slot) {
  return guarded([&] { return give(model->engine->create_slot(), slot); });
}

QuernStatus quern_slot_free(QuernModel *model, QuernSlot slot) {
  return guarded([&] { return model->engine->free_slot(slot); });
}

QuernStatus quern_slot_fork(QuernModel *model, QuernSlot slot, QuernSlot *fork) {
  return guarded([&] { return give(model->engine->fork(slot), fork); });
}

QuernStatus quern_slot_truncate(QuernModel *model, QuernSlot slot, uint64_t length) {
  return guarded([&] { return model->engine->truncate(slot, length); });
}

QuernStatus quern_slot_rewind(QuernModel *model, QuernSlot slot, uint64_t length,
                              uint64_t *reached) {
  return guarded([&] { return give(model->engine->rewind(slot, length), reached); });
}

QuernStatus quern_slot_rewind_to_shared(QuernModel *model, QuernSlot slot, const int32_t *tokens,
                                        size_t num_tokens, uint64_t *reached) {
  return guarded(
      [&] { return give(model->engine->rewind_to_shared(slot, {tokens, num_tokens}), reached); });
}

QuernStatus quern_slot_checkpoint(QuernModel *model, QuernSlot slot) {
  return guarded([&] { return model->engine->checkpoint(slot); });
}

uint64_t quern_checkpoint_spacing(const QuernModel *model) {
  return model->engine->checkpoints().spacing;
}

uint64_t quern_checkpoint_bytes(const QuernModel *model) {
  return model->engine->checkpoints().bytes;
}

uint64_t quern_slot_length(const QuernModel *model, QuernSlot slot) {
  return model->engine->length(slot);
}

QuernStatus quern_slot_save(const QuernModel *model, QuernSlot slot, const char *path) {
  return guarded([&] { return model->engine->save_state(slot, path); });
}

QuernStatus quern_slot_load(QuernModel *model, const char *path, QuernSlot *slot) {
  return guarded([&] { return give(model->engine->load_state(path), slot); });
}

QuernStatus quern_step(QuernModel *model, const QuernSequence *batch, size_t batch_size,
                       float *logits, size_t max_rows) {
  return guarded([&] { return step(model, batch, batch_size, logits, max_rows); });
}

QuernStatus quern_step_greedy(QuernModel *model, QuernSlot slot, int32_t token, float *logits,
                              int32_t *next) {
  return guarded([&] {
    return give(model->engine->step_greedy(slot, token, {logits, model->engine->vocab()}), next);
  });
}

void quern_sampling_defaults(QuernSampling *sampling) {
  const quern::session::SamplerOptions defaults;
  *sampling = {sizeof(QuernSampling), defaults.temperature,    defaults.top_k,       defaults.top_p,
               defaults.min_p,        defaults.repeat_penalty, defaults.repeat_last, defaults.seed};
}

QuernStatus quern_sampler_create(const QuernModel *model, const QuernSampling *given,
                                 QuernSampler **sampler) {
  return guarded([&]() -> absl::Status {
    *sampler = nullptr;
    QuernSampling sampling;
    quern_sampling_defaults(&sampling);
    if (given) // an older struct is shorter: the rest stays as it is by default
      std::memcpy(&sampling, given, std::min(given->size, sizeof sampling));
    auto made = quern::session::Sampler::create(
        {sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p,
         sampling.repeat_penalty, sampling.repeat_last, sampling.seed},
        model->engine->vocab());
    if (!made.ok())
      return made.status();
    *sampler = new QuernSampler{*std::move(made)};
    return absl::OkStatus();
  });
}

void quern_sampler_free(QuernSampler *sampler) { delete sampler; }

QuernStatus quern_sample(QuernSampler *sampler, const QuernModel *model, QuernSlot slot,
                         const float *logits, int32_t *token) {
  return guarded([&]() -> absl::Status {
    auto picked =
        sampler->sampler.sample({logits, model->engine->vocab()}, model->engine->tokens(slot));
    if (!picked.ok())
      return picked.status();
    *token = *picked;
    return absl::OkStatus();
  });
}
}
