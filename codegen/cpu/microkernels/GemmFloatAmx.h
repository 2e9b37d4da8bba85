// Rows of float activations times panels of bfloat16 or float16 weights with AMX's bfloat16 tiles.
//
// A float becomes two bfloat16 terms, which keep 16 bits of it (a float16 weight's 11 are all kept,
// a bfloat16 weight is one term), and a product of two floats those of their terms, but for the one
// of both small terms: together within 2^-15 of the product. Sums are float32, as the tiles make
// them. Activations are taken apart once for all panels of a call, kStepsAtOnce steps of 32 inputs
// at a time; what they are multiplied with lies in the first cache meanwhile.
//
// What a row's sums are depends on nothing but the row: it has its own in every tile. Fewer rows
// than kLeastFloatRows are left to AVX-512, which has other bits; one row, as decoding has, reads
// memory at twice the rate that it could be brought into tiles at.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_GEMMFLOATAMX_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_GEMMFLOATAMX_H

#include "codegen/cpu/microkernels/AmxOperands.h"
#include "codegen/cpu/microkernels/Microkernels.h"

#ifdef QK_AMX

namespace quern::micro {

/// Inputs of a product, and how many products' operands are prepared at once.
inline constexpr int kStepInputs = 32, kStepsAtOnce = 8;
/// Most tiles of rows at once.
inline constexpr int kMostTiles = 6;
/// The fewest rows that are faster in tiles. float16's two terms take their time to make.
template <class T> inline constexpr int kLeastFloatRows = __is_same(T, BFloat16) ? 8 : 16;

/// x as a bfloat16, rounded, and what is left of it as another. What cannot be less than infinity,
/// and NaN, is one term.
struct Terms {
  U32x16 first, second; ///< in the upper halves

  QK_INLINE Terms of_finite(F32x16 x) {
    const U32x16 first = (__builtin_bit_cast(U32x16, x) + 0x8000u) & 0xffff0000u;
    const F32x16 rest = x - __builtin_bit_cast(F32x16, first);
    return {first, __builtin_bit_cast(U32x16, rest) + 0x8000u};
  }
  QK_INLINE Terms of(F32x16 x) {
    const U32x16 bits = __builtin_bit_cast(U32x16, x);
    const Terms terms = of_finite(x);
    const auto infinite = (terms.first & 0x7f800000u) == 0x7f800000u;
    const auto nan = (bits & 0x7fffffffu) > 0x7f800000u;
    return {nan ? bits | 0x400000u : terms.first, infinite || nan ? U32x16(0) : terms.second};
  }
};

/// The upper halves of a, then those of b.
QK_INLINE U16x32 upper_halves(U32x16 a, U32x16 b) {
  return __builtin_shufflevector(__builtin_bit_cast(U16x32, a), __builtin_bit_cast(U16x32, b), 1, 3,
                                 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37,
                                 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63);
}

/// The terms of the weights of a step.
template <class T> struct StepWeights {
  static constexpr int kTerms = __is_same(T, BFloat16) ? 1 : 2;
  TileBytes terms[kTerms];

  /// From the panel's row `panel` on; there are `inputs`, the others weigh nothing.
  QK_INLINE void set(StepWeights &step, const uint8_t *panel, int inputs) {
    constexpr int kRow = 16 * sizeof(T);
    QK_UNROLL for (int r = 0; r < 16; ++r, panel += 2 * kRow) {
      __builtin_prefetch(panel + kPrefetchAhead);
      if (2 * r + 2 <= inputs) [[likely]]
        put(step, r, panel, panel + kRow);
      else {
        alignas(64) const uint8_t zeros[kRow] = {};
        put(step, r, 2 * r < inputs ? panel : zeros, zeros);
      }
    }
  }

private:
  QK_INLINE void put(StepWeights &step, int r, const uint8_t *even, const uint8_t *odd) {
    if constexpr (kTerms == 1) {
      using Row = Vector<uint16_t, 16>;
      store(step.terms[0].rows[r],
            U16x32(__builtin_shufflevector(load<Row>(even), load<Row>(odd), 0, 16, 1, 17, 2, 18, 3,
                                           19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11,
                                           27, 12, 28, 13, 29, 14, 30, 15, 31)));
    } else {
      const Terms a = Terms::of_finite(load_as_float<T, 16>(even));
      const Terms b = Terms::of_finite(load_as_float<T, 16>(odd));
      store(step.terms[0].rows[r], pairs_of_halves(a.first, b.first));
      store(step.terms[1].rows[r], pairs_of_halves(a.second, b.second));
    }
  }
};

/// The two terms of a tile's rows of activations, for kStepsAtOnce steps.
struct TileActivations {
  TileBytes terms[kStepsAtOnce][2];

  /// Row m from `x`, of which there are `inputs`, at most kStepsAtOnce * kStepInputs.
  QK_INLINE void set(TileActivations &tile, int m, const float *x, int64_t inputs) {
    for (int step = 0; step * kStepInputs < inputs; ++step) {
      const int64_t at = step * kStepInputs;
      F32x16 halves[2];
      QK_UNROLL for (int half = 0; half < 2; ++half) {
        const int64_t from = at + 16 * half;
        halves[half] = from + 16 <= inputs ? load<F32x16>(x + from)
                       : from < inputs     ? load_masked(x + from, first_lanes(inputs - from))
                                           : F32x16(0.0f);
      }
      const Terms a = Terms::of(halves[0]), b = Terms::of(halves[1]);
      store(tile.terms[step][0].rows[m], upper_halves(a.first, b.first));
      store(tile.terms[step][1].rows[m], upper_halves(a.second, b.second));
    }
  }
  QK_INLINE void clear(TileActivations &tile, int m) {
    QK_UNROLL for (int step = 0; step < kStepsAtOnce; ++step)
        QK_UNROLL for (int term = 0; term < 2; ++term)
            store(tile.terms[step][term].rows[m], U16x32(0));
  }
};

/// Which tiles hold what: sums of two tiles of rows by two panels; weights of a step, two terms or
/// one of two panels; two terms of a tile's activations.
inline constexpr int kFloatSums = 0, kFloatWeights = 4, kFloatActivations = 6;
/// Panels whose sums are made at once.
template <class T> inline constexpr int kPanelsAtOnce = 2 / StepWeights<T>::kTerms;

/// The weights of some panels, for kStepsAtOnce steps.
template <class T> struct BlockWeights {
  StepWeights<T> of[kMostPanels][kStepsAtOnce];
};

/// Adds a block of steps to the sums of Tiles tiles of rows by Panels panels. A tile's sums are 256
/// floats behind the one's before, a panel's acc_stride.
template <class T, int Tiles, int Panels>
QK_INLINE void add_steps(const StepWeights<T> (*weights)[kStepsAtOnce],
                         const TileActivations *activations, int steps, bool first, float *acc,
                         int64_t acc_stride) {
  constexpr int kTerms = StepWeights<T>::kTerms;
  unrolled<Tiles * Panels>([&]<int At>() __attribute__((always_inline)) {
    if (first)
      tile_zero<kFloatSums + At>();
    else
      tile_load<kFloatSums + At>(acc + At / Panels * 256 + At % Panels * acc_stride, 64);
  });
  for (int step = 0; step < steps; ++step) {
    unrolled<Panels * kTerms>([&]<int At>() __attribute__((always_inline)) {
      tile_load<kFloatWeights + At>(&weights[At / kTerms][step].terms[At % kTerms], 64);
    });
    unrolled<Tiles>([&]<int Tile>() __attribute__((always_inline)) {
      unrolled<2>([&]<int Term>() __attribute__((always_inline)) {
        tile_load<kFloatActivations + Term>(&activations[Tile].terms[step][Term], 64);
        unrolled<Panels * kTerms>([&]<int At>() __attribute__((always_inline)) {
          if constexpr (Term + At % kTerms < 2) // not both small terms
            tile_multiply<kFloatSums + Tile * Panels + At / kTerms, kFloatActivations + Term,
                          kFloatWeights + At>();
        });
      });
    });
  }
  unrolled<Tiles * Panels>([&]<int At>() __attribute__((always_inline)) {
    tile_store<kFloatSums + At>(acc + At / Panels * 256 + At % Panels * acc_stride, 64);
  });
}

/// As qk_gemm_<packing>_rows, for at most kMostPanels panels and kMostTiles *
/// kTileRows rows.
template <class T>
QK_INLINE void gemm_float_tiles(const uint8_t *panel, int64_t panel_bytes, int panels,
                                const float *x, int64_t stride, int64_t k, int rows, float *acc,
                                int64_t acc_stride) {
  constexpr int64_t kInputs = kStepsAtOnce * kStepInputs;
  const int height = rows < kTileRows ? rows : kTileRows;
  const int tiles = (rows + kTileRows - 1) / kTileRows;
  TileConfig config;
  QK_UNROLL for (int tile = 0; tile < 8; ++tile) {
    const bool weights = tile == kFloatWeights || tile == kFloatWeights + 1;
    config.rows[tile] = weights ? 16 : height;
    config.row_bytes[tile] = 64;
  }
  tile_configure(config);
  BlockWeights<T> weights;
  TileActivations activations[kMostTiles];
  for (int row = rows; row < tiles * height; ++row)
    TileActivations::clear(activations[row / kTileRows], row % kTileRows);
  for (int64_t first = 0; first == 0 || first < k; first += kInputs) {
    const int64_t inputs = k - first < kInputs ? k - first : kInputs;
    const int steps = static_cast<int>((inputs + kStepInputs - 1) / kStepInputs);
    for (int row = 0; row < rows; ++row)
      TileActivations::set(activations[row / kTileRows], row % kTileRows, x + row * stride + first,
                           inputs);
    for (int at = 0; at < panels; ++at)
      for (int step = 0; step < steps; ++step)
        StepWeights<T>::set(weights.of[at][step],
                            panel + at * panel_bytes +
                                (first + step * kStepInputs) * 16 * sizeof(T),
                            static_cast<int>(inputs - step * kStepInputs));
    // A pair of tiles' activations stay in the first cache while all panels pass.
    for (int tile = 0; tile < tiles; tile += 2) {
      const auto add = [&]<int Tiles>() __attribute__((always_inline)) {
        const auto of = [&]<int Panels>(int at) __attribute__((always_inline)) {
          add_steps<T, Tiles, Panels>(weights.of + at, activations + tile, steps, first == 0,
                                      acc + 256 * tile + at * acc_stride, acc_stride);
        };
        int at = 0;
        for (; at + kPanelsAtOnce<T> <= panels; at += kPanelsAtOnce<T>)
          of.template operator()<kPanelsAtOnce<T>>(at);
        for (; at < panels; ++at)
          of.template operator()<1>(at);
      };
      if (tile + 2 <= tiles)
        add.template operator()<2>();
      else
        add.template operator()<1>();
    }
  }
  tile_release();
}

} // namespace quern::micro

#endif // QK_AMX

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_GEMMFLOATAMX_H
