// Many rows of activations times one panel of quantized weights with AVX2, which has 16 registers
// and no dot product, so that everything but the products of bytes must be rare:
//  - 4-bit codes are spread to bytes once for all rows, kBlockPairs pairs of groups at a time: 8
//  KiB
//    of codes and the rows' activations for them stay in the first cache;
//  - a tile of rows by 16 channels shares its loads, the sums of pairs stay in 16 bits for a whole
//    group where that is exact.
// What it brought, and what did not help, is in docs/decisions/0009-rows-by-panels-on-avx2.md.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_GEMMROWS_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_GEMMROWS_H

#include "codegen/cpu/microkernels/GroupSums.h"
#include "codegen/cpu/microkernels/IntegerDot.h"
#include "codegen/cpu/microkernels/Scales.h"
#include "runtime/abi/StepArgs.h"

#include <stddef.h>

#ifndef QK_VNNI

namespace quern::micro {

/// Pairs of groups (32 inputs each) that all rows pass over before the next ones: no more than
/// share super-scales.
template <formats::Packing P>
inline constexpr int kBlockPairs = kRunPairs<P> != 0 ? kRunPairs<P> : 16;
/// Rows of a tile: eight sums of pairs, two vectors of codes, a broadcast and its products are in
/// registers; products of groups and sums of floats come and go. Where sums must be widened before
/// a group's end nothing fits, and sharing loads among more rows counts.
template <formats::Packing P, int MaxCode>
inline constexpr int kTileRows = kRowsThatFit<P, MaxCode> == 4 ? 4 : 6;

/// The codes of a block's pairs, as bytes.
template <formats::Packing P> struct BlockCodes {
  static constexpr bool kSpread = P.bits == 4;
  static constexpr int kPairRecords = 32 / P.group;
  static constexpr int kPairBytes = kSpread ? 512 : kPairRecords * P.record_bytes();

  /// Row r (four inputs) of the pair whose codes begin at `pair`.
  QK_INLINE const uint8_t *row(const uint8_t *pair, int r) {
    constexpr int kRows = P.group / 4; // of a record
    return kSpread ? pair + 64 * r : pair + r / kRows * P.record_bytes() + 64 * (r % kRows);
  }

  /// Spreads `count` pairs from `panel` on to `codes`.
  QK_INLINE void spread(const uint8_t *panel, int count, uint8_t *codes) {
    using Words = Vector<uint16_t, 16>;
    for (int at = 0; at < count; ++at, panel += P.record_bytes()) {
      QK_UNROLL for (int i = 0; i < 256; i += 32, codes += 32) {
        const Words words = load<Words>(panel + i);
        store(codes, Words(words & 0x0f0f));
        store(codes + 256, Words(words >> 4 & 0x0f0f));
      }
      codes += 256;
    }
  }
};

/// The exact dots of a group of 16 inputs, rows 4 * Group .. of the pair at `codes`, for M rows of
/// activations and 16 channels; without the zero point, unless it is 128.
template <formats::Packing P, int MaxCode, int Group, int M>
QK_INLINE void group_dots(const uint8_t *codes, const uint8_t *x, int64_t stride,
                          I32<8> (&dots)[M][2]) {
  using I16x16 = Vector<int16_t, 16>;
  constexpr int kFit = kRowsThatFit<P, MaxCode>;
  QK_UNROLL for (int first = 0; first < 4; first += kFit) {
    I16x16 sums[M][2];
    QK_UNROLL for (int r = 0; r < kFit; ++r) {
      const int row = 4 * Group + first + r;
      __m256i w[2];
      QK_UNROLL for (int half = 0; half < 2; ++half) {
        U8<32> code = load<U8<32>>(BlockCodes<P>::row(codes, row) + 32 * half);
        if constexpr (P.zero_point == 128)
          code ^= 0x80;
        w[half] = __builtin_bit_cast(__m256i, code);
      }
      QK_UNROLL for (int m = 0; m < M; ++m) {
        const auto activations =
            __builtin_bit_cast(__m256i, broadcast4<8>(x + m * stride + 4 * row));
        QK_UNROLL for (int half = 0; half < 2; ++half) {
          const auto products = __builtin_bit_cast(I16x16, multiply_pairs<P>(w[half], activations));
          sums[m][half] = r == 0 ? products : sums[m][half] + products;
        }
      }
      if constexpr (kFit == 4)
        pin(sums);
    }
    QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int half = 0; half < 2; ++half) {
      const auto widened =
          __builtin_bit_cast(I32<8>, _mm256_madd_epi16(__builtin_bit_cast(__m256i, sums[m][half]),
                                                       _mm256_set1_epi16(1)));
      dots[m][half] = first == 0 ? widened : dots[m][half] + widened;
    }
  }
}

/// -zero_point * code_sum[group] of a pair, in all lanes: as 16-bit products with one of them.
template <formats::Packing P, int Group> QK_INLINE I32<8> group_correction(const uint8_t *pair) {
  const auto sums = I32<8>(load<int32_t>(pair + offsetof(QuernQ8Pair, code_sum)));
  constexpr int kFactor = Group == 0 ? -P.zero_point & 0xffff : -P.zero_point * 65536;
  return __builtin_bit_cast(
      I32<8>, _mm256_madd_epi16(__builtin_bit_cast(__m256i, sums), _mm256_set1_epi32(kFactor)));
}

/// Adds `count` pairs to M rows of `acc`, and prefetches what lies `ahead` bytes behind each pair.
template <formats::Packing P, int MaxCode, int M>
QK_INLINE void add_tile(const uint8_t *codes, const uint8_t *panel, const uint8_t *x,
                        const uint8_t *pairs, int64_t stride, const Supers<P> &supers, int count,
                        int64_t ahead, float *acc) {
  using F = Vector<float, 8>;
  constexpr bool kSameRecord = P.group == 32; // for both groups of a pair
  constexpr int kPanelPairBytes = BlockCodes<P>::kPairRecords * P.record_bytes();
  F sums[M][2];
  QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int half = 0; half < 2; ++half)
      sums[m][half] = load<F>(acc + 16 * m + 8 * half);
#pragma clang loop unroll(disable)
  for (int at = 0; at < count; ++at) {
    QK_UNROLL for (int line = 0; line < kPanelPairBytes; line += 64)
        __builtin_prefetch(panel + ahead + line);
    F of_record[M][2];
    const auto add_group = [&]<int Group>() __attribute__((always_inline)) {
      I32<8> dots[M][2];
      group_dots<P, MaxCode, Group, M>(codes, x, stride, dots);
      QK_UNROLL for (int m = 0; m < M; ++m) {
        QK_UNROLL for (int half = 0; half < 2; ++half) {
          if constexpr (kCorrected<P>)
            dots[m][half] += group_correction<P, Group>(pairs + m * stride);
          take_dot<P>(pairs + m * stride, Group, convert<F>(dots[m][half]), of_record[m][half]);
        }
      }
      if constexpr (!kSameRecord)
        QK_UNROLL for (int half = 0; half < 2; ++half) {
          const F scale = record_scales<P, 8>(panel + Group * P.record_bytes(), 8 * half, supers);
          QK_UNROLL for (int m = 0; m < M; ++m)
              add_dots(pairs + m * stride, of_record[m][half], scale, sums[m][half]);
        }
    };
    add_group.template operator()<0>();
    add_group.template operator()<1>();
    if constexpr (kSameRecord) {
      QK_UNROLL for (int half = 0; half < 2; ++half) {
        const F scale = record_scales<P, 8>(panel, 8 * half, supers);
        QK_UNROLL for (int m = 0; m < M; ++m)
            add_dots(pairs + m * stride, of_record[m][half], scale, sums[m][half]);
        if constexpr (kHasMin<P>) {
          const F min = record_mins<P, 8>(panel, 8 * half, supers);
          QK_UNROLL for (int m = 0; m < M; ++m) add_min(pairs + m * stride, min, sums[m][half]);
        }
      }
    }
    codes += BlockCodes<P>::kPairBytes;
    panel += kPanelPairBytes;
    x += 32;
    pairs += sizeof(QuernQ8Pair);
  }
  QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int half = 0; half < 2; ++half)
      store(acc + 16 * m + 8 * half, sums[m][half]);
}

template <formats::Packing P, int MaxCode>
QK_INLINE void gemm_rows(const uint8_t *panel, const uint8_t *x, int64_t stride, int64_t k_padded,
                         int64_t rows, float *acc) {
  using Block = BlockCodes<P>;
  constexpr int kPairs = kBlockPairs<P>;
  alignas(64) uint8_t spread[Block::kSpread ? kPairs * Block::kPairBytes : 64];
  __builtin_memset(acc, 0, sizeof(float) * 16 * rows);
  const int64_t pairs = k_padded / 32;
  Supers<P> supers;
  panel = Supers<P>::at_panel(supers, panel);
  for (int64_t first = 0; first < pairs; first += kPairs) {
    const int count = pairs - first < kPairs ? static_cast<int>(pairs - first) : kPairs;
    panel = Supers<P>::at_run(supers, panel);
    const uint8_t *codes = panel;
    if constexpr (Block::kSpread) {
      Block::spread(panel, count, spread);
      codes = spread;
    }
    const uint8_t *at = x + 32 * first;
    const uint8_t *pair = x + k_padded + first * static_cast<int64_t>(sizeof(QuernQ8Pair));
    // The next block comes from memory while the first tile computes: prefetched all at once, it
    // would hold the loads up (8 rows of Q4_1 from memory: 127 GOP/s, so 161).
    constexpr int64_t kNextBlock = int64_t{kPairs} * Block::kPairRecords * P.record_bytes();
    const auto tile = [&]<int M>(int64_t row) __attribute__((always_inline)) {
      add_tile<P, MaxCode, M>(codes, panel, at + row * stride, pair + row * stride, stride, supers,
                              count, row == 0 ? kNextBlock : 0, acc + 16 * row);
    };
    int64_t row = 0;
    constexpr int kRows = kTileRows<P, MaxCode>;
    for (; row + kRows <= rows; row += kRows)
      tile.template operator()<kRows>(row);
    for (; row + 2 <= rows; row += 2)
      tile.template operator()<2>(row);
    if (row < rows)
      tile.template operator()<1>(row);
    panel += count * Block::kPairRecords * P.record_bytes();
  }
}

} // namespace quern::micro

#endif // QK_VNNI

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_GEMMROWS_H
