// Activations to int8 by groups of 16, and the decoding of single rows of packed weights.
#include "codegen/cpu/microkernels/Microkernels.h"
#include "codegen/cpu/microkernels/Scales.h"
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

/// What a group whose largest magnitude is given is multiplied with, and its codes again.
struct Scaling {
  float inverse, scale;
  QK_INLINE Scaling of(U32x16 magnitudes) {
    const float amax = __builtin_bit_cast(float, __builtin_reduce_max(magnitudes));
    const bool zero = amax < 0x1p-120f; // 127 / amax would overflow
    return {zero ? 0.0f : 127.0f / amax, zero ? 0.0f : amax / 127.0f};
  }
};

QK_INLINE void quantize_group(F32x16 x, uint8_t *codes, float &scale, int16_t &code_sum) {
  const Scaling scaling = Scaling::of(magnitudes(x));
  const I32x16 rounded = quantize(x, scaling.inverse);
  store(codes, convert<I8x16>(rounded));
  scale = scaling.scale;
  code_sum = static_cast<int16_t>(__builtin_reduce_add(rounded));
}

QK_INLINE void quantize_pair(F32x16 first, F32x16 last, uint8_t *codes, uint8_t *pair) {
  QuernQ8Pair result;
  quantize_group(first, codes, result.scale[0], result.code_sum[0]);
  quantize_group(last, codes + 16, result.scale[1], result.code_sum[1]);
  result.sum = result.scale[0] * static_cast<float>(result.code_sum[0]) +
               result.scale[1] * static_cast<float>(result.code_sum[1]);
  store(pair, result);
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
  const int64_t padded = (k + 31) / 32 * 32;
  uint8_t *pairs = row + padded;
  int64_t i = 0;
  for (; i + 32 <= k; i += 32, pairs += sizeof(QuernQ8Pair))
    quantize_pair(load<F32x16>(x + i), load<F32x16>(x + i + 16), row + i, pairs);
  if (i < k) {
    const F32x16 first = load_masked(x + i, first_lanes(k - i));
    const F32x16 last =
        k - i > 16 ? load_masked(x + i + 16, first_lanes(k - i - 16)) : F32x16(0.0f);
    quantize_pair(first, last, row + i, pairs);
  }
}

QK_KERNEL void qk_quantize_kv(const float *x, int64_t n, int8_t *codes, float *scales) {
  static_assert(QUERN_KV_GROUP == 32, "two vectors");
  for (int64_t i = 0; i < n; i += 32) {
    const Mask16 masks[2] = {first_lanes(n - i), first_lanes(n - i - 16)};
    const F32x16 halves[2] = {load_masked(x + i, masks[0]), load_masked(x + i + 16, masks[1])};
    const Scaling scaling =
        Scaling::of(__builtin_elementwise_max(magnitudes(halves[0]), magnitudes(halves[1])));
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
