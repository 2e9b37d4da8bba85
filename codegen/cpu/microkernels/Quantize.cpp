// Activations to int8 by groups of 16, and the decoding of single rows of packed weights.
#include "codegen/cpu/microkernels/AmxOperands.h"
#include "codegen/cpu/microkernels/Int8Codes.h"
#include "codegen/cpu/microkernels/IntegerDot.h"
#include "codegen/cpu/microkernels/InterleavedPairAvx2.h"
#include "codegen/cpu/microkernels/Microkernels.h"
#include "codegen/cpu/microkernels/Scales.h"
#include "codegen/cpu/microkernels/Vector.h"

#include <immintrin.h>
#include <stddef.h>

namespace quern::micro {

using F32x8 = Vector<float, 8>;
using U64x8 = Vector<uint64_t, 8>;

/// 2^exponent.
QK_INLINE F32x16 power_of_two(U32x16 exponent) {
  return __builtin_bit_cast(F32x16, (exponent + 127) << 23);
}

/// Pairs of groups that are quantized together: their sixteen scales are a vector.
inline constexpr int kPairs = 8;

/// What products of many rows read of a pair.
#ifdef QK_VNNI
using PairOfRows = Vector<uint16_t, 32>; // for tiles; without them nobody does
#else
using PairOfRows = InterleavedPair;
#endif

/// Where codes and all that comes with them are written, in a row of them.
struct Q8At {
  uint8_t *codes, *pairs, *rows;
};

/// Where the kPairs pairs of a block lie: Across side by side in each of some rows.
template <int Across> struct Block {
  static constexpr int kRows = kPairs / Across;
  const float *x[kRows];
  Q8At to[kRows];

  QK_INLINE const float *numbers(const Block &block, int pair) {
    return block.x[pair / Across] + 32 * (pair % Across);
  }
  QK_INLINE uint8_t *codes(const Block &block, int pair) {
    return block.to[pair / Across].codes + 32 * (pair % Across);
  }
  QK_INLINE uint8_t *rows(const Block &block, int pair) {
    return block.to[pair / Across].rows + sizeof(PairOfRows) * (pair % Across);
  }
};

/// The largest magnitudes of a block's groups: a tree of parts side by side, of two groups at
/// first, of all at last.
template <int Across> QK_INLINE U32x16 largest_of_groups(const Block<Across> &block) {
  const auto larger = [](U32x16 a, U32x16 b) __attribute__((always_inline)) {
    return __builtin_elementwise_max(a, b);
  };
  const auto of_group = [&](int n) __attribute__((always_inline)) {
    return magnitudes(load<F32x16>(Block<Across>::numbers(block, n / 2) + 16 * (n % 2)));
  };
  const auto halves = [&](int a, int b) __attribute__((always_inline)) {
    const U32x16 one = of_group(a), other = of_group(b);
    return larger(
        __builtin_shufflevector(one, other, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
        __builtin_shufflevector(one, other, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29,
                                30, 31));
  };
  U32x16 fours[4]; // of groups n, 4 + n, 8 + n, 12 + n
  QK_UNROLL for (int n = 0; n < 4; ++n) {
    const U32x16 a = halves(n, 4 + n), b = halves(8 + n, 12 + n);
    fours[n] = larger(
        __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27),
        __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31));
  }
  U32x16 twos[2];
  QK_UNROLL for (int n = 0; n < 2; ++n) {
    const U32x16 a = fours[2 * n], b = fours[2 * n + 1];
    twos[n] = larger(
        __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
        __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31));
  }
  return larger(__builtin_shufflevector(twos[0], twos[1], 0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26,
                                        12, 14, 28, 30),
                __builtin_shufflevector(twos[0], twos[1], 1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27,
                                        13, 15, 29, 31));
}

/// The sums of the codes of four pairs' groups, a pair added at a time.
struct CodeSums {
  using Bytes = Vector<uint8_t, 32>;
  Vector<uint64_t, 4> halves = {}; // of groups, a word for each pair

  // There is an instruction for the sum of bytes without a sign.
  static constexpr int kOffset = 128;

  QK_INLINE void add(CodeSums &sums, Bytes codes, int pair) {
    const auto bytes = __builtin_bit_cast(__m256i, Bytes(codes ^ static_cast<uint8_t>(kOffset)));
    sums.halves |=
        __builtin_bit_cast(Vector<uint64_t, 4>, _mm256_sad_epu8(bytes, _mm256_setzero_si256()))
        << 16 * pair;
  }

  /// As words: those of the first groups, those of the second.
  QK_INLINE Vector<int16_t, 8> words(const CodeSums &sums) {
    const auto groups = __builtin_bit_cast(
        Vector<int16_t, 8>,
        Vector<uint64_t, 2>(__builtin_shufflevector(sums.halves, sums.halves, 0, 2) +
                            __builtin_shufflevector(sums.halves, sums.halves, 1, 3)));
    return groups - static_cast<int16_t>(16 * kOffset);
  }
};

/// The larger number of a pair of groups, for each.
QK_INLINE U32x16 larger_of_pair(U32x16 of_group) {
  return __builtin_elementwise_max(
      of_group, U32x16(__builtin_shufflevector(of_group, of_group, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11,
                                               10, 13, 12, 15, 14)));
}

template <int Across> QK_INLINE void quantize_block(const Block<Across> &block) {
  const U32x16 of_group = largest_of_groups(block);
  const U32x16 of_pair = larger_of_pair(of_group);
  // How often a group's numbers can be doubled: the bits' difference, as of logarithms.
  const U32x16 finer = __builtin_elementwise_min((of_pair - of_group) >> 23, U32x16(4));
  const auto scaling = Scaling<F32x16>::of(of_pair);
  const F32x16 steps = scaling.scale * power_of_two(-finer);
  const U32x16 finer_first =
      __builtin_shufflevector(finer, finer, 0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14);
  const F32x16 ratios = power_of_two(finer_first - finer); // of a group's step to that of the first
  alignas(64) float inverse[16], ratio[16];
  store(inverse, F32x16(scaling.inverse * power_of_two(finer)));
  store(ratio, ratios);
  CodeSums code_sums[2];
  using Words = Vector<int16_t, 16>;
  QK_UNROLL for (int pair = 0; pair < kPairs; ++pair) {
    F32x16 codes[2];
    QK_UNROLL for (int group = 0; group < 2; ++group) {
      const F32x16 numbers = load<F32x16>(Block<Across>::numbers(block, pair) + 16 * group);
      codes[group] = quantize(numbers, magnitudes(numbers), inverse[2 * pair + group]);
    }
    const auto bytes = __builtin_bit_cast(
        CodeSums::Bytes,
        __builtin_shufflevector(as_bytes(codes[0]), as_bytes(codes[1]), 0, 1, 2, 3, 4, 5, 6, 7, 8,
                                9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
                                26, 27, 28, 29, 30, 31));
    store(Block<Across>::codes(block, pair), bytes);
    CodeSums::add(code_sums[pair / 4], bytes, pair % 4);
#if defined(QK_AMX)
    store(Block<Across>::rows(block, pair),
          pairs_of_halves(F32x16(codes[0] - kRounding),
                          F32x16((codes[1] - kRounding) * ratio[2 * pair + 1])));
#elif !defined(QK_VNNI)
    const auto words = __builtin_bit_cast(Words, bytes);
    store(Block<Across>::rows(block, pair) + offsetof(InterleavedPair, codes),
          Words(__builtin_shufflevector(words, words, 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14,
                                        7, 15)));
#endif
  }

  const Words sums =
      __builtin_shufflevector(CodeSums::words(code_sums[0]), CodeSums::words(code_sums[1]), 0, 4, 1,
                              5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
  const F32x16 of_codes = convert<F32x16>(sums);
  const auto firsts = [](auto v) __attribute__((always_inline)) {
    return __builtin_shufflevector(v, v, 0, 2, 4, 6, 8, 10, 12, 14);
  };
  const auto seconds = [](auto v) __attribute__((always_inline)) {
    return __builtin_shufflevector(v, v, 1, 3, 5, 7, 9, 11, 13, 15);
  };
  const F32x8 scale = firsts(steps), of_second = seconds(ratios);
  const F32x8 sum = scale * (firsts(of_codes) + of_second * seconds(of_codes));
  // Four numbers of each of the pairs, a pair's after another's.
  const auto interleaved = [](F32x8 a, F32x8 b) __attribute__((always_inline)) {
    return __builtin_bit_cast(
        U64x8, __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15));
  };
  struct alignas(64) Records {
    uint8_t of[kPairs][16];
  };
  const auto records = [&](F32x8 a, F32x8 b, F32x8 c, F32x8 d) __attribute__((always_inline)) {
    const U64x8 ab = interleaved(a, b), cd = interleaved(c, d);
    Records result;
    store(result.of[0], __builtin_shufflevector(ab, cd, 0, 8, 1, 9, 2, 10, 3, 11));
    store(result.of[4], __builtin_shufflevector(ab, cd, 4, 12, 5, 13, 6, 14, 7, 15));
    return result;
  };
  const Records pairs = records(scale, of_second, sum, __builtin_bit_cast(F32x8, sums));
  QK_UNROLL for (int row = 0; row < kPairs / Across; ++row)
      __builtin_memcpy(block.to[row].pairs, pairs.of[row * Across], Across * sizeof(QuernQ8Pair));
#ifndef QK_VNNI
  const U32x16 finest = larger_of_pair(finer), factor = U32x16(1) << (finest - finer);
  const Records rest =
      records(firsts(F32x16(scaling.scale * power_of_two(-finest))), sum,
              __builtin_bit_cast(F32x8, firsts(factor) | seconds(factor) << 16), F32x8(0.0f));
  QK_UNROLL for (int pair = 0; pair < kPairs; ++pair)
      __builtin_memcpy(Block<Across>::rows(block, pair) + offsetof(InterleavedPair, step),
                       rest.of[pair], sizeof rest.of[pair]);
#endif
}

/// Columns of rows: floats, and where they are written.
struct Columns {
  const float *x;
  int64_t x_stride;
  Q8At to;
  int64_t to_stride, rows;

  QK_INLINE Columns from(const Columns &columns, int64_t pair) {
    Columns rest = columns;
    rest.x += 32 * pair;
    rest.to = {rest.to.codes + 32 * pair, rest.to.pairs + sizeof(QuernQ8Pair) * pair,
               rest.to.rows + sizeof(PairOfRows) * pair};
    return rest;
  }
};

/// Quantizes Across pairs of each row.
template <int Across> QK_INLINE void quantize_pairs(const Columns &columns) {
  constexpr int kRows = kPairs / Across;
  for (int64_t first = 0; first < columns.rows; first += kRows) {
    Block<Across> block;
    QK_UNROLL for (int i = 0; i < kRows; ++i) { // the last row again, where there are no more
      const int64_t row = first + i < columns.rows ? first + i : columns.rows - 1;
      const int64_t bytes = row * columns.to_stride;
      block.x[i] = columns.x + row * columns.x_stride;
      block.to[i] = {columns.to.codes + bytes, columns.to.pairs + bytes, columns.to.rows + bytes};
    }
    quantize_block(block);
  }
}

QK_SHARED void quantize_columns(const float *x, int64_t x_stride, int64_t rows, int64_t first,
                                int64_t count, int64_t k, uint8_t *to, int64_t to_stride) {
  static_assert(sizeof(QuernQ8Pair) == 16 && sizeof(PairOfRows) <= 64);
  const int64_t padded = (k + 31) / 32 * 32;
  const Columns columns = {
      x,
      x_stride,
      {to + first, to + padded + first / 2,
       to + quern_q8_rows_at(k) + first / 32 * static_cast<int64_t>(sizeof(PairOfRows))},
      to_stride,
      rows};
  int64_t pair = 0;
  for (; pair + 8 <= count / 32; pair += 8)
    quantize_pairs<8>(Columns::from(columns, pair));
  for (; pair + 4 <= count / 32; pair += 4)
    quantize_pairs<4>(Columns::from(columns, pair));
  for (; pair + 2 <= count / 32; pair += 2)
    quantize_pairs<2>(Columns::from(columns, pair));
  for (; pair < count / 32; ++pair)
    quantize_pairs<1>(Columns::from(columns, pair));
  if (const int64_t left = count % 32)
    for (int64_t row = 0; row < rows; ++row) { // as if zeros followed
      float rest[32] = {};
      __builtin_memcpy(rest, x + row * x_stride + 32 * pair, sizeof(float) * left);
      Columns last = Columns::from(columns, pair);
      const int64_t bytes = row * to_stride;
      quantize_pairs<1>(
          {rest, 0, {last.to.codes + bytes, last.to.pairs + bytes, last.to.rows + bytes}, 0, 1});
    }
}

/// Channel `row` of quantized panels: a dword of a record's row holds four consecutive inputs of a
/// channel.
template <formats::Packing P>
QK_INLINE void decode_row(const uint8_t *panel, int lane, int64_t k, float *out) {
  Supers<P> supers;
  panel = Supers<P>::at_panel(supers, panel);
  int index = 0; // of a record in its run
  for (int64_t first = 0; first < k; first += 32, ++index, panel += P.record_bytes()) {
    if constexpr (kRunPairs<P> != 0)
      if (first % P.super == 0) {
        panel = Supers<P>::at_run(supers, panel);
        index = 0;
      }
    float values[32];
    const uint8_t *made = record_codes<P, 0>(panel, index, supers);
    QK_UNROLL for (int group = 0; group < P.groups(); ++group) {
      const float scale = record_scales<P, 1>(panel, index, group, lane, supers)[0];
      float min = 0.0f;
      if constexpr (P.has_min)
        min = record_mins<P, 1>(panel, index, group, lane, supers)[0];
      QK_UNROLL for (int r = 0; r < P.group / 4; ++r) {
        const int row = group * P.group / 4 + r;
        uint32_t codes;
        if constexpr (kCodesMade<P>)
          codes = load<uint32_t>(made + 64 * row + 4 * lane);
        else
          codes = formats::codes_of_four(
              P, formats::stored_four(P, row, lane, [&](int at) __attribute__((always_inline)) {
                return load<uint32_t>(panel + at);
              }));
        QK_UNROLL for (int i = 0; i < 4; ++i) {
          const int code = static_cast<int>(codes >> 8 * i & 255u) - P.zero_point;
          const float value = scale * static_cast<float>(code);
          values[4 * row + i] = P.has_min ? value + min : value;
        }
      }
    }
    if (first + 32 <= k)
      __builtin_memcpy(out + first, values, sizeof values);
    else
      for (int64_t i = first; i < k; ++i)
        out[i] = values[i - first];
  }
}

} // namespace quern::micro

using namespace quern::micro;

QK_BEGIN
QK_KERNEL void qk_quantize_columns(const QkColumns *columns) {
  const QkColumns of = *columns;
  quantize_columns(of.x, of.x_stride, of.rows, of.first, of.count, of.k, bytes_of(of.to),
                   of.to_stride);
}

QK_KERNEL void qk_quantize_row(const float *x, int64_t k, QkQ8Row *row) {
  quantize_columns(x, 0, 1, 0, k, k, bytes_of(row), 0);
}

#define QK_DECODE_ROW(NAME, FIELDS)                                                                \
  QK_OUTLINE void qk_decode_row_##NAME(const QkPanel *panels, int64_t row, int64_t k,              \
                                       int64_t panel_bytes, float *out) {                          \
    decode_row<quern::formats::packings::NAME>(bytes_of(panels) + row / 16 * panel_bytes,          \
                                               static_cast<int>(row % 16), k, out);                \
  }
QK_FOR_EACH_QUANTIZED_PACKING(QK_DECODE_ROW)

#define QK_DECODE_FLOAT_ROW(NAME, TYPE)                                                            \
  QK_OUTLINE void qk_decode_row_##NAME(const QkPanel *panels, int64_t row, int64_t k,              \
                                       int64_t panel_bytes, float *out) {                          \
    const uint8_t *from = bytes_of(panels) + row / 16 * panel_bytes + row % 16 * sizeof(TYPE);     \
    for (int64_t i = 0; i < k; ++i)                                                                \
      out[i] = load_as_float<TYPE, 1>(from + i * 16 * sizeof(TYPE))[0];                            \
  }
QK_FOR_EACH_FLOAT_PACKING(QK_DECODE_FLOAT_ROW)
QK_END
