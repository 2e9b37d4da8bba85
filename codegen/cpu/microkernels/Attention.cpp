// Attention over one page of keys and values, with online softmax; and merging what rows found in
// different blocks of pages.
//
// Scores have lanes over positions, outputs lanes over the value's dimension, so neither needs a
// sum across lanes, and rows of queries share the loads of keys and values. A row only ever
// multiplies values of positions it sees: a weight of 0 would not do, since what lies at the others
// may be NaN.
//
// Keys and values lie in the order in which tiles pass over them, so that memory is read in one
// line. Each tile fetches the next one's lines, be it in the next page. Whatever they are stored
// as, they are floats in the products: an int8 code is first multiplied with its scale. A page that
// many rows share may be written as floats before.
#include "codegen/cpu/microkernels/KvPage.h"
#include "codegen/cpu/microkernels/MathFunctions.h"
#include "codegen/cpu/microkernels/Microkernels.h"
#include "codegen/cpu/microkernels/Transpose.h"

namespace quern::micro {

/// What a register holds, and how many there are.
#ifdef __AVX512F__
inline constexpr int kLanes = 16, kRegisters = 32;
#else
inline constexpr int kLanes = 8, kRegisters = 16;
#endif
using Register = Vector<float, kLanes>;
/// Registers a strip, 16 positions or columns.
inline constexpr int kParts = 16 / kLanes;
/// Whether a tile of M rows by N strips fits: its sums, a strip of keys or values, and a number of
/// a row.
template <int M, int N> inline constexpr bool kFits = (M * N + 1) * kParts < kRegisters;
/// Whether its strips fit all at once, beside its sums and a number of a row.
template <int M, int N> inline constexpr bool kFitsColumns = (M * N + N) * kParts + 1 <= kRegisters;
/// Whether the numbers of all rows fit, beside its sums and one strip; else each strip loads them
/// again.
template <int M, int N>
inline constexpr bool kFitsRows = N == 1 || (M * N + 1) * kParts + M <= kRegisters;
/// Strips that a tile of M rows takes at once.
template <int M> inline constexpr int kStrips = kFits<M, 4> ? 4 : kFits<M, 2> ? 2 : 1;

/// A page's keys or values of a head, stored as T.
template <class T> struct Stored {
  const T *numbers;
  const float *scales; ///< [group][position], where kScaled

  /// `dim` numbers a position.
  QK_INLINE Stored at(const void *part, int64_t dim) {
    const auto *scales = static_cast<const float *>(part);
    return {reinterpret_cast<const T *>(scales + floats_before<T>(dim)), scales};
  }

  /// Fetches the scales ahead, which lie beside the line in which numbers are read.
  QK_INLINE void fetch_scales(const Stored &stored) {
    if constexpr (kScaled<T>)
      for (const float *at = stored.scales; at < reinterpret_cast<const float *>(stored.numbers);
           at += 16)
        __builtin_prefetch(at);
  }
};

template <class T> QK_INLINE Register load_register(const T *at) {
  return load_as_float<T, kLanes>(reinterpret_cast<const uint8_t *>(at));
}

/// The first `count` of 16, less than all; nothing beyond them is read.
template <class T> QK_INLINE F32x16 load_some(const T *at, int64_t count) {
  if constexpr (sizeof(T) == 4)
    return load_masked(at, first_lanes(count));
  T some[16] = {};
  for (int64_t i = 0; i < count; ++i)
    some[i] = at[i];
  return load_as_float<T, 16>(reinterpret_cast<const uint8_t *>(some));
}

/// What a tile will read next, fetched a few lines at a time.
template <class T> struct Ahead {
  const T *at;

  template <int N> QK_INLINE void fetch(Ahead &ahead) {
    constexpr int kStep = 4 / sizeof(T); // a cache line
    QK_UNROLL for (int n = 0; n < N; n += kStep) __builtin_prefetch(ahead.at + 16 * n);
    ahead.at += 16 * N;
  }
};

/// Adds to the sums of M rows a number of each, `stride` apart, times N strips of columns, of which
/// column(n) loads register n.
template <int M, int N, class Column>
QK_INLINE void add_products(const float *rows, int64_t stride, Column column,
                            Register (&sums)[M][N * kParts]) {
  if constexpr (kFitsColumns<M, N>) {
    Register columns[N * kParts];
    QK_UNROLL for (int n = 0; n < N * kParts; ++n) columns[n] = column(n);
    QK_UNROLL for (int m = 0; m < M; ++m) {
      Register number = Register(rows[m * stride]);
      if constexpr (N * kParts > 1)
        pin(number); // or each product loads it again
      QK_UNROLL for (int n = 0; n < N * kParts; ++n) sums[m][n] =
          fma(number, columns[n], sums[m][n]);
      pin(sums[m]);
    }
  } else {
    QK_UNROLL for (int strip = 0; strip < N; ++strip) {
      Register columns[kParts];
      QK_UNROLL for (int part = 0; part < kParts; ++part) columns[part] =
          column(strip * kParts + part);
      QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int part = 0; part < kParts; ++part) {
        Register &sum = sums[m][strip * kParts + part];
        sum = fma(Register(rows[m * stride]), columns[part], sum);
      }
      pin(sums);
      if constexpr (!kFitsRows<M, N>)
        rows = again(rows);
    }
  }
}

/// Scores of M rows for N strips of positions.
template <int M, int N, class T>
QK_INLINE void score_tile(const float *q, int64_t q_stride, const Stored<T> &keys, int first,
                          int64_t d, float *scores, Ahead<T> ahead) {
  Register sums[M][N * kParts] = {};
  const T *at = keys.numbers + first * d;
  for (int64_t i = 0; i < d; ++i, at += 16) {
    Ahead<T>::template fetch<N>(ahead);
    const auto key = [&](int n) __attribute__((always_inline)) {
      const Register numbers = load_register(at + n / kParts * 16 * d + n % kParts * kLanes);
      if constexpr (kScaled<T>)
        return numbers * load<Register>(keys.scales + i / kGroup * kPage + first + n * kLanes);
      else
        return numbers;
    };
    add_products<M, N>(q + i, q_stride, key, sums);
  }
  QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int n = 0; n < N * kParts; ++n)
      store(scores + first + m * kPage + n * kLanes, sums[m][n]);
}

/// Scores of M rows for the strips that hold positions [first, last).
template <int M, class T>
QK_INLINE void score_rows(const float *q, int64_t q_stride, const Stored<T> &keys, int64_t d,
                          int first, int last, float *scores, const T *values) {
  constexpr int N = kStrips<M>;
  const auto ahead = [&](int next) __attribute__((always_inline)) {
    return Ahead<T>{next < last ? keys.numbers + next * d : values};
  };
  int p = first / 16 * 16;
  for (; p + 16 * (N - 1) < last; p += 16 * N)
    score_tile<M, N>(q, q_stride, keys, p, d, scores, ahead(p + 16 * N));
  if constexpr (N > 1)
    for (; p < last; p += 16)
      score_tile<M, 1>(q, q_stride, keys, p, d, scores, ahead(p + 16));
}

/// Does `strip(at)` for each strip of a page; for several rows at once in a loop, whose body is
/// code enough.
template <int M, class Strip> QK_INLINE void for_each_strip(Strip strip) {
  if constexpr (M == 1) {
    QK_UNROLL for (int at = 0; at < kPage; at += 16) strip(at);
  } else {
    QK_LOOP for (int at = 0; at < kPage; at += 16) strip(at);
  }
}

/// Finishes the scores of M rows, of which row m sees [from[m], to[m]), and makes maxima[m] their
/// maximum if that is more. Scores of the strips concerned that a row does not see become
/// -infinity.
template <int M>
QK_INLINE void finish_scores(float (&scores)[M][kPage], const int (&from)[M], const int (&to)[M],
                             const QkQueries &queries, F32x16 (&maxima)[M]) {
  for_each_strip<M>([&](int at) __attribute__((always_inline)) {
    QK_UNROLL for (int m = 0; m < M; ++m) {
      if (at + 16 <= from[m] || at >= to[m])
        continue;
      F32x16 score = load<F32x16>(scores[m] + at) * queries.scale;
      if (queries.softcap != 0.0f)
        score = hyperbolic_tangent(score / queries.softcap) * queries.softcap;
      if (queries.bias)
        score += load<F32x16>(queries.bias + m * kPage + at);
      if (at < from[m] || at + 16 > to[m]) {
        const I32x16 position = lane_index() + at;
        score = ((position >= from[m]) & (position < to[m])) ? score : F32x16(-__builtin_inff());
      }
      store(scores[m] + at, score);
      maxima[m] = Max()(maxima[m], score);
    }
  });
}

/// Turns the finished scores of M rows into weights and adds them up in lanes.
template <int M>
QK_INLINE void weigh(float (&scores)[M][kPage], const int (&from)[M], const int (&to)[M],
                     const F32x16 &maximum, F32x16 (&sums)[M]) {
  for_each_strip<M>([&](int at) __attribute__((always_inline)) {
    QK_UNROLL for (int m = 0; m < M; ++m) {
      if (at + 16 <= from[m] || at >= to[m])
        continue;
      const F32x16 weight = exponential_below(load<F32x16>(scores[m] + at) - maximum[m]);
      store(scores[m] + at, weight);
      sums[m] += weight;
    }
  });
}

QK_INLINE void scale_row(float *row, int64_t v, float factor) {
  for (int64_t j = 0; j < v; j += 16) {
    const Mask16 mask = first_lanes(v - j);
    store_masked(row + j, mask, load_masked(row + j, mask) * factor);
  }
}

/// Adds to M rows the values of positions [first, last) in N strips of columns from `column` on.
template <int M, int N, class T>
QK_INLINE void value_tile(const float *weights, const Stored<T> &values, int first, int last,
                          int64_t column, float *acc, int64_t acc_stride, Ahead<T> ahead) {
  acc += column;
  Register sums[M][N * kParts];
  QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int n = 0; n < N * kParts; ++n) sums[m][n] =
      load<Register>(acc + m * acc_stride + n * kLanes);
  for (int p = first; p < last; ++p) {
    Ahead<T>::template fetch<N>(ahead);
    const auto value = [&](int n) __attribute__((always_inline)) {
      const int64_t from = column + n / kParts * 16;
      const Register numbers =
          load_register(values.numbers + from * kPage + 16 * p + n % kParts * kLanes);
      if constexpr (kScaled<T>)
        return numbers * values.scales[from / kGroup * kPage + p];
      else
        return numbers;
    };
    add_products<M, N>(weights + p, kPage, value, sums);
  }
  QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int n = 0; n < N * kParts; ++n)
      store(acc + m * acc_stride + n * kLanes, sums[m][n]);
}

/// The same for the last `width` columns, fewer than a strip, of one row.
template <class T>
QK_INLINE void value_edge(const float *weights, const Stored<T> &values, int first, int last,
                          int64_t column, int64_t width, float *acc) {
  const Mask16 mask = first_lanes(width);
  F32x16 sums = load_masked(acc + column, mask);
  for (int p = first; p < last; ++p) {
    F32x16 value = load_some(values.numbers + column * kPage + p * width, width);
    if constexpr (kScaled<T>)
      value *= values.scales[column / kGroup * kPage + p];
    sums = fma(F32x16(weights[p]), value, sums);
  }
  store_masked(acc + column, mask, sums);
}

template <int M, class T>
QK_INLINE void add_values(const float *weights, const Stored<T> &values, int first, int last,
                          int64_t v, float *acc, int64_t acc_stride, const T *next_keys) {
  constexpr int N = kStrips<M>;
  if (first >= last)
    return;
  const auto ahead = [&](int64_t next) __attribute__((always_inline)) {
    return Ahead<T>{next < v ? values.numbers + next * kPage : next_keys};
  };
  int64_t j = 0;
  for (; j + 16 * N <= v; j += 16 * N)
    value_tile<M, N>(weights, values, first, last, j, acc, acc_stride, ahead(j + 16 * N));
  if constexpr (N > 1)
    for (; j + 16 <= v; j += 16)
      value_tile<M, 1>(weights, values, first, last, j, acc, acc_stride, ahead(j + 16));
  if (j < v)
    for (int m = 0; m < M; ++m)
      value_edge(weights + m * kPage, values, first, last, j, v - j, acc + m * acc_stride);
}

/// add_values of one row, apart: most of a step's rows are added together, and so this is not there
/// once more for each number of rows.
template <class T>
QK_SHARED void add_values_alone(const float *weights, const void *values, int first, int last,
                                int64_t v, float *acc, const void *next) {
  add_values<1>(weights, Stored<T>::at(values, v), first, last, v, acc, 0,
                static_cast<const T *>(next));
}

/// Writes a page's keys as floats, in the same order, and fetches others ahead.
template <class T>
QK_INLINE void keys_to_floats(const Stored<T> &keys, int64_t d, float *to, Ahead<T> ahead) {
  for (int first = 0; first < kPage; first += 16)
    for (int64_t i = 0; i < d; ++i, to += 16) {
      Ahead<T>::template fetch<1>(ahead);
      F32x16 numbers = load_as_float<T, 16>(
          reinterpret_cast<const uint8_t *>(keys.numbers + first * d + 16 * i));
      if constexpr (kScaled<T>)
        numbers *= load<F32x16>(keys.scales + i / kGroup * kPage + first);
      store(to, numbers);
    }
}

/// The same of its values.
template <class T>
QK_INLINE void values_to_floats(const Stored<T> &values, int64_t v, float *to, Ahead<T> ahead) {
  for (int64_t column = 0; column < v; column += 16) {
    const int64_t width = v - column < 16 ? v - column : 16;
    for (int p = 0; p < kPage; ++p, to += width) {
      const T *at = values.numbers + column * kPage + p * width;
      F32x16 numbers = width == 16 ? load_as_float<T, 16>(reinterpret_cast<const uint8_t *>(at))
                                   : load_some(at, width);
      if constexpr (kScaled<T>)
        numbers *= values.scales[column / kGroup * kPage + p];
      Ahead<T>::template fetch<1>(ahead);
      store_masked(to, first_lanes(width), numbers);
    }
  }
}

/// Writes a page as one of float32.
template <class T>
QK_SHARED void to_floats(const void *keys, const void *values, const void *next_keys, int64_t d,
                         int64_t v, float *to) {
  const int64_t part = bytes_of(values) - bytes_of(keys);
  const auto next = Stored<T>::at(next_keys, d);
  const auto next_values = Stored<T>::at(bytes_of(next_keys) + part, v);
  Stored<T>::fetch_scales(next);
  Stored<T>::fetch_scales(next_values);
  keys_to_floats(Stored<T>::at(keys, d), d, to, {next.numbers});
  values_to_floats(Stored<T>::at(values, v), v, to + kPage * d, {next_values.numbers});
}

/// Writes what attention reads of a page whose values are the first v columns of its keys as a page
/// of float32 has them: the keys, unless they are floats already, and the values.
template <class T>
QK_SHARED void shared_to_floats(const void *keys, const void *next_keys, int64_t d, int64_t v,
                                float *to) {
  const auto next = Stored<T>::at(next_keys, d);
  Stored<T>::fetch_scales(next);
  const float *floats = static_cast<const float *>(keys);
  if constexpr (sizeof(T) != 4) {
    keys_to_floats(Stored<T>::at(keys, d), d, to, {next.numbers});
    floats = to;
  }
  float *values = to + kPage * d;
  for (int64_t column = 0; column < v; column += 16) {
    const int64_t width = v - column < 16 ? v - column : 16;
    for (int first = 0; first < kPage; first += 16) {
      // Rows are columns of keys with lanes over positions, and become the reverse.
      F32x16 rows[16] = {};
      const float *at = floats + first * d + 16 * column;
      for (int64_t i = 0; i < width; ++i)
        rows[i] = load<F32x16>(at + 16 * i);
      transpose(rows);
      float *value = values + column * kPage + first * width;
      QK_UNROLL for (int p = 0; p < 16; ++p)
          store_masked(value + p * width, first_lanes(width), rows[p]);
    }
  }
}

/// Rows from which on a page that they share is better made floats first. With AVX-512 conversions
/// take the arithmetic's ports; with AVX2 only those of codes with scales are many.
template <class T>
inline constexpr int64_t kRowsForFloats = kLanes == 16 || kScaled<T> ? 18 : INT64_MAX;

QK_INLINE int clamp_position(int32_t p) { return p < 0 ? 0 : p > kPage ? kPage : p; }

template <int M, class T>
QK_INLINE void attend(const QkQueries queries, const QkPage page, const QkSoftmax state) {
  const auto keys = Stored<T>::at(page.keys, page.d),
             next_keys = Stored<T>::at(page.next_keys, page.d),
             values = Stored<T>::at(page.values, page.v);
  const int64_t v = page.v, acc_stride = state.acc_stride;
  float *acc = state.acc;
  const auto max = [&](int m) __attribute__((always_inline)) -> float & {
    return state.max[m * state.step];
  };
  // Some row sees [any_lo, any_hi); every row sees [all_lo, all_hi).
  int from[M], to[M];
  int any_lo = kPage, any_hi = 0, all_lo = 0, all_hi = kPage;
  QK_UNROLL for (int m = 0; m < M; ++m) {
    from[m] = clamp_position(queries.lo[m]);
    to[m] = clamp_position(queries.hi[m]);
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

  Stored<T>::fetch_scales(values);
  Stored<T>::fetch_scales(next_keys);
  alignas(64) float weights[M][kPage];
  score_rows<M>(queries.q, queries.stride, keys, page.d, any_lo, any_hi, weights[0],
                values.numbers);
  // Step by step for all rows, whose chains of dependent operations overlap.
  F32x16 maximum = {}, correction = {}, maxima[M], sums[M];
  QK_UNROLL for (int m = 0; m < M; ++m) {
    maxima[m] = F32x16(max(m));
    sums[m] = F32x16(0.0f);
  }
  finish_scores<M>(weights, from, to, queries, maxima);
  QK_UNROLL for (int m = 0; m < M; ++m) {
    maximum[m] = combine_lanes(maxima[m], Max());
    correction[m] = max(m) - maximum[m];
  }
  correction = exponential_below(correction);
  weigh<M>(weights, from, to, maximum, sums);
  QK_UNROLL for (int m = 0; m < M; ++m) {
    if (from[m] >= to[m])
      continue;
    const float sum = combine_lanes(sums[m], Add());
    max(m) = maximum[m];
    float &total = state.sum[m * state.step];
    total = fma(total, correction[m], sum);
    if (correction[m] != 1.0f)
      scale_row(acc + m * acc_stride, v, correction[m]);
  }

  // Positions in ascending order for each row: those before the shared ones, the shared ones, those
  // after.
  if constexpr (M == 1) {
    add_values<1>(weights[0], values, from[0], to[0], v, acc, acc_stride, next_keys.numbers);
  } else {
    const auto alone = [&](int m, int first, int last) __attribute__((always_inline)) {
      if (first < last)
        add_values_alone<T>(weights[m], page.values, first, last, v, acc + m * acc_stride,
                            next_keys.numbers);
    };
    for (int m = 0; m < M; ++m)
      alone(m, from[m], to[m] < all_lo ? to[m] : all_lo);
    add_values<M>(weights[0], values, all_lo, all_hi, v, acc, acc_stride, next_keys.numbers);
    for (int m = 0; m < M; ++m)
      alone(m, all_hi > from[m] ? all_hi : from[m], to[m]);
  }
}

} // namespace quern::micro

using namespace quern::micro;

QK_BEGIN
#define QK_ATTN_BLOCK(M, NAME, T)                                                                  \
  QK_KERNEL void qk_attn_block_##NAME##_m##M(const QkQueries *queries, const QkPage *page,         \
                                             const QkSoftmax *state) {                             \
    attend<M, T>(*queries, *page, *state);                                                         \
  }
QK_FOR_EACH_ATTN_BLOCK(QK_ATTN_BLOCK)

#define QK_ATTN_FLOATS(NAME, T, FACTS)                                                             \
  QK_KERNEL int64_t qk_attn_floats_from_##NAME(void) { return kRowsForFloats<T>; }                 \
  QK_KERNEL void qk_attn_floats_##NAME(const QkPage *page, float *to) {                            \
    to_floats<T>(page->keys, page->values, page->next_keys, page->d, page->v, to);                 \
  }
QUERN_FOR_EACH_SHORT_KV_FORMAT(QK_ATTN_FLOATS)

#define QK_ATTN_SHARED(NAME, T, FACTS)                                                             \
  QK_KERNEL void qk_attn_shared_##NAME(const QkPage *page, float *to) {                            \
    shared_to_floats<T>(page->keys, page->next_keys, page->d, page->v, to);                        \
  }
QUERN_FOR_EACH_KV_FORMAT(QK_ATTN_SHARED)

QK_KERNEL void qk_attn_init_row(const QkSoftmax *row, int64_t v) {
  const QkSoftmax state = *row;
  *state.max = -1e30f;
  *state.sum = 0.0f;
  for (int64_t j = 0; j < v; ++j)
    state.acc[j] = 0.0f;
}

QK_KERNEL void qk_attn_merge_row(const QkSoftmax *row, const QkSoftmax *other, int64_t v) {
  const QkSoftmax state = *row, later = *other;
  const float max = *state.max, later_max = *later.max, later_sum = *later.sum;
  if (later_sum == 0.0f)
    return;
  const float new_max = max > later_max ? max : later_max;
  const float correction = exponential(max - new_max);
  const float weight = exponential(later_max - new_max);
  *state.max = new_max;
  *state.sum = __builtin_fmaf(*state.sum, correction, later_sum * weight);
  for (int64_t j = 0; j < v; ++j)
    state.acc[j] = __builtin_fmaf(state.acc[j], correction, later.acc[j] * weight);
}

QK_KERNEL void qk_attn_finish_row(const QkSoftmax *row, int64_t v, float *out) {
  const float *acc = row->acc;
  const float sum = *row->sum;
  for (int64_t j = 0; j < v; ++j)
    out[j] = sum == 0.0f ? 0.0f : acc[j] / sum;
}
QK_END
