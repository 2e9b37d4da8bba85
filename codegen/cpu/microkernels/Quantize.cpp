// Activations to int8 by groups of 16, and the decoding of single rows of packed weights.
#include "codegen/cpu/microkernels/Microkernels.h"
#include "codegen/cpu/microkernels/Scales.h"
#include "codegen/cpu/microkernels/TileOperands.h"
#include "codegen/cpu/microkernels/Vector.h"

namespace quern::micro {

/// 16 codes; a NaN (x infinite or NaN itself) becomes 0, since converting it would be undefined.
QK_INLINE I32x16 quantize(F32x16 x, float inverse) {
  const F32x16 rounded = __builtin_elementwise_roundeven(x * inverse);
  const F32x16 above =
      rounded >= -127.0f ? rounded : F32x16(rounded < -127.0f ? F32x16(-127.0f) : F32x16(0.0f));
  return convert<I32x16>(above > 127.0f ? F32x16(127.0f) : above);
}

using I8x16 = Vector<int8_t, 16>;

/// |x| as integers, which compare like the floats, with NaN above infinity: a NaN anywhere makes
/// the largest NaN.
QK_INLINE U32x16 magnitudes(F32x16 x) { return __builtin_bit_cast(U32x16, x) & 0x7fffffffu; }

/// What numbers whose largest magnitude is given (its bits) are multiplied with, and their codes
/// again.
struct Scaling {
  float inverse, scale;
  QK_INLINE Scaling of(uint32_t magnitude) {
    const float amax = __builtin_bit_cast(float, magnitude);
    const bool zero = amax < 0x1p-110f; // 127 / amax, sixteen times, would overflow
    return {zero ? 0.0f : 127.0f / amax, zero ? 0.0f : amax / 127.0f};
  }
};

/// 2^exponent.
QK_INLINE float power_of_two(int exponent) {
  return __builtin_bit_cast(float, (127 + exponent) << 23);
}

/// A row of int8 codes with all that comes with them, as it is written.
struct Q8Row {
  uint8_t *codes, *pair, *tile;

  QK_INLINE Q8Row at(uint8_t *row, int64_t k) {
    return {row, row + (k + 31) / 32 * 32, row + quern_q8_tiles_at(k)};
  }
};

QK_INLINE void quantize_pair(F32x16 first, F32x16 last, Q8Row &row) {
  const uint32_t magnitude[2] = {__builtin_reduce_max(magnitudes(first)),
                                 __builtin_reduce_max(magnitudes(last))};
  const int smaller = magnitude[0] < magnitude[1] ? 0 : 1;
  const uint32_t largest = magnitude[1 - smaller];
  const Scaling scaling = Scaling::of(largest);
  // How often the smaller group's numbers can be doubled: the bits' difference, as of logarithms.
  constexpr int kMost = 4;
  const auto doublings = static_cast<int>((largest - magnitude[smaller]) >> 23);
  const int finer = doublings < kMost ? doublings : kMost;
  float inverse[2] = {scaling.inverse, scaling.inverse};
  inverse[smaller] *= power_of_two(finer);

  QuernQ8Pair result;
  result.scale = scaling.scale * power_of_two(smaller == 0 ? -finer : 0);
  result.ratio = power_of_two(smaller == 0 ? finer : -finer);
  const I32x16 codes[2] = {quantize(first, inverse[0]), quantize(last, inverse[1])};
  QK_UNROLL for (int group = 0; group < 2; ++group) {
    store(row.codes + 16 * group, convert<I8x16>(codes[group]));
    result.code_sum[group] = static_cast<int16_t>(__builtin_reduce_add(codes[group]));
  }
  result.sum = result.scale * (static_cast<float>(result.code_sum[0]) +
                               result.ratio * static_cast<float>(result.code_sum[1]));
  store(row.pair, result);
  row.codes += 32;
  row.pair += sizeof result;
#ifdef QK_AMX
  store(row.tile,
        pairs_of_halves(convert<F32x16>(codes[0]), convert<F32x16>(codes[1]) * result.ratio));
  row.tile += sizeof(U16x32);
#endif
}

/// Channel `row` of quantized panels: a dword of a record's row holds four consecutive inputs of a
/// channel.
template <formats::Packing P>
QK_INLINE void decode_row(const uint8_t *panel, int lane, int64_t k, float *out) {
  constexpr int kRows = P.group / 4;
  constexpr int kStoredRows = P.code_bytes() / 64;
  Supers<P> supers;
  panel = Supers<P>::at_panel(supers, panel);
  for (int64_t first = 0; first < k; first += P.group, panel += P.record_bytes()) {
    if constexpr (kRunPairs<P> != 0)
      if (first % P.super == 0)
        panel = Supers<P>::at_run(supers, panel);
    const float scale = record_scales<P, 1>(panel, lane, supers)[0];
    float min = 0.0f;
    if constexpr (P.has_min)
      min = record_mins<P, 1>(panel, lane, supers)[0];
    float values[P.group];
    QK_UNROLL for (int r = 0; r < kRows; ++r) {
      uint32_t codes = load<uint32_t>(panel + 64 * (r % kStoredRows) + 4 * lane);
      if constexpr (P.bits == 4)
        codes = (r < kStoredRows ? codes : codes >> 4) & 0x0f0f0f0fu;
      QK_UNROLL for (int i = 0; i < 4; ++i) {
        const int code = static_cast<int>(codes >> 8 * i & 255u) - P.zero_point;
        const float value = scale * static_cast<float>(code);
        values[4 * r + i] = P.has_min ? value + min : value;
      }
    }
    if (first + P.group <= k)
      __builtin_memcpy(out + first, values, sizeof values);
    else
      for (int64_t i = first; i < k; ++i)
        out[i] = values[i - first];
  }
}

} // namespace quern::micro

using namespace quern::micro;

QK_BEGIN
QK_KERNEL void qk_quantize_row(const float *x, int64_t k, uint8_t *row) {
  Q8Row at = Q8Row::at(row, k);
  int64_t i = 0;
  for (; i + 32 <= k; i += 32)
    quantize_pair(load<F32x16>(x + i), load<F32x16>(x + i + 16), at);
  if (i < k) {
    const F32x16 first = load_masked(x + i, first_lanes(k - i));
    const F32x16 last =
        k - i > 16 ? load_masked(x + i + 16, first_lanes(k - i - 16)) : F32x16(0.0f);
    quantize_pair(first, last, at);
  }
}

QK_KERNEL void qk_quantize_kv(const float *x, int64_t n, int8_t *codes, float *scales) {
  static_assert(QUERN_KV_GROUP == 32, "two vectors");
  for (int64_t i = 0; i < n; i += 32) {
    const Mask16 masks[2] = {first_lanes(n - i), first_lanes(n - i - 16)};
    const F32x16 halves[2] = {load_masked(x + i, masks[0]), load_masked(x + i + 16, masks[1])};
    const Scaling scaling = Scaling::of(__builtin_reduce_max(
        __builtin_elementwise_max(magnitudes(halves[0]), magnitudes(halves[1]))));
    scales[i / 32] = scaling.scale;
    QK_UNROLL for (int half = 0; half < 2; ++half) {
      const auto rounded = convert<I8x16>(quantize(halves[half], scaling.inverse));
      const int64_t left = n - i - 16 * half;
      if (left >= 16)
        store(codes + i + 16 * half, rounded);
      else
        for (int64_t lane = 0; lane < left; ++lane)
          codes[i + 16 * half + lane] = rounded[lane];
    }
  }
}

#define QK_DECODE_ROW(NAME, MAX_CODE, PACKING)                                                     \
  QK_OUTLINE void qk_decode_row_##NAME(const uint8_t *panels, int64_t row, int64_t k,              \
                                       int64_t panel_bytes, float *out) {                          \
    decode_row<PACKING>(panels + row / 16 * panel_bytes, static_cast<int>(row % 16), k, out);      \
  }
QK_FOR_EACH_QUANTIZED_PACKING(QK_DECODE_ROW)

#define QK_DECODE_FLOAT_ROW(NAME, TYPE)                                                            \
  QK_OUTLINE void qk_decode_row_##NAME(const uint8_t *panels, int64_t row, int64_t k,              \
                                       int64_t panel_bytes, float *out) {                          \
    const uint8_t *from = panels + row / 16 * panel_bytes + row % 16 * sizeof(TYPE);               \
    for (int64_t i = 0; i < k; ++i)                                                                \
      out[i] = load_as_float<TYPE, 1>(from + i * 16 * sizeof(TYPE))[0];                            \
  }
QK_FOR_EACH_FLOAT_PACKING(QK_DECODE_FLOAT_ROW)
QK_END
