// How blocks that share work inside of a kernel find out which of them comes last.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_ARRIVALS_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_ARRIVALS_CUH

#include "codegen/cuda/device/Base.cuh"

namespace quern {

/// Whether this block is the last of `expected` to arrive at `number`, which is 0 before the first
/// and after the last. What the blocks wrote before they arrived, all threads of the last see.
/// `flag`: an int of shared memory that nobody uses, and that nobody may write before the threads
/// have met again.
QN_DEVICE bool last_to_arrive(unsigned *number, unsigned expected, int *flag) {
  __syncthreads();
  if (thread() == 0) {
    unsigned before;
    asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], 1;"
                 : "=r"(before)
                 : "l"(number)
                 : "memory");
    const bool last = before + 1 == expected;
    if (last)
      *number = 0;
    *flag = last;
  }
  __syncthreads();
  const bool last = *flag != 0;
  __syncthreads();
  return last;
}

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_ARRIVALS_CUH
