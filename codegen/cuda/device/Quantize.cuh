// Rows of float32 to rows of int8 codes, as runtime/abi/StepArgs.h lays them out: the same bits as
// the CPU's qk_quantize_row makes of the same floats (codegen/cpu/microkernels/Microkernels.h).
#ifndef QUERN_CODEGEN_CUDA_DEVICE_QUANTIZE_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_QUANTIZE_CUH

#include "codegen/cuda/device/Team.cuh"
#include "runtime/abi/StepArgs.h"

namespace quern {

/// quern_q8_row_bytes of StepArgs.h, as a constant expression.
constexpr i64 q8_row_bytes(i64 k) {
  const i64 pairs = (k + 31) / 32, codes = (pairs * 32 + pairs * sizeof(QuernQ8Pair) + 63) / 64;
  return ((codes + pairs) | 1) * 64;
}

namespace q8 {

/// Columns of a pair of groups, one to a lane.
inline constexpr int kPair = 32;

QN_DEVICE float power_of_two(u32 exponent) { return __uint_as_float((exponent + 127u) << 23); }

/// The largest of a number of each of 16 lanes, and their sum, the same in all of them.
QN_DEVICE u32 largest_of_group(u32 value) {
  for (int apart = 8; apart != 0; apart /= 2)
    value = most(value, __shfl_xor_sync(~0u, value, apart));
  return value;
}
QN_DEVICE int sum_of_group(int value) {
  for (int apart = 8; apart != 0; apart /= 2)
    value += __shfl_xor_sync(~0u, value, apart);
  return value;
}

} // namespace q8

/// Quantizes columns [32 * pair, 32 * pair + 32) of a row of kCols, of which each lane of a warp
/// has one, `x`; 0 beyond the last.
template <int kCols> QN_DEVICE void quantize_pair(float x, int pair, u8 *row) {
  constexpr int kPadded = (kCols + q8::kPair - 1) / q8::kPair * q8::kPair;
  // As integers, magnitudes compare like the floats, with NaN above infinity.
  const u32 magnitude = __float_as_uint(x) & 0x7fffffffu;
  const u32 of_group = q8::largest_of_group(magnitude);
  const u32 of_pair = most(of_group, __shfl_xor_sync(~0u, of_group, 16));
  // How often the group's numbers can be doubled: the bits' difference, as of logarithms.
  const u32 finer = least((of_pair - of_group) >> 23, 4u);
  const float amax = __uint_as_float(of_pair);
  const bool zero = amax < 0x1p-110f; // 127 / amax, sixteen times, would overflow
  const float inverse = zero || of_pair >= 0x7f800000u ? 0.0f : 127.0f / amax;
  const float scale = zero ? 0.0f : amax / 127.0f;

  // Adding 1.5 * 2^23 rounds to a whole number, which then is the lowest bits of the sum.
  const float scaled = magnitude < 0x7f800000u ? x * (inverse * q8::power_of_two(finer)) : 0.0f;
  const u32 code = __float_as_uint(scaled + 0x1.8p23f);
  row[q8::kPair * pair + lane()] = static_cast<u8>(code);

  const int sum = q8::sum_of_group(static_cast<i8>(code));
  const u32 finer_second = __shfl_xor_sync(~0u, finer, 16);
  const int sum_second = __shfl_xor_sync(~0u, sum, 16);
  if (lane() == 0) {
    QuernQ8Pair out;
    out.scale = scale * q8::power_of_two(0u - finer);
    out.ratio = q8::power_of_two(finer - finer_second);
    out.sum = out.scale * (static_cast<float>(sum) + out.ratio * static_cast<float>(sum_second));
    const u32 sums = (static_cast<u32>(sum) & 0xffffu) | static_cast<u32>(sum_second) << 16;
    *reinterpret_cast<float4 *>(row + kPadded + pair * static_cast<int>(sizeof(QuernQ8Pair))) =
        make_float4(out.scale, out.ratio, out.sum, __uint_as_float(sums));
  }
}

/// Quantizes a row of kCols floats.
template <class Team, int kCols> QN_DEVICE void quantize_row(const float *x, u8 *row) {
  constexpr int kPairs = (kCols + q8::kPair - 1) / q8::kPair;
  for (int pair = Team::warp(); pair < kPairs; pair += Team::kTeamWarps) {
    const int col = q8::kPair * pair + lane();
    quantize_pair<kCols>(col < kCols ? x[col] : 0.0f, pair, row);
  }
}

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_QUANTIZE_CUH
