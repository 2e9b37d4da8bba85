// The largest column of a step's only row, where that is all that is asked for (CudaStep.h).
#ifndef QUERN_CODEGEN_CUDA_DEVICE_ARGMAX_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_ARGMAX_CUH

#include "codegen/cuda/device/Base.cuh"

namespace quern {

/// What a column counts as: larger values more, of equal ones the first; NaN nothing.
QN_DEVICE u64 argmax_key(float value, int column) {
  const u32 bits = __float_as_uint(value + 0.0f); // -0 is 0
  const u32 order = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return value == value ? static_cast<u64>(order) << 32 | (0xffffffffu - static_cast<u32>(column))
                        : 0;
}

/// Hands in the best key of each thread of a warp; integers, so that any order gives the same.
QN_DEVICE void hand_in_argmax(const QuernCudaStep &step, u64 key) {
  for (int apart = 16; apart != 0; apart /= 2)
    key = most(key, __shfl_xor_sync(~0u, key, apart));
  if (lane() == 0 && key != 0)
    atomicMax(step.argmax, key);
}

/// Of a row that the block can read; nothing where all of it is asked for.
template <int kCols> QN_DEVICE void update_argmax(const QuernCudaStep &step, const float *row) {
  if (step.argmax == nullptr)
    return;
  u64 key = 0;
  for (int i = thread(); i < kCols; i += kThreads)
    key = most(key, argmax_key(row[i], i));
  hand_in_argmax(step, key);
}

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_ARGMAX_CUH
