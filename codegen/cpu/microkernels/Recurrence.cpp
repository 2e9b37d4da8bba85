// One token of a linear recurrence for one head, its state staying in L1 from token to token.
#include "codegen/cpu/microkernels/Microkernels.h"
#include "codegen/cpu/microkernels/Vector.h"

namespace quern::micro {

enum DecayKind : int32_t { PerHead = 0, PerKey = 1, PerValue = 2, Elementwise = 3 };

template <bool Masked> QK_INLINE F32x16 load_columns(const float *from, Mask16 mask) {
  return Masked ? load_masked(from, mask) : load<F32x16>(from);
}

/// 16 N columns of the state from column j on; the mask is for the last vector.
template <int32_t Kind, bool Corrected, int N, bool Masked>
QK_INLINE void columns(const QkRecurrence &t, int64_t j, Mask16 mask) {
  F32x16 value[N], decay[N], out[N] = {}, u[N] = {};
  QK_UNROLL for (int n = 0; n < N; ++n) {
    value[n] = load_columns<Masked>(t.v + j + 16 * n, mask);
    if constexpr (Kind == PerValue)
      decay[n] = load_columns<Masked>(t.decay + j + 16 * n, mask);
    if constexpr (Kind == PerHead)
      decay[n] = F32x16(t.decay[0]);
  }
  if constexpr (Corrected)
    for (int64_t i = 0; i < t.dk; ++i)
      QK_UNROLL for (int n = 0; n < N; ++n) u[n] =
          fma(F32x16(t.a[i]), load_columns<Masked>(t.state + i * t.dv + j + 16 * n, mask), u[n]);
  for (int64_t i = 0; i < t.dk; ++i)
    QK_UNROLL for (int n = 0; n < N; ++n) {
      const int64_t at = i * t.dv + j + 16 * n;
      if constexpr (Kind == PerKey)
        decay[n] = F32x16(t.decay[i]);
      if constexpr (Kind == Elementwise)
        decay[n] = load_columns<Masked>(t.decay + at, mask);
      F32x16 s = load_columns<Masked>(t.state + at, mask) * decay[n];
      if constexpr (Corrected)
        s = fma(F32x16(t.b[i]), u[n], s);
      s = fma(F32x16(t.k[i]), value[n], s);
      out[n] = fma(s, F32x16(t.r[i]), out[n]);
      if constexpr (Masked)
        store_masked(t.state + at, mask, s);
      else
        store(t.state + at, s);
    }
  QK_UNROLL for (int n = 0; n < N; ++n) {
    if constexpr (Masked)
      store_masked(t.out + j + 16 * n, mask, out[n]);
    else
      store(t.out + j + 16 * n, out[n]);
  }
}

#ifdef __AVX512F__
inline constexpr int kColumnVectors = 4;
#else
inline constexpr int kColumnVectors = 2;
#endif

template <int32_t Kind, bool Corrected> QK_INLINE void all_columns(const QkRecurrence &t) {
  int64_t j = 0;
  for (; j + 16 * kColumnVectors <= t.dv; j += 16 * kColumnVectors)
    columns<Kind, Corrected, kColumnVectors, false>(t, j, {});
  for (; j + 16 <= t.dv; j += 16)
    columns<Kind, Corrected, 1, false>(t, j, {});
  if (j < t.dv)
    columns<Kind, Corrected, 1, true>(t, j, first_lanes(t.dv - j));
}

template <bool Corrected> QK_INLINE void step(const QkRecurrence t, int32_t decay_kind) {
  switch (decay_kind) {
  case PerHead:
    return all_columns<PerHead, Corrected>(t);
  case PerKey:
    return all_columns<PerKey, Corrected>(t);
  case PerValue:
    return all_columns<PerValue, Corrected>(t);
  default:
    return all_columns<Elementwise, Corrected>(t);
  }
}

} // namespace quern::micro

using namespace quern::micro;

QK_BEGIN
QK_KERNEL void qk_recurrence_step(const QkRecurrence *token, int32_t decay_kind) {
  step<false>(*token, decay_kind);
}

QK_KERNEL void qk_recurrence_step_delta(const QkRecurrence *token, int32_t decay_kind) {
  step<true>(*token, decay_kind);
}
QK_END
