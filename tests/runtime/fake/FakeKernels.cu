// The fake model as CUDA C++. FakeKernels.ptx is what NVRTC makes of it: make_fake_ptx, beside this.
#include "tests/runtime/fake/FakeKernels.h"

#define FAKE_ONE_THREAD                                                                            \
  if (blockIdx.x != 0 || threadIdx.x != 0)                                                         \
  return

extern "C" __global__ void __launch_bounds__(QUERN_CUDA_THREADS)
    fake_append(const QuernCudaStep *step, const int *tokens, long long group0, long long offset0,
                long long group1, long long offset1, long long state_offset, unsigned *memory) {
  FAKE_ONE_THREAD;
  fake_append_all(step, tokens, group0, offset0, group1, offset1, state_offset, memory);
}

extern "C" __global__ void __launch_bounds__(QUERN_CUDA_THREADS)
    fake_logits(const QuernCudaStep *step, const float *weights, const unsigned *memory,
                const int *rows, long long group0, long long offset0, long long group1,
                long long offset1, float *logits) {
  FAKE_ONE_THREAD;
  fake_logits_of(step, weights, memory, rows, group0, offset0, group1, offset1, logits);
}

// Both in one launch, over a barrier of the whole grid: every block arrives, the first goes on.
extern "C" __global__ void __launch_bounds__(QUERN_CUDA_THREADS)
    fake_persistent(const QuernCudaStep *step, const int *tokens, long long group0,
                    long long offset0, long long group1, long long offset1, long long state_offset,
                    unsigned *memory, const float *weights, const int *rows, float *logits) {
  if (threadIdx.x != 0)
    return;
  // The last block appends, the first gives the logits.
  if (blockIdx.x == gridDim.x - 1)
    fake_append_all(step, tokens, group0, offset0, group1, offset1, state_offset, memory);
  __threadfence();
  atomicAdd(step->barrier, 1u);
  if (blockIdx.x != 0)
    return;
  unsigned arrived;
  do
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];"
                 : "=r"(arrived)
                 : "l"(step->barrier)
                 : "memory");
  while (arrived != gridDim.x);
  fake_logits_of(step, weights, memory, rows, group0, offset0, group1, offset1, logits);
}

extern "C" __global__ void __launch_bounds__(QUERN_CUDA_THREADS)
    fake_scale(const QuernCudaStep *step, const float *weights, const float *x, const float *scale,
               float *y) {
  FAKE_ONE_THREAD;
  fake_scale_all(step, weights, x, scale, y);
}
