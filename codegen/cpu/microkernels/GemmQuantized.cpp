// Matrix products of quantized weights with int8 activations.
//
// What was measured is in benchmarks/microkernels/README.md. The integers dominate: a record of 32
// inputs costs, for each row of activations, eight dot instructions (VNNI) and five float
// operations. So that there are no more, what depends on rows and groups but not on channels (the
// zero point's correction; the min's factor, which the rows bring along) is broadcast from memory,
// which needs no arithmetic port.
#include "codegen/cpu/microkernels/GemmAmx.h"
#include "codegen/cpu/microkernels/GemmAvx2.h"
#include "codegen/cpu/microkernels/GroupSums.h"
#include "codegen/cpu/microkernels/IntegerDot.h"
#include "codegen/cpu/microkernels/Microkernels.h"
#include "codegen/cpu/microkernels/Scales.h"

#include <stddef.h>

namespace quern::micro {

/// Pairs of activation groups (32 inputs) whose corrections are computed at once.
inline constexpr int kPairsAtOnce = 8;

/// -zero_point * code_sum for the groups of up to kPairsAtOnce pairs of a row; and the groups'
/// sums, where there is a min for each.
template <formats::Packing P> struct Corrections {
  int32_t of[kPairsAtOnce][2];
  float sums[kPairsAtOnce][2];

  QK_INLINE void set(Corrections &corrections, const uint8_t *pairs, int count) {
    if constexpr (!kCorrected<P> && !kGroupMins<P>)
      return;
    if (count == kPairsAtOnce) {
      const I32x16 a = load<I32x16>(pairs), b = load<I32x16>(pairs + 64); // four pairs each
      const I32<8> sums = __builtin_shufflevector(a, b, 3, 7, 11, 15, 19, 23, 27, 31);
      const auto code_sums = __builtin_bit_cast(Vector<int16_t, 16>, sums);
      if constexpr (kCorrected<P>)
        store(corrections.of, I32x16(convert<I32x16>(code_sums) * -P.zero_point));
      if constexpr (kGroupMins<P>) { // as group_sum
        const auto x = __builtin_bit_cast(F32x16, a), y = __builtin_bit_cast(F32x16, b);
        const F32x16 scales =
            __builtin_shufflevector(x, y, 0, 0, 4, 4, 8, 8, 12, 12, 16, 16, 20, 20, 24, 24, 28, 28);
        const F32x16 ratios =
            __builtin_shufflevector(x, y, 1, 1, 5, 5, 9, 9, 13, 13, 17, 17, 21, 21, 25, 25, 29, 29);
        const F32x16 codes = convert<F32x16>(code_sums);
        store(corrections.sums, scales * ((lane_index() & 1) == 0 ? codes : ratios * codes));
      }
      return;
    }
#pragma clang loop vectorize(disable) unroll(disable)
    for (int at = 0; at < count; ++at) { // at most once a row, or of runs shorter than usual
      const auto pair = load<QuernQ8Pair>(pairs + at * sizeof(QuernQ8Pair));
      corrections.of[at][0] = pair.code_sum[0] * -P.zero_point;
      corrections.of[at][1] = pair.code_sum[1] * -P.zero_point;
      for (int group = 0; group < 2; ++group)
        corrections.sums[at][group] = group_sum(pairs + at * sizeof(QuernQ8Pair), group);
    }
  }
};

/// Whether dots are made from a lattice's places, not from rows of codes.
template <formats::Packing P, int M>
inline constexpr bool kDotsOfPlaces = P.is_lattice() && M == 1 && kDotLanes == 8;

/// Adds pair `at` of a run for kDotLanes channels from `first` on: `panel` has its record, `rows`
/// the codes (record_codes), unless kDotsOfPlaces, `codes` and `pair` the activations of M rows,
/// `stride` bytes apart.
template <formats::Packing P, int M>
QK_INLINE void add_pair(const uint8_t *panel, const uint8_t *rows, const uint8_t *codes,
                        const uint8_t *pair, int64_t stride, const Corrections<P> (&corrections)[M],
                        const Supers<P> &supers, int at, int first,
                        Vector<float, kDotLanes> (&sums)[M]) {
  using F = Vector<float, kDotLanes>;
  using I = I32<kDotLanes>;
  F of_record[M];
  const auto add_groups = [&]<int First>() __attribute__((always_inline)) {
    I dots[kDotGroups][M];
    QK_UNROLL for (int n = 0; n < kDotGroups; ++n) QK_UNROLL for (int m = 0; m < M; ++m)
        dots[n][m] = kCorrected<P> ? I(corrections[m].of[at][First + n]) : I(0);
    if constexpr (kDotsOfPlaces<P, M>)
      dots[0][0] = LatticeRecord<P>::template dot<First>(
          panel, first, codes,
          load<int16_t>(pair + offsetof(QuernQ8Pair, code_sum) + sizeof(int16_t) * First),
          dots[0][0]);
    else
      integer_dot<P, First, M>(rows + 4 * first, codes, stride, dots);
    QK_UNROLL for (int n = 0; n < kDotGroups; ++n) {
      const int group = First + n;
      constexpr bool kSameScale = P.group == 32; // for both groups
      const F scale = record_scales<P, kDotLanes>(panel, at, kSameScale ? 0 : group, first, supers);
      QK_UNROLL for (int m = 0; m < M; ++m) {
        take_dot<P>(pair + m * stride, group, convert<F>(dots[n][m]), of_record[m]);
        if (!kSameScale || group == 1)
          add_dots(pair + m * stride, of_record[m], scale, sums[m]);
      }
    }
  };
  add_groups.template operator()<0>();
  if constexpr (kDotGroups == 1)
    add_groups.template operator()<1>();
  if constexpr (kHasMin<P>)
    QK_UNROLL for (int group = 0; group < P.groups(); ++group) {
      const F min = record_mins<P, kDotLanes>(panel, at, group, first, supers);
      QK_UNROLL for (int m = 0; m < M; ++m) {
        if constexpr (kGroupMins<P>)
          add_group_min(corrections[m].sums[at][group], min, sums[m]);
        else
          add_min(pair + m * stride, min, sums[m]);
      }
    }
}

/// Adds `count` pairs for all channels, in Parts vectors.
template <formats::Packing P, int M, int Parts>
QK_INLINE void add_pairs(const uint8_t *panel, const uint8_t *codes, const uint8_t *pairs,
                         int64_t stride, const Corrections<P> (&corrections)[M], Supers<P> &supers,
                         int count, Vector<float, kDotLanes> (&total)[Parts][M]) {
  constexpr int kPairBytes = P.record_bytes();
  Vector<float, kDotLanes> sums[Parts][M];
  QK_UNROLL for (int part = 0; part < Parts; ++part) QK_UNROLL for (int m = 0; m < M; ++m)
      sums[part][m] = total[part][m];
#pragma clang loop unroll(disable)
  for (int at = 0; at < count; ++at) {
    QK_UNROLL for (int ahead = 0; ahead < kPairBytes; ahead += 64)
        __builtin_prefetch(panel + kPrefetchAhead + ahead);
    const uint8_t *rows =
        kDotsOfPlaces<P, M> ? nullptr : record_codes<P, kFlip<P>>(panel, at, supers);
    QK_UNROLL for (int part = 0; part < Parts; ++part) add_pair<P, M>(
        panel, rows, codes, pairs, stride, corrections, supers, at, part * kDotLanes, sums[part]);
    panel += kPairBytes;
    codes += 32;
    pairs += sizeof(QuernQ8Pair);
  }
  QK_UNROLL for (int part = 0; part < Parts; ++part) QK_UNROLL for (int m = 0; m < M; ++m)
      total[part][m] = sums[part][m];
}

template <formats::Packing P, int M>
QK_INLINE void gemm(const uint8_t *panel, const uint8_t *x, int64_t stride, int64_t k_padded,
                    float *acc) {
  constexpr int kParts = 16 / kDotLanes;
  Vector<float, kDotLanes> sums[kParts][M] = {};
  const int64_t pairs = k_padded / 32;
  constexpr int kStep = kRunPairs<P> != 0 ? kRunPairs<P> : kPairsAtOnce;
  static_assert(kStep <= kPairsAtOnce);
  Supers<P> supers;
  panel = Supers<P>::at_panel(supers, panel);
  for (int64_t first = 0; first < pairs; first += kStep) {
    const int count = pairs - first < kStep ? static_cast<int>(pairs - first) : kStep;
    const uint8_t *pair = x + k_padded + first * static_cast<int64_t>(sizeof(QuernQ8Pair));
    panel = Supers<P>::at_run(supers, panel);
    Corrections<P> corrections[M];
    QK_UNROLL for (int m = 0; m < M; ++m)
        Corrections<P>::set(corrections[m], pair + m * stride, count);
    add_pairs<P, M, kParts>(panel, x + first * 32, pair, stride, corrections, supers, count, sums);
    panel += kStep * P.record_bytes();
  }
  QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int part = 0; part < kParts; ++part)
      store(acc + m * 16 + part * kDotLanes, sums[part][m]);
}

#ifdef QK_VNNI
/// Eight rows at a time, then four, then one.
template <formats::Packing P>
QK_INLINE void gemm_rows(const uint8_t *panel, const uint8_t *x, int64_t stride, int64_t k_padded,
                         int64_t rows, float *acc) {
  int64_t row = 0;
  for (; row + 8 <= rows; row += 8)
    gemm<P, 8>(panel, x + row * stride, stride, k_padded, acc + 16 * row);
  for (; row + 4 <= rows; row += 4)
    gemm<P, 4>(panel, x + row * stride, stride, k_padded, acc + 16 * row);
  for (; row < rows; ++row)
    gemm<P, 1>(panel, x + row * stride, stride, k_padded, acc + 16 * row);
}
#endif

template <formats::Packing P>
QK_SHARED void gemm_panels(const uint8_t *panel, int64_t panel_bytes, int64_t panels,
                           const uint8_t *x, int64_t stride, int64_t k_padded, int64_t rows,
                           float *acc, int64_t acc_stride) {
  int64_t row = 0;
#ifdef QK_AMX
  row = rows_in_tiles(rows);
  for (int64_t at = 0; row != 0 && at < panels; at += kMostPanels)
    gemm_tiles<P>(panel + at * panel_bytes, panel_bytes,
                  static_cast<int>(panels - at < kMostPanels ? panels - at : kMostPanels), x,
                  stride, k_padded, row, acc + at * acc_stride, acc_stride);
#endif
  for (int64_t at = 0; at < panels; ++at) {
    const uint8_t *weights = panel + at * panel_bytes;
    float *sums = acc + at * acc_stride + 16 * row;
    if (rows - row == 1)
      gemm<P, 1>(weights, x + row * stride, stride, k_padded, sums);
    else
      gemm_rows<P>(weights, x + row * stride, stride, k_padded, rows - row, sums);
  }
}

} // namespace quern::micro

using namespace quern::micro;

QK_BEGIN
#define QK_GEMM(NAME, FIELDS)                                                                      \
  QK_KERNEL void qk_gemm_##NAME##_m1(const QkPanel *panel, const QkQ8Row *x, int64_t k_padded,     \
                                     float *acc) {                                                 \
    gemm<quern::formats::packings::NAME, 1>(bytes_of(panel), bytes_of(x), 0, k_padded, acc);       \
  }                                                                                                \
  QK_KERNEL void qk_gemm_##NAME##_rows(const QkQ8Product *product) {                               \
    const QkQ8Product of = *product;                                                               \
    gemm_panels<quern::formats::packings::NAME>(bytes_of(of.panel), of.panel_bytes, of.panels,     \
                                                bytes_of(of.x), of.x_stride, of.k, of.rows,        \
                                                of.acc, of.acc_stride);                            \
  }
QK_FOR_EACH_QUANTIZED_PACKING(QK_GEMM)
QK_END
