// Sixteen rows of activations and more times panels of quantized weights with AMX's bfloat16
// tiles, to the same bits as with VNNI.
//
// Codes of weights and of activations are whole numbers that bfloat16 holds exactly, and so are
// their products' sums over a pair of groups in float32, in whatever order, with the second group's
// codes times the pair's ratio, a power of two. So a product of tiles makes the exact dots of 16
// rows by 16 channels by 32 inputs, and makes floats of them at once. They go through memory, there
// is no other way, to where AVX-512 multiplies them with scales; that is the bound, as long as
// little else is to be loaded and stored:
//  - activations are quantized to bfloat16, too (StepArgs.h), and loaded straight from the rows; a
//    block of pairs stays in the first cache while all panels of a call pass;
//  - the codes of a panel's block stay in tiles while all rows pass over them;
//  - the product for the next pair runs while AVX-512 has this one's dots.
// docs/decisions/0013-amx-tiles-for-many-rows.md has what that takes.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_GEMMAMX_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_GEMMAMX_H

#include "codegen/cpu/microkernels/AmxOperands.h"
#include "codegen/cpu/microkernels/GroupSums.h"
#include "codegen/cpu/microkernels/IntegerDot.h"
#include "codegen/cpu/microkernels/Scales.h"
#include "runtime/abi/StepArgs.h"

#ifdef QK_AMX

namespace quern::micro {

/// A remainder of so many rows is cheaper as a tile of its own than as rows of dots.
inline constexpr int kLeastRemainder = 12;

/// How many of `rows` rows gemm_tiles is for.
QK_INLINE int64_t rows_in_tiles(int64_t rows) {
  const int64_t remainder = rows % kTileRows;
  return rows < kTileRows ? 0 : remainder < kLeastRemainder ? rows - remainder : rows;
}

/// Which tiles hold what: dots of two products and activations of two pairs, in turn; codes of a
/// block.
inline constexpr int kDots = 0, kActivations = 2, kCodes = 4, kCodeTiles = 4;
/// Products of a pair of groups: one for each scale of weights.
template <formats::Packing P> inline constexpr int kProducts = P.groups();
/// Pairs of groups in a block.
template <formats::Packing P> inline constexpr int kTilePairs = kCodeTiles / kProducts<P>;

/// A panel's records for a block. Row r of a pair's tile has inputs r and 16 + r of each channel,
/// and so both of its groups; where they have scales of their own, the other's place is 0.
template <formats::Packing P> struct BlockOfPanel {
  TileBytes codes[kTilePairs<P>][kProducts<P>];
  alignas(64) float scales[kTilePairs<P>][kProducts<P>][16];
  alignas(64) float mins[kTilePairs<P>][kProducts<P>][16];

  /// `count` pairs from pair `first` of the panel on.
  QK_INLINE void set(BlockOfPanel &block, const uint8_t *panel, int64_t first, int count) {
    Supers<P> supers;
    Supers<P>::at_panel(supers, panel);
    int index = 0; // of a pair in its run
    if constexpr (kRunPairs<P> != 0) {
      Supers<P>::at_run(supers, panel + P.super_at(first));
      index = static_cast<int>(first % kRunPairs<P>);
    }
    constexpr int kPairBytes = P.record_bytes();
    const uint8_t *at = panel + P.record_at(first);
    for (int pair = 0; pair < count; ++pair, at += kPairBytes) {
      QK_UNROLL for (int line = 0; line < kPairBytes; line += 64)
          __builtin_prefetch(at + kTilePairs<P> * kPairBytes + line);
      const uint8_t *codes = record_codes<P, 0>(at, index + pair, supers);
      QK_UNROLL for (int r = 0; r < 4; ++r) {
        const U32x16 first_codes = codes_of(codes, r), second_codes = codes_of(codes, r + 4);
        QK_UNROLL for (int i = 0; i < 4; ++i) {
          const U32x16 inputs = inputs_of(first_codes, second_codes, i);
          if constexpr (kProducts<P> == 1)
            store(block.codes[pair][0].rows[4 * r + i], inputs);
          else {
            store(block.codes[pair][0].rows[4 * r + i], U32x16(inputs & 0xffffu));
            store(block.codes[pair][1].rows[4 * r + i], U32x16(inputs & 0xffff0000u));
          }
        }
      }
      QK_UNROLL for (int of = 0; of < kProducts<P>; ++of) {
        store(block.scales[pair][of], record_scales<P, 16>(at, index + pair, of, 0, supers));
        if constexpr (kHasMin<P>)
          store(block.mins[pair][of], record_mins<P, 16>(at, index + pair, of, 0, supers));
      }
    }
  }

private:
  /// Four inputs of each channel, as bytes.
  QK_INLINE U32x16 codes_of(const uint8_t *codes, int r) {
    return __builtin_bit_cast(U32x16, code_row<P, 64>(codes, r));
  }
  /// Input i of the four of both groups, as two bfloat16 a channel; without the zero point where
  /// the kernels' dots are.
  QK_INLINE U32x16 inputs_of(U32x16 first, U32x16 second, int i) {
    constexpr int kZero = kZeroPointAsMin<P> ? 0 : P.zero_point;
    if constexpr (P.max_code() < 32) {
      alignas(64) static constexpr SmallNumbers kNumbers = SmallNumbers::from(-kZero);
      const U32x16 other = i < 2 ? second << (16 - 8 * i) : second >> (8 * i - 16);
      return look_up((first >> 8 * i & 0xffffu) | (other & 0xffff0000u), kNumbers);
    } else {
      const auto number = [&](U32x16 codes) __attribute__((always_inline)) {
        return convert<F32x16>(
            I32x16(__builtin_bit_cast(I32x16, U32x16(codes >> 8 * i & 255u)) - kZero));
      };
      return __builtin_bit_cast(U32x16, pairs_of_halves(number(first), number(second)));
    }
  }
};

/// Dots on their way from tiles to vectors.
struct alignas(64) TileDots {
  float rows[kTileRows][16];
};

/// Adds a pair's dots to the sums of a tile's rows.
template <formats::Packing P>
QK_INLINE void add_pair(const TileDots *dots, const BlockOfPanel<P> &panel, int index,
                        const uint8_t *pairs, int64_t stride, F32x16 (&sums)[kTileRows]) {
  QK_UNROLL for (int m = 0; m < kTileRows; ++m) {
    QK_UNROLL for (int of = 0; of < kProducts<P>; ++of)
        add_dots(pairs + m * stride, load<F32x16>(dots[of].rows[m]),
                 load<F32x16>(panel.scales[index][of]), sums[m]);
    if constexpr (kHasMin<P>)
      QK_UNROLL for (int of = 0; of < kProducts<P>; ++of) {
        const auto min = load<F32x16>(panel.mins[index][of]);
        if constexpr (kGroupMins<P>)
          add_group_min(group_sum(pairs + m * stride, of), min, sums[m]);
        else
          add_min(pairs + m * stride, min, sums[m]);
      }
  }
}

/// Rows of activations, from a block's first pair on.
struct BlockOfRows {
  const uint8_t *pairs, *tiles;
  int64_t stride;
};

/// Adds a block of `count` pairs to the sums of `rows` rows. The last tile ends with the last row:
/// what it has in common with the one before is summed again, apart.
template <formats::Packing P>
QK_INLINE void add_block(const BlockOfPanel<P> &panel, const BlockOfRows &x, int64_t rows,
                         int count, float *acc, float (&last_sums)[kTileRows][16]) {
  unrolled<kCodeTiles>([&]<int At>() __attribute__((always_inline)) {
    if (At / kProducts<P> < count)
      tile_load<kCodes + At>(&panel.codes[At / kProducts<P>][At % kProducts<P>], 64);
  });
  TileDots dots[kProducts<P>];
  const auto multiply = [&]<int Pair>(int64_t row) __attribute__((always_inline)) {
    constexpr int kRows = kActivations + Pair % 2;
    tile_load<kRows>(x.tiles + row * x.stride + 64 * Pair, x.stride);
    unrolled<kProducts<P>>([&]<int Of>() __attribute__((always_inline)) {
      constexpr int kProduct = Pair * kProducts<P> + Of, kTile = kDots + kProduct % 2;
      tile_zero<kTile>();
      tile_multiply<kTile, kRows, kCodes + kProduct>();
    });
  };
  const auto keep = [&]<int Pair>() __attribute__((always_inline)) {
    unrolled<kProducts<P>>([&]<int Of>() __attribute__((always_inline)) {
      tile_store<kDots + (Pair * kProducts<P> + Of) % 2>(&dots[Of], 64);
    });
  };
  const int64_t last = rows - kTileRows;
  multiply.template operator()<0>(0);
  keep.template operator()<0>();
  for (int64_t row = 0; row <= last;) {
    float *at = row % kTileRows == 0 ? acc + 16 * row : last_sums[0];
    const int64_t next = row == last || row + kTileRows <= last ? row + kTileRows : last;
    F32x16 sums[kTileRows];
    QK_UNROLL for (int m = 0; m < kTileRows; ++m) sums[m] = load<F32x16>(at + 16 * m);
    unrolled<kTilePairs<P>>([&]<int Pair>() __attribute__((always_inline)) {
      if (Pair >= count)
        return;
      constexpr int kNext = (Pair + 1) % kTilePairs<P>;
      const bool same_rows = kNext != 0 && kNext < count;
      if (same_rows)
        multiply.template operator()<kNext>(row);
      else if (next <= last)
        multiply.template operator()<0>(next);
      add_pair<P>(dots, panel, Pair, x.pairs + row * x.stride + Pair * sizeof(QuernQ8Pair),
                  x.stride, sums);
      // Not before: while a tile is waited for, nothing else would begin.
      if (same_rows)
        keep.template operator()<kNext>();
      else if (next <= last)
        keep.template operator()<0>();
    });
    QK_UNROLL for (int m = 0; m < kTileRows; ++m) store(at + 16 * m, sums[m]);
    row = next;
  }
}

/// As qk_gemm_<packing>_rows, for at most kMostPanels panels, and `rows` rows that rows_in_tiles
/// has given, 16 or more.
template <formats::Packing P>
QK_INLINE void gemm_tiles(const uint8_t *panel, int64_t panel_bytes, int panels, const uint8_t *x,
                          int64_t stride, int64_t k_padded, int64_t rows, float *acc,
                          int64_t acc_stride) {
  TileConfig config;
  QK_UNROLL for (int tile = 0; tile < 8; ++tile) {
    config.rows[tile] = kTileRows;
    config.row_bytes[tile] = 64;
  }
  tile_configure(config);
  BlockOfPanel<P> weights;
  alignas(64) float last_sums[kMostPanels][kTileRows][16] = {};
  for (int at = 0; at < panels; ++at)
    __builtin_memset(acc + at * acc_stride, 0, sizeof(float) * 16 * rows);
  const int64_t pairs = k_padded / 32;
  for (int64_t first = 0; first < pairs; first += kTilePairs<P>) {
    const int count =
        pairs - first < kTilePairs<P> ? static_cast<int>(pairs - first) : kTilePairs<P>;
    const BlockOfRows block = {
        x + k_padded + first * static_cast<int64_t>(sizeof(QuernQ8Pair)),
        x + quern_q8_rows_at(k_padded) + first * static_cast<int64_t>(sizeof(U16x32)), stride};
    for (int at = 0; at < panels; ++at) {
      BlockOfPanel<P>::set(weights, panel + at * panel_bytes, first, count);
      add_block<P>(weights, block, rows, count, acc + at * acc_stride, last_sums[at]);
    }
  }
  if (const int64_t remainder = rows % kTileRows; remainder != 0)
    for (int at = 0; at < panels; ++at)
      __builtin_memcpy(acc + at * acc_stride + 16 * (rows - remainder),
                       last_sums[at][kTileRows - remainder], sizeof(float) * 16 * remainder);
  tile_release();
}

} // namespace quern::micro

#endif // QK_AMX

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_GEMMAMX_H
