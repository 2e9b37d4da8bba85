// Sixteen rows of activations and more times one panel of quantized weights with AMX, to the same
// bits as with VNNI.
//
// A tile product of 16 rows by 16 channels has sums of 32 bits for each, over up to 64 inputs, and
// takes a cycle a row however few inputs there are. Activations have a scale for every 16, so a
// product may sum over no more: a quarter of what it could. Its sums then go through memory, there
// is no other way, to where AVX-512 makes floats of them; that, not the products, is the bound. So
// what counts is how little else there is to load and to store:
//  - a tile of activations has 64 inputs, four groups, and is loaded once for all of them. Each
//    group's codes lie in a tile of their own, between rows of zeros, and take its inputs alone;
//  - those four tiles stay while all rows of activations pass over them;
//  - the products of the next pair of groups run while this one's are made floats.
// Instructions are counted in docs/decisions/0013-amx-tiles-for-many-rows.md.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_GEMMTILES_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_GEMMTILES_H

#include "codegen/cpu/microkernels/Amx.h"
#include "codegen/cpu/microkernels/GroupSums.h"
#include "codegen/cpu/microkernels/IntegerDot.h"
#include "codegen/cpu/microkernels/Scales.h"

#ifdef QK_AMX

namespace quern::micro {

/// A remainder of so many rows is cheaper as a tile of its own, which shares the others with the
/// one before: it takes as long as five rows of dots (six of Q8_0).
inline constexpr int kLeastRemainder = 6;
/// Pairs of groups (32 inputs each) in a tile of activations.
inline constexpr int kTilePairs = 2;

/// How many of `rows` rows gemm_tiles is for.
QK_INLINE int64_t rows_in_tiles(int64_t rows) {
  const int64_t remainder = rows % kTileRows;
  return rows < kTileRows ? 0 : remainder < kLeastRemainder ? rows - remainder : rows;
}

/// Which tiles hold what: sums of three groups, the activations of a block, its codes by group.
inline constexpr int kSums = 0, kActivations = 3, kCodes = 4;

/// The codes of a block, as signed bytes. Tile `group` has them in its rows 4 * group ..., and
/// zeros in the others.
struct alignas(64) TileCodes {
  /// Where groups begin: as near to one another as the zeros before and behind them allow.
  static constexpr int kRowOf[2 * kTilePairs] = {0, 16, 28, 44};
  uint8_t rows[48][64] = {};

  QK_INLINE const uint8_t *tile(const TileCodes &codes, int group) {
    return codes.rows[kRowOf[group] - 4 * group];
  }

  /// Takes those of `pairs` pairs from `records` on, without the zero point where the dots are to
  /// be: without it a byte is signed.
  template <formats::Packing P, int MaxCode>
  QK_INLINE void place(TileCodes &codes, const uint8_t *records, int pairs) {
    constexpr int kZero = kCorrected<P> ? P.zero_point : 0;
    static_assert(MaxCode - kZero <= 127);
    constexpr int kPairBytes = 32 / P.group * P.record_bytes();
    for (int pair = 0; pair < pairs; ++pair, records += kPairBytes) {
      QK_UNROLL for (int line = 0; line < kPairBytes; line += 64)
          __builtin_prefetch(records + kPrefetchAhead + line);
      uint8_t (*to)[64] = codes.rows + (pair == 0 ? kRowOf[0] : kRowOf[2]);
      QK_UNROLL for (int r = 0; r < 8; ++r)
          store(to[r / 4 * (kRowOf[1] - kRowOf[0]) + r % 4],
                U8<64>(code_row<P, 64>(records, r) - static_cast<uint8_t>(kZero)));
    }
  }
};
static_assert(TileCodes::kRowOf[3] - TileCodes::kRowOf[2] ==
              TileCodes::kRowOf[1] - TileCodes::kRowOf[0]);

/// The exact dots of a pair of groups, on their way from tiles to vectors.
struct alignas(64) PairDots {
  int32_t of[2][kTileRows][16];
};

/// The sums of pair `Pair` of a block, for the activations that are loaded: in two of three tiles
/// in turn, so that the next need not wait for the last to be stored.
template <int Pair> QK_INLINE void multiply_pair() {
  constexpr int kFirst = kSums + 2 * Pair, kSecond = kSums + (1 + 2 * Pair) % 3;
  tile_zero<kFirst>();
  tile_multiply<kFirst, kActivations, kCodes + 2 * Pair>();
  tile_zero<kSecond>();
  tile_multiply<kSecond, kActivations, kCodes + 2 * Pair + 1>();
}
template <int Pair> QK_INLINE void store_pair(PairDots &dots) {
  tile_store<kSums + 2 * Pair>(dots.of[0], 64);
  tile_store<kSums + (1 + 2 * Pair) % 3>(dots.of[1], 64);
}

/// Adds a pair to the sums of a tile's rows, with the operations of add_pair.
template <formats::Packing P>
QK_INLINE void add_dots(const PairDots &dots, const uint8_t *records, const uint8_t *pairs,
                        int64_t stride, const Supers<P> &supers, F32x16 (&sums)[kTileRows]) {
  constexpr int64_t kNext = P.group == 32 ? 0 : P.record_bytes(); // the second group's record
  const F32x16 scales[2] = {record_scales<P, 16>(records, 0, supers),
                            record_scales<P, 16>(records + kNext, 0, supers)};
  F32x16 min = 0;
  if constexpr (P.has_min)
    min = record_mins<P, 16>(records, 0, supers);
  QK_UNROLL for (int m = 0; m < kTileRows; ++m) {
    const uint8_t *pair = pairs + m * stride;
    F32x16 product;
    QK_UNROLL for (int group = 0; group < 2; ++group)
        add_dot<P>(pair, group, convert<F32x16>(load<I32x16>(dots.of[group][m])), scales[group],
                   product, sums[m]);
    if constexpr (P.has_min)
      add_min(pair, min, sums[m]);
  }
}

/// As qk_gemm_<packing>_rows, for `rows` that rows_in_tiles has given, 16 or more.
template <formats::Packing P, int MaxCode>
QK_INLINE void gemm_tiles(const uint8_t *panel, const uint8_t *x, int64_t stride, int64_t k_padded,
                          int64_t rows, float *acc) {
  TileConfig config;
  QK_UNROLL for (int tile = 0; tile < 8; ++tile) {
    config.rows[tile] = 16;
    config.row_bytes[tile] = 64;
  }
  tile_configure(config);

  TileCodes codes[2]; // this block's and the next's
  PairDots dots[kTilePairs];
  // The last tile ends with the last row: what it has in common with the one before is summed
  // apart.
  alignas(64) float last_sums[kTileRows][16] = {};
  __builtin_memset(acc, 0, sizeof(float) * 16 * rows);
  const int64_t last = rows - kTileRows, remainder = rows % kTileRows;

  Supers<P> supers;
  Supers<P>::at_panel(supers, panel);
  const int64_t pairs = k_padded / 32;
  const auto record_of = [](int64_t pair)
                             __attribute__((always_inline)) { return pair * (32 / P.group); };
  const auto place = [&](int64_t first, TileCodes &to) __attribute__((always_inline)) {
    TileCodes::place<P, MaxCode>(to, panel + P.record_at(record_of(first)),
                                 first + 1 < pairs ? 2 : 1);
  };
  place(0, codes[0]);
  for (int64_t first = 0; first < pairs; first += kTilePairs) {
    const bool two = first + 1 < pairs;
    const TileCodes &here = codes[first / kTilePairs % 2];
    tile_load<kCodes + 0>(TileCodes::tile(here, 0), 64);
    tile_load<kCodes + 1>(TileCodes::tile(here, 1), 64);
    tile_load<kCodes + 2>(TileCodes::tile(here, 2), 64);
    tile_load<kCodes + 3>(TileCodes::tile(here, 3), 64);
    if (first + kTilePairs < pairs)
      place(first + kTilePairs, codes[(first / kTilePairs + 1) % 2]);
    if (kRunPairs<P> != 0 && first % kRunPairs<P> == 0)
      Supers<P>::at_run(supers, panel + P.super_at(record_of(first)));

    const uint8_t *records = panel + P.record_at(record_of(first));
    const uint8_t *next_records = panel + P.record_at(record_of(first + 1));
    const uint8_t *x_pairs = x + k_padded + first * static_cast<int64_t>(sizeof(QuernQ8Pair));
    // Where the panel has but one pair left, the other 32 bytes meet codes of zero.
    const auto load_activations = [&](int64_t row) __attribute__((always_inline)) {
      tile_load<kActivations>(x + 32 * first + row * stride, stride);
    };
    load_activations(0);
    multiply_pair<0>();
    store_pair<0>(dots[0]);
    for (int64_t row = 0; row <= last;) {
      float *sums_at = remainder != 0 && row == last ? last_sums[0] : acc + 16 * row;
      const int64_t next = row == last || row + kTileRows <= last ? row + kTileRows : last;
      const uint8_t *at = x_pairs + row * stride;
      F32x16 sums[kTileRows];
      QK_UNROLL for (int m = 0; m < kTileRows; ++m) sums[m] = load<F32x16>(sums_at + 16 * m);
      if (two)
        multiply_pair<1>();
      add_dots<P>(dots[0], records, at, stride, supers, sums);
      if (two)
        store_pair<1>(dots[1]);
      if (next <= last) {
        load_activations(next);
        multiply_pair<0>();
      }
      if (two)
        add_dots<P>(dots[1], next_records, at + sizeof(QuernQ8Pair), stride, supers, sums);
      if (next <= last)
        store_pair<0>(dots[0]);
      QK_UNROLL for (int m = 0; m < kTileRows; ++m) store(sums_at + 16 * m, sums[m]);
      row = next;
    }
  }
  if (remainder != 0)
    __builtin_memcpy(acc + 16 * (rows - remainder), last_sums[kTileRows - remainder],
                     sizeof(float) * 16 * remainder);
  tile_release();
}

} // namespace quern::micro

#endif // QK_AMX

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_GEMMTILES_H
