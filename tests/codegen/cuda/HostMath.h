// The device's elementary functions (codegen/cuda/device/Math.cuh) compiled for the host: what they
// take from Base.cuh and from NVRTC stands here.
#ifndef QUERN_TESTS_CODEGEN_CUDA_HOSTMATH_H
#define QUERN_TESTS_CODEGEN_CUDA_HOSTMATH_H

#include <bit>
#include <cmath>
#include <cstdint>

#define QUERN_CODEGEN_CUDA_DEVICE_BASE_CUH // it stands in for it
#define QN_DEVICE inline

using u32 = uint32_t;
using i32 = int32_t;

inline float __uint_as_float(u32 bits) { return std::bit_cast<float>(bits); }
inline u32 __float_as_uint(float x) { return std::bit_cast<u32>(x); }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
/// These saturate, and make 0 of NaN.
inline i32 __float2int_rz(float x) {
  return x != x               ? 0
         : x >= 2147483648.0f ? INT32_MAX
         : x < -2147483648.0f ? INT32_MIN
                              : static_cast<i32>(x);
}
inline i32 __float2int_rn(float x) { return __float2int_rz(std::nearbyint(x)); }

namespace quern {
QN_DEVICE float fma(float a, float b, float c) { return std::fma(a, b, c); }
} // namespace quern

#include "codegen/cuda/device/Math.cuh"

#endif // QUERN_TESTS_CODEGEN_CUDA_HOSTMATH_H
