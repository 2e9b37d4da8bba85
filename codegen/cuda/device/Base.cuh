// What every kernel is written with: types, the launch's shape, warps, loads. No toolkit headers.
//
// Code is compiled with --fmad=false: a multiplication and an addition are one operation where
// fma() is written, and two elsewhere. Nothing here is approximate.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_BASE_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_BASE_CUH

#include "runtime/abi/CudaStep.h"

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using i8 = signed char;
using i16 = short;
using i32 = int;
using i64 = long long;

#define QN_DEVICE __device__ __forceinline__

namespace quern {

inline constexpr int kThreads = QUERN_CUDA_THREADS;
inline constexpr int kWarpLanes = 32;
inline constexpr int kWarps = kThreads / kWarpLanes;

QN_DEVICE int thread() { return static_cast<int>(threadIdx.x); }
QN_DEVICE int lane() { return static_cast<int>(threadIdx.x) % kWarpLanes; }
QN_DEVICE int warp() { return static_cast<int>(threadIdx.x) / kWarpLanes; }

/// One rounding.
QN_DEVICE float fma(float a, float b, float c) { return __fmaf_rn(a, b, c); }

template <class T> QN_DEVICE T least(T a, T b) { return a < b ? a : b; }
template <class T> QN_DEVICE T most(T a, T b) { return a > b ? a : b; }
template <class T> QN_DEVICE constexpr T ceil_div(T a, T b) { return (a + b - 1) / b; }

QN_DEVICE float float_of_f16(u16 bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}
QN_DEVICE float float_of_bf16(u16 bits) { return __uint_as_float(static_cast<u32>(bits) << 16); }

/// The sum of a number of every lane, the same in all: lanes 16 apart first, then 8, 4, 2, 1.
QN_DEVICE float warp_sum(float value) {
  for (int apart = 16; apart != 0; apart /= 2)
    value += __shfl_xor_sync(~0u, value, apart);
  return value;
}
QN_DEVICE float warp_max(float value) {
  for (int apart = 16; apart != 0; apart /= 2) {
    const float other = __shfl_xor_sync(~0u, value, apart);
    value = other > value ? other : value;
  }
  return value;
}

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_BASE_CUH
