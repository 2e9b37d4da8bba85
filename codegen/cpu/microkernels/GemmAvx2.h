// Many rows of activations times one panel of quantized weights with AVX2, which has 16 registers
// and no dot product, so that everything but the products of bytes must be rare:
//  - codes of fewer than 8 bits are spread to bytes once for all rows, kPairs pairs of groups at a
//  time: 8
//    KiB of codes and the rows' activations for them stay in the first cache;
//  - a tile of rows by 16 channels shares its loads, the sums of pairs stay in 16 bits as long as
//    that is exact;
//  - of codes up to 15 both groups of a pair are summed at once (InterleavedPairAvx2.h), which
//  leaves less to
//    do when they become floats.
// What it brought, and what did not help, is in docs/decisions/0009-rows-by-panels-on-avx2.md.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_GEMMAVX2_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_GEMMAVX2_H

#include "codegen/cpu/microkernels/GroupSums.h"
#include "codegen/cpu/microkernels/IntegerDot.h"
#include "codegen/cpu/microkernels/InterleavedPairAvx2.h"
#include "codegen/cpu/microkernels/Scales.h"
#include "runtime/abi/StepArgs.h"

#include <stddef.h>

#ifndef QK_VNNI

namespace quern::micro {

/// Whether both groups of a pair are summed at once, from InterleavedPair: where codes must be
/// spread anyway, and the products of all of them fit into 16 bits (16 * 15*127 = 30480).
template <formats::Packing P>
inline constexpr bool kInterleaved = P.bits < 8 && P.group == 32 && P.max_code() <= 15;

/// Rows of a tile. Interleaved, six sums of pairs and six of floats, two vectors of codes, a
/// broadcast and its products are in registers; group after group, eight sums of pairs, and floats
/// come and go. Where sums must be widened before a group's end nothing fits, and sharing loads
/// among more rows counts.
template <formats::Packing P>
inline constexpr int kTileRows = kInterleaved<P>        ? 3
                                 : kRowsThatFit<P> == 4 ? 4
                                                        : 6;

/// The codes of a block's pairs, as bytes, four inputs of 16 channels in a row.
template <formats::Packing P> struct BlockCodes {
  static constexpr bool kSpread = P.bits < 8 || kCodesMade<P>;
  /// Pairs that all rows pass over before the next ones: no more than share super-scales.
  static constexpr int kPairs = kRunPairs<P> != 0 ? kRunPairs<P> : 16;
  /// What a pair, and a whole block, takes in a panel; and what a pair takes here.
  static constexpr int kPanelPairBytes = P.record_bytes();
  static constexpr int64_t kPanelBytes = int64_t{kPairs} * kPanelPairBytes;
  static constexpr int kPairBytes = kSpread ? 512 : kPanelPairBytes;

  /// Spreads `count` pairs of codes from `panel` on to `codes`: two inputs of each group in a row,
  /// or four of one, then signed where the zero point is 128.
  QK_INLINE void spread(const uint8_t *panel, Supers<P> &supers, int count, uint8_t *codes) {
    using Lanes = Vector<uint32_t, 8>;
    for (int at = 0; at < count; ++at, panel += P.record_bytes(), codes += kPairBytes) {
      if constexpr (P.is_lattice()) {
        LatticeRecord<P>::template make_rows<kFlip<P>>(panel, codes);
        continue;
      }
      const uint8_t *from = record_codes<P, 0>(panel, at, supers);
      QK_UNROLL for (int half = 0; half < 64; half += 32) {
        if constexpr (!kInterleaved<P>)
          QK_UNROLL for (int r = 0; r < 8; ++r)
              store(codes + 64 * r + half, code_row<P, 32, kFlip<P>>(from + half, r));
        else
          QK_UNROLL for (int r = 0; r < 4; ++r) {
            uint8_t *to = codes + 128 * r + half;
            if constexpr (P.bits == 4) { // the first group's are in the low nibbles
              const auto stored = load<Lanes>(from + 64 * r + half);
              store(to, low_nibbles(stored, stored << 12));
              store(to + 64, low_nibbles(stored >> 16, stored >> 4));
            } else {
              const auto of_group = [&](int row) __attribute__((always_inline)) {
                return __builtin_bit_cast(Lanes, code_row<P, 32>(from + half, row));
              };
              const Lanes first = of_group(r), second = of_group(r + 4);
              store(to, lower_and_upper(first, second << 16));
              store(to + 64, lower_and_upper(first >> 16, second));
            }
          }
      }
    }
  }

private:
  /// The lower halves of lanes of a, and the upper halves of those of b. Left to itself, clang
  /// shuffles bytes six times for two of these.
  QK_INLINE Vector<uint32_t, 8> lower_and_upper(Vector<uint32_t, 8> a, Vector<uint32_t, 8> b) {
    return __builtin_bit_cast(
        Vector<uint32_t, 8>,
        _mm256_blend_epi16(__builtin_bit_cast(__m256i, a), __builtin_bit_cast(__m256i, b), 0xaa));
  }
  QK_INLINE Vector<uint32_t, 8> low_nibbles(Vector<uint32_t, 8> a, Vector<uint32_t, 8> b) {
    return lower_and_upper(a, b) & 0x0f0f0f0fu;
  }
};

/// Adds to `sums` the products of pairs of row r of the codes of a pair with `x`, four activations
/// of each of M rows, `stride` bytes apart, by 16 channels; the first ones take their place.
template <formats::Packing P, int M>
QK_INLINE void add_products(const uint8_t *codes, int r, const uint8_t *x, int64_t stride,
                            bool first, Vector<int16_t, 16> (&sums)[M][2]) {
  using I16x16 = Vector<int16_t, 16>;
  __m256i w[2];
  QK_UNROLL for (int half = 0; half < 2; ++half) {
    U8<32> code = load<U8<32>>(codes + 64 * r + 32 * half);
    if constexpr (!BlockCodes<P>::kSpread)
      code ^= kFlip<P>;
    w[half] = __builtin_bit_cast(__m256i, code);
  }
  QK_UNROLL for (int m = 0; m < M; ++m) {
    const auto activations = __builtin_bit_cast(__m256i, broadcast4<8>(x + m * stride));
    QK_UNROLL for (int half = 0; half < 2; ++half) {
      const auto products = __builtin_bit_cast(I16x16, multiply_pairs<P>(w[half], activations));
      sums[m][half] = first ? products : sums[m][half] + products;
    }
  }
}

/// The sums of the two words of each lane, each times a factor.
QK_INLINE I32<8> sum_words(Vector<int16_t, 16> words, __m256i factors) {
  return __builtin_bit_cast(I32<8>, _mm256_madd_epi16(__builtin_bit_cast(__m256i, words), factors));
}

/// The exact dots of a group of 16 inputs, rows 4 * Group .. of the pair at `codes`, for M rows of
/// activations and 16 channels; without the zero point, unless it is 128.
template <formats::Packing P, int Group, int M>
QK_INLINE void group_dots(const uint8_t *codes, const uint8_t *x, int64_t stride,
                          I32<8> (&dots)[M][2]) {
  constexpr int kFit = kRowsThatFit<P>;
  QK_UNROLL for (int first = 0; first < 4; first += kFit) {
    Vector<int16_t, 16> sums[M][2];
    QK_UNROLL for (int r = 0; r < kFit; ++r) {
      const int row = 4 * Group + first + r;
      add_products<P, M>(codes, row, x + 4 * row, stride, r == 0, sums);
      if constexpr (kFit == 4)
        pin(sums);
    }
    QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int half = 0; half < 2; ++half) {
      const I32<8> widened = sum_words(sums[m][half], _mm256_set1_epi16(1));
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

/// Rows of activations, from a pair on.
struct RowsFrom {
  const uint8_t *codes, *pairs, *interleaved;
  int64_t stride;

  QK_INLINE RowsFrom at(const uint8_t *x, int64_t k_padded, int64_t stride, int64_t pair) {
    return {x + 32 * pair, x + k_padded + pair * static_cast<int64_t>(sizeof(QuernQ8Pair)),
            x + quern_q8_rows_at(k_padded) + pair * static_cast<int64_t>(sizeof(InterleavedPair)),
            stride};
  }
  QK_INLINE RowsFrom further(const RowsFrom &x, int64_t rows, int pairs) {
    const int64_t bytes = rows * x.stride;
    return {x.codes + bytes + 32 * pairs, x.pairs + bytes + sizeof(QuernQ8Pair) * pairs,
            x.interleaved + bytes + sizeof(InterleavedPair) * pairs, x.stride};
  }
};

/// Adds a pair, the `at`th of a run, to the sums of M rows and 16 channels: `codes` has its codes,
/// `panel` its record.
template <formats::Packing P, int M>
QK_INLINE void add_pair(const uint8_t *codes, const uint8_t *panel, int at, const RowsFrom &x,
                        const Supers<P> &supers, Vector<float, 8> (&sums)[M][2]) {
  using F = Vector<float, 8>;
  F of_record[M][2];
  const auto add_group = [&]<int Group>() __attribute__((always_inline)) {
    I32<8> dots[M][2];
    group_dots<P, Group, M>(codes, x.codes, x.stride, dots);
    QK_UNROLL for (int m = 0; m < M; ++m) {
      QK_UNROLL for (int half = 0; half < 2; ++half) {
        if constexpr (kCorrected<P>)
          dots[m][half] += group_correction<P, Group>(x.pairs + m * x.stride);
        take_dot<P>(x.pairs + m * x.stride, Group, convert<F>(dots[m][half]), of_record[m][half]);
      }
    }
    if constexpr (P.group == 16)
      QK_UNROLL for (int half = 0; half < 2; ++half) {
        const F scale = record_scales<P, 8>(panel, at, Group, 8 * half, supers);
        QK_UNROLL for (int m = 0; m < M; ++m)
            add_dots(x.pairs + m * x.stride, of_record[m][half], scale, sums[m][half]);
      }
  };
  add_group.template operator()<0>();
  add_group.template operator()<1>();
  QK_UNROLL for (int half = 0; half < 2; ++half) {
    if constexpr (P.group == 32) {
      const F scale = record_scales<P, 8>(panel, at, 0, 8 * half, supers);
      QK_UNROLL for (int m = 0; m < M; ++m)
          add_dots(x.pairs + m * x.stride, of_record[m][half], scale, sums[m][half]);
    }
    if constexpr (kHasMin<P>)
      QK_UNROLL for (int group = 0; group < P.groups(); ++group) {
        const F min = record_mins<P, 8>(panel, at, group, 8 * half, supers);
        QK_UNROLL for (int m = 0; m < M; ++m) {
          if constexpr (kGroupMins<P>)
            add_group_min(group_sum(x.pairs + m * x.stride, group), min, sums[m][half]);
          else
            add_min(x.pairs + m * x.stride, min, sums[m][half]);
        }
      }
  }
}

/// The same to the same bits, its groups summed together.
template <formats::Packing P, int M>
QK_INLINE void add_interleaved_pair(const uint8_t *codes, const uint8_t *panel, int at,
                                    const RowsFrom &x, const Supers<P> &supers,
                                    Vector<float, 8> (&sums)[M][2]) {
  static_assert(P.group == 32, "both groups have one scale of weights");
  using F = Vector<float, 8>;
  const auto of_row = [&](int m, size_t offset) __attribute__((always_inline)) {
    return x.interleaved + m * x.stride + offset;
  };
  Vector<int16_t, 16> products[M][2];
  QK_UNROLL for (int r = 0; r < 8; ++r) {
    add_products<P, M>(codes, r, x.interleaved + 4 * r, x.stride, r == 0, products);
    pin(products);
  }
  const F scales[2] = {record_scales<P, 8>(panel, at, 0, 0, supers),
                       record_scales<P, 8>(panel, at, 0, 8, supers)};
  QK_UNROLL for (int m = 0; m < M; ++m) {
    const auto factors =
        __builtin_bit_cast(__m256i, broadcast4<8>(of_row(m, offsetof(InterleavedPair, factors))));
    const auto step = F(load<float>(of_row(m, offsetof(InterleavedPair, step))));
    QK_UNROLL for (int half = 0; half < 2; ++half) {
      const F dots = convert<F>(sum_words(products[m][half], factors));
      sums[m][half] = fma(scales[half], step * dots, sums[m][half]);
    }
  }
  if constexpr (kHasMin<P>) {
    const F mins[2] = {record_mins<P, 8>(panel, at, 0, 0, supers),
                       record_mins<P, 8>(panel, at, 0, 8, supers)};
    QK_UNROLL for (int m = 0; m < M; ++m) {
      const auto sum = F(load<float>(of_row(m, offsetof(InterleavedPair, sum))));
      QK_UNROLL for (int half = 0; half < 2; ++half) sums[m][half] =
          fma(mins[half], sum, sums[m][half]);
    }
  }
}

/// When a tile fetches a pair of the next block: after `left` pairs, and then after `every` ones,
/// as many as there are tiles.
struct Turn {
  int left, every;
};

/// Adds `count` pairs to M rows of `acc`.
template <formats::Packing P, int M>
QK_INLINE void add_tile(const uint8_t *codes, const uint8_t *panel, RowsFrom x,
                        const Supers<P> &supers, int count, Turn turn, float *acc) {
  using F = Vector<float, 8>;
  using Block = BlockCodes<P>;
  F sums[M][2];
  QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int half = 0; half < 2; ++half)
      sums[m][half] = load<F>(acc + 16 * m + 8 * half);
#pragma clang loop unroll(disable)
  for (int at = 0; at < count; ++at) {
    if (--turn.left == 0) {
      turn.left = turn.every;
      QK_UNROLL for (int line = 0; line < Block::kPanelPairBytes; line += 64)
          __builtin_prefetch(panel + Block::kPanelBytes + line);
    }
    if constexpr (kInterleaved<P>)
      add_interleaved_pair<P, M>(codes, panel, at, x, supers, sums);
    else
      add_pair<P, M>(codes, panel, at, x, supers, sums);
    codes += Block::kPairBytes;
    panel += Block::kPanelPairBytes;
    x = RowsFrom::further(x, 0, 1);
  }
  QK_UNROLL for (int m = 0; m < M; ++m) QK_UNROLL for (int half = 0; half < 2; ++half)
      store(acc + 16 * m + 8 * half, sums[m][half]);
}

template <formats::Packing P>
QK_INLINE void gemm_rows(const uint8_t *panel, const uint8_t *x, int64_t stride, int64_t k_padded,
                         int64_t rows, float *acc) {
  using Block = BlockCodes<P>;
  constexpr int kPairs = Block::kPairs;
  alignas(64) uint8_t spread[Block::kSpread ? kPairs * Block::kPairBytes : 64];
  __builtin_memset(acc, 0, sizeof(float) * 16 * rows);
  const int64_t pairs = k_padded / 32;
  constexpr int kRows = kTileRows<P>;
  const int tiles = static_cast<int>((rows + kRows - 1) / kRows);
  Supers<P> supers;
  panel = Supers<P>::at_panel(supers, panel);
  for (int64_t first = 0; first < pairs; first += kPairs) {
    const int count = pairs - first < kPairs ? static_cast<int>(pairs - first) : kPairs;
    panel = Supers<P>::at_run(supers, panel);
    const uint8_t *codes = panel;
    if constexpr (Block::kSpread) {
      Block::spread(panel, supers, count, spread);
      codes = spread;
    }
    const auto block = RowsFrom::at(x, k_padded, stride, first);
    // The next block comes from memory while tiles compute, each fetching its share: all at once
    // would hold the loads up (8 rows of Q4_1 from memory: 127 GOP/s, so 161).
    Turn turn = {1, tiles};
    const auto tile = [&]<int M>(int64_t row) __attribute__((always_inline)) {
      add_tile<P, M>(codes, panel, RowsFrom::further(block, row, 0), supers, count, turn,
                     acc + 16 * row);
      ++turn.left;
    };
    int64_t row = 0;
    for (; row + kRows <= rows; row += kRows)
      tile.template operator()<kRows>(row);
    for (; row + 2 <= rows; row += 2)
      tile.template operator()<2>(row);
    if (row < rows)
      tile.template operator()<1>(row);
    panel += count * Block::kPanelPairBytes;
  }
}

} // namespace quern::micro

#endif // QK_VNNI

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_GEMMAVX2_H
