// Where all blocks of a launch meet, which has to be a cooperative one: all its blocks run at once.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_GRIDBARRIER_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_GRIDBARRIER_CUH

#include "codegen/cuda/device/Base.cuh"

namespace quern {

/// A launch's barriers, on a number that is 0 when it begins (QuernCudaStep.barrier): it counts
/// arrivals of blocks and is never set back, so that nobody has to wait for the last to leave.
class GridBarrier {
public:
  QN_DEVICE explicit GridBarrier(unsigned *arrivals) : arrivals_(arrivals) {}

  /// For all threads of all blocks. What each wrote before it is seen by all after it: the block's
  /// threads have met its first one when that releases, and meet it again when it has acquired.
  QN_DEVICE void wait() {
    expected_ += gridDim.x;
    __syncthreads();
    if (thread() == 0) {
      asm volatile(
          "red.release.gpu.global.add.u32 [%0], 1;" ::"l"(__cvta_generic_to_global(arrivals_))
          : "memory");
      u32 arrived;
      do {
        asm volatile("ld.acquire.gpu.global.u32 %0, [%1];"
                     : "=r"(arrived)
                     : "l"(__cvta_generic_to_global(arrivals_))
                     : "memory");
      } while (arrived < expected_);
    }
    __syncthreads();
  }

private:
  unsigned *arrivals_;
  u32 expected_ = 0;
};

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_GRIDBARRIER_CUH
