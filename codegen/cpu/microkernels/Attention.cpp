// Attention over one page of keys and values, with online softmax; and merging what rows found in
// different blocks of pages.
//
// Scores have lanes over positions, outputs lanes over the value's dimension, so neither needs a
// sum across lanes, and rows of queries share the loads of keys and values. A row only ever
// multiplies values of positions it sees: a weight of 0 would not do, since what lies at the others
// may be NaN.
//
// Keys and values lie in the order in which tiles pass over them, so that memory is read in one
// line. Each tile fetches the next one's lines, be it in the next page.
#include "codegen/cpu/microkernels/MathFunctions.h"
#include "codegen/cpu/microkernels/Microkernels.h"

namespace quern::micro {

inline constexpr int kPage = QUERN_KV_PAGE;

// Vectors of 16 lanes that an accumulator tile may have: half the registers, 16 of 32 or (twice as
// narrow) 4 of 16.
#ifdef __AVX512F__
inline constexpr int kTileVectors = 16;
#else
inline constexpr int kTileVectors = 4;
#endif
/// Rows a tile of M rows is worked on at once.
template <int M> inline constexpr int kTileRows = M < kTileVectors ? M : kTileVectors;
/// Vectors a row of a tile of M rows has.
template <int M>
inline constexpr int kVectors = kTileVectors / M >= 4   ? 4
                                : kTileVectors / M >= 2 ? 2
                                                        : 1;

/// Keys and values are stored as T, and read as floats.
template <class T> QK_INLINE F32x16 load16(const T *at) {
  return load_as_float<T, 16>(reinterpret_cast<const uint8_t *>(at));
}

/// The first `count` of 16, less than all; nothing beyond them is read.
template <class T> QK_INLINE F32x16 load_some(const T *at, int64_t count) {
  if constexpr (sizeof(T) == 4)
    return load_masked(at, first_lanes(count));
  T some[16] = {};
  for (int64_t i = 0; i < count; ++i)
    some[i] = at[i];
  return load16(some);
}

/// What a tile will read next, fetched a few lines at a time.
template <class T> struct Ahead {
  const T *at;

  template <int N> QK_INLINE void fetch(Ahead &ahead) {
    QK_UNROLL for (int n = 0; n < N; n += 4 / sizeof(T)) __builtin_prefetch(ahead.at + 16 * n);
    ahead.at += 16 * N;
  }
};

/// Scores of M rows for N vectors of positions.
template <int M, int N, class T>
QK_INLINE void score_tile(const float *q, int64_t q_stride, const T *keys, int64_t d, float *scores,
                          Ahead<T> ahead) {
  F32x16 sums[M][N] = {};
  for (int64_t i = 0; i < d; ++i, keys += 16) {
    Ahead<T>::template fetch<N>(ahead);
    F32x16 key[N];
    QK_UNROLL for (int n = 0; n < N; ++n) key[n] = load16(keys + n * 16 * d);
    QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int n = 0; n < N; ++n) sums[m][n] =
        fma(F32x16(q[m * q_stride + i]), key[n], sums[m][n]);
  }
  QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int n = 0; n < N; ++n)
      store(scores + m * kPage + 16 * n, sums[m][n]);
}

/// Scores of M rows for the vectors of positions that hold [first, last).
template <int M, class T>
QK_INLINE void score_rows(const float *q, int64_t q_stride, const T *keys, int64_t d, int first,
                          int last, float *scores, const T *values) {
  constexpr int N = kVectors<M>;
  constexpr int kRows = kTileRows<M>;
  for (int m = 0; m < M; m += kRows, q += kRows * q_stride, scores += kRows * kPage) {
    int p = first / 16 * 16;
    const auto ahead = [&](int next) __attribute__((always_inline)) {
      return Ahead<T>{next < last ? keys + next * d : values};
    };
    for (; p + 16 * (N - 1) < last; p += 16 * N)
      score_tile<kRows, N>(q, q_stride, keys + p * d, d, scores + p, ahead(p + 16 * N));
    if constexpr (N > 1)
      for (; p < last; p += 16)
        score_tile<kRows, 1>(q, q_stride, keys + p * d, d, scores + p, ahead(p + 16));
  }
}

/// Turns a row's scores into weights, 0 beyond what it sees, and brings its state to the new
/// maximum.
QK_INLINE void weigh_row(float *scores, int lo, int hi, float scale, float softcap,
                         const float *bias, float *row_max, float *row_sum, float *acc, int64_t v) {
  constexpr int kBlocks = kPage / 16;
  constexpr float kNone = -__builtin_inff();
  const int first = lo / 16;
  const int last = (hi + 15) / 16;
  F32x16 block[kBlocks];
  F32x16 most = F32x16(*row_max);
  QK_UNROLL for (int b = 0; b < kBlocks; ++b) {
    block[b] = F32x16(kNone);
    if (b < first || b >= last)
      continue;
    F32x16 score = load<F32x16>(scores + 16 * b) * scale;
    if (softcap != 0.0f)
      score = hyperbolic_tangent(score / softcap) * softcap;
    if (bias)
      score += load<F32x16>(bias + 16 * b);
    const I32x16 position = lane_index() + 16 * b;
    block[b] = ((position >= lo) & (position < hi)) ? score : F32x16(kNone);
    most = Max()(most, block[b]);
  }
  const float new_max = combine_lanes(most, Max());
  const float correction = exponential(*row_max - new_max);
  F32x16 sums = F32x16(0.0f);
  QK_UNROLL for (int b = 0; b < kBlocks; ++b) {
    if (b < first || b >= last)
      continue;
    const F32x16 weight = exponential(block[b] - new_max);
    store(scores + 16 * b, weight);
    sums += weight;
  }
  *row_max = new_max;
  *row_sum = fma(*row_sum, correction, combine_lanes(sums, Add()));
  if (correction != 1.0f)
    for (int64_t j = 0; j < v; j += 16) {
      const Mask16 mask = first_lanes(v - j);
      store_masked(acc + j, mask, load_masked(acc + j, mask) * correction);
    }
}

/// Adds to M rows the values of positions [first, last) in N vectors of columns. Masked: in one of
/// `width`.
template <int M, int N, bool Masked, class T>
QK_INLINE void value_tile(const float *weights, const T *values, int first, int last, int64_t width,
                          float *acc, int64_t acc_stride, Ahead<T> ahead) {
  const Mask16 mask = first_lanes(width);
  F32x16 sums[M][N];
  QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int n = 0; n < N; ++n) {
    float *at = acc + m * acc_stride + 16 * n;
    sums[m][n] = Masked ? load_masked(at, mask) : load<F32x16>(at);
  }
  for (int p = first; p < last; ++p) {
    Ahead<T>::template fetch<N>(ahead);
    F32x16 value[N];
    QK_UNROLL for (int n = 0; n < N; ++n) {
      const T *at = Masked ? values + p * width : values + 16 * (p + n * kPage);
      value[n] = Masked ? load_some(at, width) : load16(at);
    }
    QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int n = 0; n < N; ++n) sums[m][n] =
        fma(F32x16(weights[m * kPage + p]), value[n], sums[m][n]);
  }
  QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int n = 0; n < N; ++n) {
    float *at = acc + m * acc_stride + 16 * n;
    if constexpr (Masked)
      store_masked(at, mask, sums[m][n]);
    else
      store(at, sums[m][n]);
  }
}

template <int M, class T>
QK_INLINE void add_values(const float *weights, const T *values, int first, int last, int64_t v,
                          float *acc, int64_t acc_stride, const T *next_keys) {
  constexpr int N = kVectors<M>;
  constexpr int kRows = kTileRows<M>;
  if (first >= last)
    return;
  for (int m = 0; m < M; m += kRows, weights += kRows * kPage, acc += kRows * acc_stride) {
    int64_t j = 0;
    const auto ahead = [&](int64_t next) __attribute__((always_inline)) {
      return Ahead<T>{next < v ? values + next * kPage : next_keys};
    };
    for (; j + 16 * N <= v; j += 16 * N)
      value_tile<kRows, N, false>(weights, values + j * kPage, first, last, 16, acc + j, acc_stride,
                                  ahead(j + 16 * N));
    if constexpr (N > 1)
      for (; j + 16 <= v; j += 16)
        value_tile<kRows, 1, false>(weights, values + j * kPage, first, last, 16, acc + j,
                                    acc_stride, ahead(j + 16));
    if (j < v)
      value_tile<kRows, 1, true>(weights, values + j * kPage, first, last, v - j, acc + j,
                                 acc_stride, ahead(v));
  }
}

QK_INLINE int clamp_position(int32_t p) { return p < 0 ? 0 : p > kPage ? kPage : p; }

template <int M, class T>
QK_INLINE void attend(const float *q, int64_t q_stride, const T *keys, const T *values,
                      const T *next_keys, const int32_t *lo, const int32_t *hi, float scale,
                      float softcap, const float *bias, int64_t d, int64_t v, float *row_max,
                      float *row_sum, int64_t row_step, float *acc, int64_t acc_stride) {
  // Some row sees [any_lo, any_hi); every row sees [all_lo, all_hi).
  int from[M], to[M];
  int any_lo = kPage, any_hi = 0, all_lo = 0, all_hi = kPage;
  QK_UNROLL for (int m = 0; m < M; ++m) {
    from[m] = clamp_position(lo[m]);
    to[m] = clamp_position(hi[m]);
    if (from[m] < to[m]) {
      any_lo = from[m] < any_lo ? from[m] : any_lo;
      any_hi = to[m] > any_hi ? to[m] : any_hi;
      all_lo = from[m] > all_lo ? from[m] : all_lo;
      all_hi = to[m] < all_hi ? to[m] : all_hi;
    } else {
      from[m] = to[m] = all_hi = 0;
    }
  }
  if (any_lo >= any_hi)
    return;
  if (all_lo >= all_hi)
    all_lo = all_hi = kPage; // each row goes on its own

  alignas(64) float weights[M][kPage];
  score_rows<M>(q, q_stride, keys, d, any_lo, any_hi, weights[0], values);
  for (int m = 0; m < M; ++m)
    if (from[m] < to[m])
      weigh_row(weights[m], from[m], to[m], scale, softcap, bias ? bias + m * kPage : nullptr,
                row_max + m * row_step, row_sum + m * row_step, acc + m * acc_stride, v);

  // Positions in ascending order for each row: those before the shared ones, the shared ones, those
  // after.
  if constexpr (M == 1) {
    add_values<1>(weights[0], values, from[0], to[0], v, acc, acc_stride, next_keys);
  } else {
    for (int m = 0; m < M; ++m)
      add_values<1>(weights[m], values, from[m], to[m] < all_lo ? to[m] : all_lo, v,
                    acc + m * acc_stride, acc_stride, next_keys);
    add_values<M>(weights[0], values, all_lo, all_hi, v, acc, acc_stride, next_keys);
    for (int m = 0; m < M; ++m)
      add_values<1>(weights[m], values, all_hi > from[m] ? all_hi : from[m], to[m], v,
                    acc + m * acc_stride, acc_stride, next_keys);
  }
}

} // namespace quern::micro

using namespace quern::micro;

QK_BEGIN
#define QK_ATTN_BLOCK(M, NAME, T)                                                                  \
  QK_KERNEL void qk_attn_block_##NAME##_m##M(                                                      \
      const float *q, int64_t q_stride, const void *keys, const void *values,                      \
      const void *next_keys, const int32_t *lo, const int32_t *hi, float scale, float softcap,     \
      const float *bias, int64_t d, int64_t v, float *row_max, float *row_sum, int64_t row_step,   \
      float *acc, int64_t acc_stride) {                                                            \
    attend<M>(q, q_stride, static_cast<const T *>(keys), static_cast<const T *>(values),           \
              static_cast<const T *>(next_keys), lo, hi, scale, softcap, bias, d, v, row_max,      \
              row_sum, row_step, acc, acc_stride);                                                 \
  }
QK_FOR_EACH_ATTN_BLOCK(QK_ATTN_BLOCK)

QK_KERNEL void qk_attn_init_row(float *row_max, float *row_sum, float *acc, int64_t v) {
  *row_max = -1e30f;
  *row_sum = 0.0f;
  for (int64_t j = 0; j < v; ++j)
    acc[j] = 0.0f;
}

QK_KERNEL void qk_attn_merge_row(float *row_max, float *row_sum, float *acc, float other_max,
                                 float other_sum, const float *other_acc, int64_t v) {
  if (other_sum == 0.0f)
    return;
  const float new_max = *row_max > other_max ? *row_max : other_max;
  const float correction = exponential(*row_max - new_max);
  const float other = exponential(other_max - new_max);
  *row_max = new_max;
  *row_sum = __builtin_fmaf(*row_sum, correction, other_sum * other);
  for (int64_t j = 0; j < v; ++j)
    acc[j] = __builtin_fmaf(acc[j], correction, other_acc[j] * other);
}

QK_KERNEL void qk_attn_finish_row(const float *acc, float row_sum, int64_t v, float *out) {
  for (int64_t j = 0; j < v; ++j)
    out[j] = row_sum == 0.0f ? 0.0f : acc[j] / row_sum;
}
QK_END
