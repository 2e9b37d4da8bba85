/* The fake model's two kernels, as CUDA C++ and as C++ alike: FakeKernels.cu makes PTX of them, the
 * fake driver runs them. One thread does all there is to do. FakeModel.h says what they compute. */
#ifndef QUERN_TESTS_RUNTIME_FAKE_FAKEKERNELS_H
#define QUERN_TESTS_RUNTIME_FAKE_FAKEKERNELS_H

#include "runtime/abi/CudaStep.h"
#include "runtime/abi/StepArgs.h"
#include "tests/runtime/fake/FakeModel.h"

#ifdef __CUDACC_RTC__
#define FAKE_KERNEL static __device__ inline
#else
#define FAKE_KERNEL static inline
#endif
/* Short PTX is read more easily. */
#define FAKE_LOOP _Pragma("unroll 1")

/* Positions of group 0 are one int32, of group 1 two. */
FAKE_KERNEL int *fake_position(const QuernCudaStep *step, long long group, long long offset,
                               int seq, int position) {
  const QuernCudaKvGroup *kv = &step->kv[group];
  const int page = kv->block_table[seq * kv->table_stride + position / QUERN_KV_PAGE];
  unsigned char *base = kv->pages + page * kv->page_bytes + offset;
  return (int *)base + (position % QUERN_KV_PAGE) * (group + 1);
}

/* Tokens go into the kv pages and the recurrent state, the state after each into `memory`. */
FAKE_KERNEL void fake_append_all(const QuernCudaStep *step, const int *tokens, long long group0,
                                 long long offset0, long long group1, long long offset1,
                                 long long state_offset, unsigned *memory) {
  FAKE_LOOP for (long long t = 0; t < step->num_tokens; ++t) {
    const int seq = step->token_seq[t], at = step->positions[t];
    unsigned *state = 0;
    if (state_offset >= 0)
      state = (unsigned *)(step->fixed_state[seq] + state_offset);
    memory[t] = 0;
    if (state) {
      *state = fake_mix(*state, (unsigned)tokens[t]);
      memory[t] = *state;
    }
    fake_position(step, group0, offset0, seq, at)[0] = tokens[t];
    fake_position(step, group1, offset1, seq, at)[0] = at;
    fake_position(step, group1, offset1, seq, at)[1] = tokens[t] + at;
  }
}

/* The logits of the wanted rows, or the largest of them. */
FAKE_KERNEL void fake_logits_of(const QuernCudaStep *step, const float *weights,
                                const unsigned *memory, const int *rows, long long group0,
                                long long offset0, long long group1, long long offset1,
                                float *logits) {
  const int window = ((const int *)weights)[FAKE_VOCAB];
  FAKE_LOOP for (long long r = 0; r < step->num_rows; ++r) {
    const int t = rows[r], seq = step->token_seq[t];
    unsigned seen = 0;
    FAKE_LOOP for (int p = 0; p <= step->positions[t]; ++p) {
      seen = fake_mix(seen, (unsigned)fake_position(step, group0, offset0, seq, p)[0]);
      if (window != 0 && p <= step->positions[t] - window)
        continue;
      const int *of_window = fake_position(step, group1, offset1, seq, p);
      seen = fake_mix(seen, (unsigned)of_window[1] - (unsigned)of_window[0]);
    }
    FAKE_LOOP for (unsigned v = 0; v < FAKE_VOCAB; ++v) {
      const float logit = fake_logit(seen, memory[t], v) + weights[v];
      if (step->argmax == 0) {
        logits[r * FAKE_VOCAB + v] = logit;
        continue;
      }
      union {
        float value;
        unsigned bits;
      } as = {logit};
      const unsigned order = as.bits & 0x80000000u ? ~as.bits : as.bits | 0x80000000u;
      const unsigned long long packed = (unsigned long long)order << 32 | (0xffffffffu - v);
      if (packed > *step->argmax)
        *step->argmax = packed;
    }
  }
}

/* y[T, 3] = x[T, 3] * scale[] + weights[0] */
FAKE_KERNEL void fake_scale_all(const QuernCudaStep *step, const float *weights, const float *x,
                                const float *scale, float *y) {
  FAKE_LOOP for (long long i = 0; i < step->num_tokens * 3; ++i) y[i] = x[i] * *scale + weights[0];
}

#endif // QUERN_TESTS_RUNTIME_FAKE_FAKEKERNELS_H
