// One token of a linear recurrence for some columns of a head's state, which stay in the first
// cache from token to token.
#include "codegen/cpu/microkernels/MathFunctions.h"
#include "codegen/cpu/microkernels/Microkernels.h"
#include "codegen/cpu/microkernels/Vector.h"

namespace quern::micro {

enum DecayKind : int32_t { PerHead = 0, PerKey = 1, PerValue = 2, Elementwise = 3, Rate = 4 };
enum class Update { Plain, Corrected, Delta, ReadBefore };

template <bool Masked> QK_INLINE F32x16 load_columns(const float *from, Mask16 mask) {
  return Masked ? load_masked(from, mask) : load<F32x16>(from);
}
template <bool Masked> QK_INLINE void store_columns(float *to, Mask16 mask, F32x16 value) {
  if constexpr (Masked)
    store_masked(to, mask, value);
  else
    store(to, value);
}

/// 16 N columns of the state from column j on; the mask is for the last vector. `bonus`: r (u * k),
/// where the state is read before the update.
template <int32_t Kind, Update How, int N, bool Masked>
QK_INLINE void columns(const QkRecurrence &t, float bonus, int64_t j, Mask16 mask) {
  F32x16 value[N], decay[N], out[N] = {}, u[N] = {};
  QK_UNROLL for (int n = 0; n < N; ++n) {
    value[n] = load_columns<Masked>(t.v + j + 16 * n, mask);
    if constexpr (Kind == PerValue || Kind == Rate)
      decay[n] = load_columns<Masked>(t.decay + j + 16 * n, mask);
    if constexpr (Kind == PerHead)
      decay[n] = F32x16(t.decay[0]);
  }
  const auto decayed = [&](int64_t i, int n, F32x16 s) __attribute__((always_inline)) {
    const int64_t column = j + 16 * n;
    if constexpr (Kind == PerKey)
      decay[n] = F32x16(t.decay[i]);
    if constexpr (Kind == Elementwise)
      decay[n] = load_columns<Masked>(t.decay + i * t.stride + column, mask);
    if constexpr (Kind == Rate)
      return s * exponential(decay[n] * load_columns<Masked>(t.rate + i * t.stride + column, mask));
    return s * decay[n];
  };
  if constexpr (How == Update::Corrected)
    for (int64_t i = 0; i < t.dk; ++i)
      QK_UNROLL for (int n = 0; n < N; ++n) u[n] = fma(
          F32x16(t.a[i]), load_columns<Masked>(t.state + i * t.stride + j + 16 * n, mask), u[n]);
  if constexpr (How == Update::Delta) {
    for (int64_t i = 0; i < t.dk; ++i)
      QK_UNROLL for (int n = 0; n < N; ++n) {
        const F32x16 s = load_columns<Masked>(t.state + i * t.stride + j + 16 * n, mask);
        u[n] = fma(F32x16(t.k[i]), decayed(i, n, s), u[n]);
      }
    QK_UNROLL for (int n = 0; n < N; ++n) value[n] = t.beta * (value[n] - u[n]);
  }
  for (int64_t i = 0; i < t.dk; ++i)
    QK_UNROLL for (int n = 0; n < N; ++n) {
      const int64_t at = i * t.stride + j + 16 * n;
      F32x16 s = load_columns<Masked>(t.state + at, mask);
      if constexpr (How == Update::ReadBefore)
        out[n] = fma(s, F32x16(t.r[i]), out[n]);
      s = decayed(i, n, s);
      if constexpr (How == Update::Corrected)
        s = fma(F32x16(t.b[i]), u[n], s);
      s = fma(F32x16(t.k[i]), value[n], s);
      if constexpr (How != Update::ReadBefore)
        out[n] = fma(s, F32x16(t.r[i]), out[n]);
      store_columns<Masked>(t.state + at, mask, s);
    }
  QK_UNROLL for (int n = 0; n < N; ++n) {
    if constexpr (How == Update::ReadBefore)
      out[n] = fma(F32x16(bonus), value[n], out[n]);
    store_columns<Masked>(t.out + j + 16 * n, mask, out[n]);
  }
}

#ifdef __AVX512F__
inline constexpr int kColumnVectors = 4;
#else
inline constexpr int kColumnVectors = 2;
#endif

/// r (u * k): 16 sums of every sixteenth product, then theirs.
QK_INLINE float bonus_of(const QkRecurrence &t) {
  F32x16 sums = {};
  int64_t i = 0;
  for (; i + 16 <= t.dk; i += 16)
    sums = fma(load<F32x16>(t.r + i) * load<F32x16>(t.bonus + i), load<F32x16>(t.k + i), sums);
  if (i < t.dk) {
    const Mask16 mask = first_lanes(t.dk - i);
    sums = fma(load_masked(t.r + i, mask) * load_masked(t.bonus + i, mask),
               load_masked(t.k + i, mask), sums);
  }
  return combine_lanes(sums, Add());
}

template <int32_t Kind, Update How> QK_INLINE void all_columns(const QkRecurrence &t) {
  float bonus = 0;
  if constexpr (How == Update::ReadBefore)
    bonus = bonus_of(t);
  int64_t j = 0;
  for (; j + 16 * kColumnVectors <= t.dv; j += 16 * kColumnVectors)
    columns<Kind, How, kColumnVectors, false>(t, bonus, j, {});
  for (; j + 16 <= t.dv; j += 16)
    columns<Kind, How, 1, false>(t, bonus, j, {});
  if (j < t.dv)
    columns<Kind, How, 1, true>(t, bonus, j, first_lanes(t.dv - j));
}

template <Update How> QK_INLINE void step(const QkRecurrence t, int32_t decay_kind) {
  switch (decay_kind) {
  case PerHead:
    return all_columns<PerHead, How>(t);
  case PerKey:
    return all_columns<PerKey, How>(t);
  case PerValue:
    return all_columns<PerValue, How>(t);
  case Elementwise:
    return all_columns<Elementwise, How>(t);
  default:
    return all_columns<Rate, How>(t);
  }
}

template <bool Masked> QK_INLINE void read_columns(const QkRecurrence &t, int64_t j, Mask16 mask) {
  F32x16 out = {};
  for (int64_t i = 0; i < t.dk; ++i)
    out = fma(load_columns<Masked>(t.state + i * t.stride + j, mask), F32x16(t.r[i]), out);
  store_columns<Masked>(t.out + j, mask, out);
}

QK_INLINE void read(const QkRecurrence t) {
  int64_t j = 0;
  for (; j + 16 <= t.dv; j += 16)
    read_columns<false>(t, j, {});
  if (j < t.dv)
    read_columns<true>(t, j, first_lanes(t.dv - j));
}

} // namespace quern::micro

using namespace quern::micro;

QK_BEGIN
QK_KERNEL void qk_recurrence_step(const QkRecurrence *token, int32_t decay_kind) {
  step<Update::Plain>(*token, decay_kind);
}

QK_KERNEL void qk_recurrence_step_corrected(const QkRecurrence *token, int32_t decay_kind) {
  step<Update::Corrected>(*token, decay_kind);
}

QK_KERNEL void qk_recurrence_step_delta(const QkRecurrence *token, int32_t decay_kind) {
  step<Update::Delta>(*token, decay_kind);
}

QK_KERNEL void qk_recurrence_step_bonus(const QkRecurrence *token, int32_t decay_kind) {
  step<Update::ReadBefore>(*token, decay_kind);
}

QK_KERNEL void qk_recurrence_read(const QkRecurrence *token) { read(*token); }
QK_END
