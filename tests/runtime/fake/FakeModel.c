// The fake model's code: what a compiler would have generated, by hand. FakeModel.h says what it
// computes.
#include "tests/runtime/fake/FakeModel.h"
#include "runtime/abi/StepArgs.h"

#define EXPORT __attribute__((visibility("default")))

static void meet(QuernBarrier *barrier, int32_t num_workers, void (*yield)(void)) {
  const uint32_t phase = __atomic_load_n(&barrier->phase, __ATOMIC_ACQUIRE);
  if (__atomic_add_fetch(&barrier->arrived, 1, __ATOMIC_ACQ_REL) == (uint32_t)num_workers) {
    __atomic_store_n(&barrier->arrived, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&barrier->phase, phase + 1, __ATOMIC_RELEASE);
    return;
  }
  for (int spins = 0; __atomic_load_n(&barrier->phase, __ATOMIC_ACQUIRE) == phase; ++spins)
    if (spins > 1000)
      yield();
}

// One int32 a position in group 0, two in group 1.
static int32_t *position(const QuernStepArgs *args, int group, int32_t seq, int32_t position) {
  const QuernKvGroup *kv = &args->kv[group];
  const int32_t page = kv->block_tables[seq][position / QUERN_KV_PAGE];
  uint8_t *base = kv->pages + (int64_t)page * kv->page_bytes;
  return (int32_t *)base + (position % QUERN_KV_PAGE) * (group + 1);
}

static void step(const QuernStepArgs *args, int32_t worker, int32_t num_workers) {
  if (args->ticks && worker == 0)
    args->ticks[0] = __builtin_ia32_rdtsc();
  const int32_t *tokens = args->inputs[0];
  uint32_t *memory = (uint32_t *)args->arena; // of each token, the recurrent state after it
  if (worker == 0)
    for (int64_t t = 0; t < args->num_tokens; ++t) {
      const int32_t seq = args->token_seq[t], at = args->positions[t];
      uint32_t *state = (uint32_t *)args->fixed_state[seq];
      memory[t] = state ? *state = fake_mix(*state, (uint32_t)tokens[t]) : 0;
      position(args, 0, seq, at)[0] = tokens[t];
      position(args, 1, seq, at)[0] = at;
      position(args, 1, seq, at)[1] = tokens[t] + at;
    }
  meet(args->barrier, num_workers, args->yield);
  for (int64_t r = worker; r < args->num_rows; r += num_workers) {
    const int32_t t = args->rows[r], seq = args->token_seq[t];
    const int32_t window = ((const int32_t *)args->weights)[FAKE_VOCAB];
    uint32_t seen = 0;
    for (int32_t p = 0; p <= args->positions[t]; ++p) {
      seen = fake_mix(seen, (uint32_t)position(args, 0, seq, p)[0]);
      if (window != 0 && p <= args->positions[t] - window)
        continue;
      seen = fake_mix(seen, (uint32_t)position(args, 1, seq, p)[1] -
                                (uint32_t)position(args, 1, seq, p)[0]);
    }
    float *logits = (float *)args->outputs[0] + r * FAKE_VOCAB;
    for (uint32_t v = 0; v < FAKE_VOCAB; ++v) {
      const float logit = fake_logit(seen, memory[t], v) + ((const float *)args->weights)[v];
      if (!args->argmax)
        logits[v] = logit;
      else if (logit > args->argmax[worker].value)
        args->argmax[worker].value = logit, args->argmax[worker].column = (int32_t)v;
    }
  }
}

EXPORT void quern_step_decode1(const QuernStepArgs *args, int32_t worker, int32_t num_workers) {
  step(args, worker, num_workers);
}
EXPORT void quern_step_decode(const QuernStepArgs *args, int32_t worker, int32_t num_workers) {
  step(args, worker, num_workers);
}
EXPORT void quern_step_prefill(const QuernStepArgs *args, int32_t worker, int32_t num_workers) {
  step(args, worker, num_workers);
}

// y[T, 3] = x[T, 3] * scale[] + weights[0]
EXPORT void quern_main_any(const QuernStepArgs *args, int32_t worker, int32_t num_workers) {
  const float *x = args->inputs[0], *scale = args->inputs[1];
  float *y = args->outputs[0];
  for (int64_t i = worker; i < args->num_tokens * 3; i += num_workers)
    y[i] = x[i] * *scale + ((const float *)args->weights)[0];
}

// y[i, c] = ids[i] * tail[i % s + 2, c] where mask[i], else -1; half[j] = (bfloat16)(b + j)
EXPORT void quern_main_sized(const QuernStepArgs *args, int32_t worker, int32_t num_workers) {
  const int64_t b = args->dims[0], s = args->dims[1], t = args->dims[2];
  const int64_t *ids = args->inputs[0];
  const uint8_t *mask = args->inputs[1];
  const float *tail = args->inputs[2];
  float *y = args->outputs[0];
  for (int64_t i = worker; i < b * s; i += num_workers)
    for (int64_t c = 0; c < 3; ++c)
      y[3 * i + c] = mask[i / s * t + i % s] ? (float)ids[i] * tail[(i % s + 2) * 3 + c] : -1;
  uint16_t *half = args->outputs[1];
  for (int64_t j = worker; j < s / 2; j += num_workers) {
    const float value = (float)(b + j);
    uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    half[j] = (uint16_t)(bits >> 16);
  }
}

// kept[j] = the ids that are not 0, in order; there are dims[2] of them. One below 0 is at fault.
EXPORT void quern_main_counted(const QuernStepArgs *args, int32_t worker, int32_t num_workers) {
  if (worker != 0)
    return;
  const int64_t *ids = args->inputs[0];
  int64_t *kept = args->outputs[0], count = 0;
  for (int64_t i = 0; i < args->dims[0] * args->dims[1]; ++i) {
    if (ids[i] != 0)
      kept[count++] = ids[i];
    if (ids[i] < 0 && !args->fault->found)
      *args->fault = (QuernFault){.found = 1, .value = ids[i], .limit = 5};
  }
  args->dims[2] = count;
}
