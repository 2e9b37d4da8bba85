// A product of some rows with a panel of a block-diagonal matrix's: 16 output channels of a block,
// by a block of threads.
//
// A thread has a channel and every kParts-th input; the parts' sums are added up in order. So the
// order of a sum depends on the matrix's shape alone.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_BLOCKPRODUCT_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_BLOCKPRODUCT_CUH

#include "codegen/cuda/device/Packings.cuh"
#include "runtime/abi/StepArgs.h"

namespace quern {

template <Packing P, int kInputs, int kMostRows, bool kQuantized> struct BlockProduct {
  static constexpr int kParts = kThreads / kLanes;
  /// Floats of shared memory: the parts' sums.
  static constexpr int kFloats = kParts * kMostRows * kLanes;

  /// Input `i` of a block of a row: a float of it, or a code of a row of its own.
  QN_DEVICE static float input(const u8 *row, int i) {
    if constexpr (kQuantized) {
      constexpr int kPadded = (kInputs + 31) / 32 * 32;
      const auto *const pairs = reinterpret_cast<const QuernQ8Pair *>(row + kPadded);
      const QuernQ8Pair pair = pairs[i / 32];
      const float code = static_cast<float>(reinterpret_cast<const i8 *>(row)[i]);
      return code * (i % 32 < 16 ? pair.scale : pair.scale * pair.ratio);
    } else {
      return reinterpret_cast<const float *>(row)[i];
    }
  }

  /// Leaves in `sums` [row][kLanes] the products of `rows` rows, `stride` bytes apart from x on,
  /// with the channels of a panel. All threads have met before, and meet when it is done.
  QN_DEVICE static void multiply(const u8 *panel, const u8 *x, i64 stride, int rows, float *sums) {
    const int channel = thread() % kLanes, part = thread() / kLanes;
    float mine[kMostRows] = {};
    for (int k = part; k < kInputs; k += kParts) {
      const float w = decoded<P, kInputs>(panel, channel, k);
#pragma unroll
      for (int row = 0; row < kMostRows; ++row)
        if (row < rows)
          mine[row] = fma(w, input(x + row * stride, k), mine[row]);
    }
#pragma unroll
    for (int row = 0; row < kMostRows; ++row)
      if (row < rows)
        sums[(part * kMostRows + row) * kLanes + channel] = mine[row];
    __syncthreads();
    for (int i = thread(); i < rows * kLanes; i += kThreads) {
      float sum = sums[i];
      for (int p = 1; p < kParts; ++p)
        sum += sums[p * kMostRows * kLanes + i];
      sums[i] = sum;
    }
    __syncthreads();
  }
};

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_BLOCKPRODUCT_CUH
