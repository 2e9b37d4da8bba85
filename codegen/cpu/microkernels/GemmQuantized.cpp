// Matrix products of quantized weights with int8 activations.
//
// What was measured is in benchmarks/microkernels/README.md. The integers dominate: a record costs,
// for each row of activations, group/4 dot instructions (VNNI) and three float operations. So that
// there are no more, what depends on rows and groups but not on channels (the zero point's
// correction and the min's factor) is computed for eight groups at once and then broadcast from
// memory, which needs no arithmetic port.
#include "codegen/cpu/microkernels/IntegerDot.h"
#include "codegen/cpu/microkernels/Microkernels.h"

namespace quern::micro {

/// Groups of 32 activations prepared at once.
inline constexpr int kGroupsAtOnce = 8;
/// How far ahead of its loads the one-row kernel prefetches, in bytes: over a page, which hardware
/// prefetchers do not cross. Streaming q4_g32_z0_min_f16 from memory: 10.8 GB/s without, 12.2 at
/// 1024, 13.4 at 2048, 14.0 at 4096 and 8192.
inline constexpr int kPrefetchAhead = 4096;

/// What up to kGroupsAtOnce groups of a row add beside the products, for each record of a group
/// (two if its groups are of 16).
template <formats::Packing P> struct GroupTerms {
  static constexpr int kRecords = 32 / P.group;
  int32_t correction[kRecords][kGroupsAtOnce]; // -zero_point * sum
  float min_factor[kRecords][kGroupsAtOnce];   // scale * sum

  QK_INLINE void set(GroupTerms &terms, const uint8_t *groups, int count) {
    if constexpr (!kCorrected<P> && !P.has_min)
      return;
    if (count == kGroupsAtOnce) {
      using I32x8 = I32<8>;
      using F32x8 = Vector<float, 8>;
      const I32x16 words = load<I32x16>(groups); // scale, sums, scale, sums, ...
      const I32x8 scale = __builtin_shufflevector(words, words, 0, 2, 4, 6, 8, 10, 12, 14);
      const I32x8 sums = __builtin_shufflevector(words, words, 1, 3, 5, 7, 9, 11, 13, 15);
      put(terms, 0, __builtin_bit_cast(F32x8, scale), (sums << 16) >> 16, sums >> 16);
      return;
    }
#pragma clang loop vectorize(disable) unroll(disable)
    for (int g = 0; g < count; ++g) { // rare, at most once a row
      const auto group = load<QuernQ8Group>(groups + g * sizeof(QuernQ8Group));
      put(terms, g, group.scale, int32_t{group.sum_lo}, int32_t{group.sum_hi});
    }
  }

  template <class F, class I>
  QK_INLINE void put(GroupTerms &terms, int at, F scale, I low, I high) {
    const I sums[2] = {kRecords == 1 ? low + high : low, high};
    QK_UNROLL for (int s = 0; s < kRecords; ++s) {
      if constexpr (kCorrected<P>)
        store(&terms.correction[s][at], I(sums[s] * -P.zero_point));
      if constexpr (P.has_min)
        store(&terms.min_factor[s][at], F(scale * to_floats<F>(sums[s])));
    }
  }
  template <class F, class I> QK_INLINE F to_floats(I n) {
    if constexpr (__is_same(I, int32_t))
      return static_cast<float>(n);
    else
      return convert<F>(n);
  }
};

/// kDotLanes scales or mins of a record, from channel `first` on.
template <formats::Packing P>
QK_INLINE Vector<float, kDotLanes> scales(const uint8_t *at, int first) {
  if constexpr (P.scale == formats::ScaleType::F16)
    return load_as_float<_Float16, kDotLanes>(at + 2 * first);
  else
    return load_as_float<float, kDotLanes>(at + 4 * first);
}

/// Adds R records from `panel` on, which are those of group g and the following ones, for the
/// channels from `first`.
template <formats::Packing P, int MaxCode, int R, int M>
QK_INLINE void add_records(const uint8_t *panel, const uint8_t *codes, const uint8_t *group,
                           int64_t stride, const GroupTerms<P> (&terms)[M], int g, int first,
                           Vector<float, kDotLanes> (&sums)[M]) {
  using F = Vector<float, kDotLanes>;
  using I = I32<kDotLanes>;
  constexpr int kRecords = GroupTerms<P>::kRecords;
  I dots[R][M];
  QK_UNROLL for (int n = 0; n < R; ++n) QK_UNROLL for (int m = 0; m < M; ++m) dots[n][m] =
      kCorrected<P> ? I(terms[m].correction[n % kRecords][g + n / kRecords]) : I(0);
  integer_dot<P, MaxCode, R, M>(panel + 4 * first, codes, stride, dots);
  QK_UNROLL for (int n = 0; n < R; ++n) {
    const uint8_t *record = panel + n * P.record_bytes();
    const F scale = scales<P>(record + P.scale_offset(), first);
    QK_UNROLL for (int m = 0; m < M; ++m) {
      const F scale_x = F(load<float>(group + n / kRecords * sizeof(QuernQ8Group) + m * stride));
      sums[m] = fma(scale, scale_x * convert<F>(dots[n][m]), sums[m]);
    }
    if constexpr (P.has_min) {
      const F min = scales<P>(record + P.min_offset(), first);
      QK_UNROLL for (int m = 0; m < M; ++m) sums[m] =
          fma(min, F(terms[m].min_factor[n % kRecords][g + n / kRecords]), sums[m]);
    }
  }
}

/// Adds `count` groups for Parts * kDotLanes channels from `first` on.
template <formats::Packing P, int MaxCode, int M, int Parts>
QK_INLINE void add_groups(const uint8_t *panel, const uint8_t *codes, const uint8_t *group,
                          int64_t stride, const GroupTerms<P> (&terms)[M], int count, int first,
                          Vector<float, kDotLanes> (*total)[M]) {
  constexpr int kRecords = GroupTerms<P>::kRecords;
  constexpr int kStep = kDotRecords > kRecords ? kDotRecords / kRecords : 1; // groups at once
  Vector<float, kDotLanes> sums[Parts][M];
  QK_UNROLL for (int part = 0; part < Parts; ++part) QK_UNROLL for (int m = 0; m < M; ++m)
      sums[part][m] = total[part][m];
  int g = 0;
  for (; g + kStep <= count; g += kStep) {
    if constexpr (M == 1)
      QK_UNROLL for (int at = 0; at < kStep * kRecords * P.record_bytes(); at += 64)
          __builtin_prefetch(panel + kPrefetchAhead + at);
    QK_UNROLL for (int part = 0; part < Parts; ++part) add_records<P, MaxCode, kStep * kRecords, M>(
        panel, codes, group, stride, terms, g, first + part * kDotLanes, sums[part]);
    panel += kStep * kRecords * P.record_bytes();
    codes += kStep * 32;
    group += kStep * sizeof(QuernQ8Group);
  }
  if (kStep > 1 && g < count)
    QK_UNROLL for (int part = 0; part < Parts; ++part) add_records<P, MaxCode, kRecords, M>(
        panel, codes, group, stride, terms, g, first + part * kDotLanes, sums[part]);
  QK_UNROLL for (int part = 0; part < Parts; ++part) QK_UNROLL for (int m = 0; m < M; ++m)
      total[part][m] = sums[part][m];
}

template <formats::Packing P, int MaxCode, int M>
QK_INLINE void gemm(const uint8_t *panel, const uint8_t *x, int64_t stride, int64_t k_padded,
                    float *acc) {
  constexpr int kParts = 16 / kDotLanes;
  // With AVX2 several rows take the channels in two halves: together they would not fit the
  // registers.
  constexpr int kPartsAtOnce = M == 1 ? kParts : 1;
  Vector<float, kDotLanes> sums[kParts][M] = {};
  const int64_t groups = k_padded / 32;
  for (int64_t first = 0; first < groups; first += kGroupsAtOnce) {
    const int count =
        groups - first < kGroupsAtOnce ? static_cast<int>(groups - first) : kGroupsAtOnce;
    const uint8_t *group = x + k_padded + first * static_cast<int64_t>(sizeof(QuernQ8Group));
    GroupTerms<P> terms[M];
    QK_UNROLL for (int m = 0; m < M; ++m) GroupTerms<P>::set(terms[m], group + m * stride, count);
#pragma clang loop unroll(disable)
    for (int part = 0; part < kParts; part += kPartsAtOnce)
      add_groups<P, MaxCode, M, kPartsAtOnce>(panel, x + first * 32, group, stride, terms, count,
                                              part * kDotLanes, sums + part);
    panel += kGroupsAtOnce * GroupTerms<P>::kRecords * P.record_bytes();
  }
  QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int part = 0; part < kParts; ++part)
      store(acc + m * 16 + part * kDotLanes, sums[part][m]);
}

/// Eight rows; twice four where there are 16 registers only.
template <formats::Packing P, int MaxCode>
QK_INLINE void gemm8(const uint8_t *panel, const uint8_t *x, int64_t stride, int64_t k_padded,
                     float *acc) {
  if constexpr (kDotLanes == 16) {
    gemm<P, MaxCode, 8>(panel, x, stride, k_padded, acc);
  } else {
    gemm<P, MaxCode, 4>(panel, x, stride, k_padded, acc);
    gemm<P, MaxCode, 4>(panel, x + 4 * stride, stride, k_padded, acc + 64);
  }
}

} // namespace quern::micro

using namespace quern::micro;

QK_BEGIN
#define QK_GEMM(NAME, BITS, GROUP, ZERO, HAS_MIN, SCALE, MAX_CODE)                                 \
  namespace {                                                                                      \
  constexpr quern::formats::Packing kPacking_##NAME{                                               \
      quern::formats::Packing::Q, BITS, GROUP, ZERO, HAS_MIN, quern::formats::ScaleType::SCALE};   \
  }                                                                                                \
  QK_KERNEL void qk_gemm_##NAME##_m1(const uint8_t *panel, const uint8_t *x, int64_t x_stride,     \
                                     int64_t k_padded, float *acc) {                               \
    gemm<kPacking_##NAME, MAX_CODE, 1>(panel, x, x_stride, k_padded, acc);                         \
  }                                                                                                \
  QK_KERNEL void qk_gemm_##NAME##_m4(const uint8_t *panel, const uint8_t *x, int64_t x_stride,     \
                                     int64_t k_padded, float *acc) {                               \
    gemm<kPacking_##NAME, MAX_CODE, 4>(panel, x, x_stride, k_padded, acc);                         \
  }                                                                                                \
  QK_KERNEL void qk_gemm_##NAME##_m8(const uint8_t *panel, const uint8_t *x, int64_t x_stride,     \
                                     int64_t k_padded, float *acc) {                               \
    gemm8<kPacking_##NAME, MAX_CODE>(panel, x, x_stride, k_padded, acc);                           \
  }
QK_FOR_EACH_QUANTIZED_PACKING(QK_GEMM)
QK_END
