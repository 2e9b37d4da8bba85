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
/// How far ahead of its loads the one-row kernel prefetches, in bytes.
inline constexpr int kPrefetchAhead = 2048;

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
    for (int g = 0; g < count; ++g) {
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

template <formats::Packing P, int MaxCode, int M>
QK_INLINE void gemm(const uint8_t *panel, const uint8_t *x, int64_t stride, int64_t k_padded,
                    float *acc) {
  using F = Vector<float, kDotLanes>;
  using I = I32<kDotLanes>;
  constexpr int kParts = 16 / kDotLanes;
  F sums[kParts][M] = {};
  const int64_t groups = k_padded / 32;
  for (int64_t first = 0; first < groups; first += kGroupsAtOnce) {
    const int count =
        groups - first < kGroupsAtOnce ? static_cast<int>(groups - first) : kGroupsAtOnce;
    const uint8_t *group = x + k_padded + first * static_cast<int64_t>(sizeof(QuernQ8Group));
    GroupTerms<P> terms[M];
    QK_UNROLL for (int m = 0; m < M; ++m) GroupTerms<P>::set(terms[m], group + m * stride, count);
    const uint8_t *codes = x + first * 32;
    for (int g = 0; g < count; ++g, codes += 32, group += sizeof(QuernQ8Group)) {
      QK_UNROLL for (int s = 0; s < 32 / P.group; ++s, panel += P.record_bytes()) {
        if constexpr (M == 1)
          QK_UNROLL for (int line = 0; line < P.record_bytes(); line += 64)
              __builtin_prefetch(panel + kPrefetchAhead + line);
        QK_UNROLL for (int part = 0; part < kParts; ++part) {
          I dots[M];
          QK_UNROLL for (int m = 0; m < M; ++m) dots[m] =
              kCorrected<P> ? I(terms[m].correction[s][g]) : I(0);
          integer_dot<P, MaxCode, M>(panel + part * kDotLanes * 4, codes + s * P.group, stride,
                                     dots);
          const F scale = scales<P>(panel + P.scale_offset(), part * kDotLanes);
          QK_UNROLL for (int m = 0; m < M; ++m) sums[part][m] =
              fma(scale, F(load<float>(group + m * stride)) * convert<F>(dots[m]), sums[part][m]);
          if constexpr (P.has_min) {
            const F min = scales<P>(panel + P.min_offset(), part * kDotLanes);
            QK_UNROLL for (int m = 0; m < M; ++m) sums[part][m] =
                fma(min, F(terms[m].min_factor[s][g]), sums[part][m]);
          }
        }
      }
    }
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
