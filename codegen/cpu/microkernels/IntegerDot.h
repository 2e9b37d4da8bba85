// Exact integer products of groups of 16 codes with rows of int8 activations: the only
// instruction-specific part of the microkernels. Whatever the instructions, the integers are the
// same.
//
// integer_dot<P, First, M>(codes, x, stride, out) takes kDotGroups groups of 16 inputs
// from the First'th on, for M rows of activations and the kDotLanes channels from `codes` on: adds
// to out[n][m] the exact sum over group First + n of code_w * code_x, minus the zero point where
// kCorrected says that the caller does not start with the correction -zero_point * sum(code_x).
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_INTEGERDOT_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_INTEGERDOT_H

#include "codegen/cpu/microkernels/Scales.h"
#include "codegen/cpu/microkernels/Vector.h"
#include "ir/formats/PackingTable.h"

// QK_VNNI_EMULATED builds the VNNI source on machines without it, for tests.
#if defined(__AVX512VNNI__)
#define QK_VNNI 1
#include <immintrin.h>
#elif defined(QK_VNNI_EMULATED)
#define QK_VNNI 1
#include <simde/x86/avx512/dpbusd.h>
#else
#include <immintrin.h>
#endif

namespace quern::micro {

template <int N> using U8 = Vector<uint8_t, N>;
template <int N> using I32 = Vector<int32_t, N>;

/// Four activations of a row, in each lane.
template <int Lanes> QK_INLINE I32<Lanes> broadcast4(const uint8_t *x) {
  return I32<Lanes>(load<int32_t>(x));
}

/// Row `r` of a plane of Bits bits, of which `stored` is the stored row, at bit To of each byte.
/// Shifting 16-bit lanes and masking: there is no shift of bytes.
template <int Bits, int To, int Bytes> QK_INLINE U8<Bytes> plane_row(U8<Bytes> stored, int r) {
  using Words = Vector<uint16_t, Bytes / 2>;
  constexpr int kMask = 0x0101 * ((1 << Bits) - 1) << To;
  const Words words = __builtin_bit_cast(Words, stored);
  const int from = r / Bits * Bits;
  return __builtin_bit_cast(
      U8<Bytes>, Words((from >= To ? words >> (from - To) : words << (To - from)) & kMask));
}

/// What a codebook has for each byte, XORed with Flip.
template <formats::Codebook Book, int Flip, int Bytes>
QK_INLINE U8<Bytes> look_up(U8<Bytes> stored) {
  using Table = Vector<uint8_t, 16>;
  alignas(16) static constexpr formats::CodebookTable kCodes = formats::codebook_table(Book);
  const Table table = load<Table>(kCodes.codes) ^ Flip;
  const auto twice =
      __builtin_shufflevector(table, table, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0,
                              1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const auto half = __builtin_bit_cast(__m256i, twice);
  if constexpr (Bytes == 32)
    return __builtin_bit_cast(U8<32>,
                              _mm256_shuffle_epi8(half, __builtin_bit_cast(__m256i, stored)));
  else {
#ifdef __AVX512BW__
    const __m512i all = _mm512_broadcast_i64x4(half);
    return __builtin_bit_cast(U8<64>,
                              _mm512_shuffle_epi8(all, __builtin_bit_cast(__m512i, stored)));
#else
    U8<64> result;
    result.lo = look_up<Book, Flip, 32>(U8<32>(stored.lo));
    result.hi = look_up<Book, Flip, 32>(U8<32>(stored.hi));
    return result;
#endif
  }
}

/// Row r (0..7) of the record whose codes begin at `codes` (record_codes), or of a half of each
/// row, as codes of 8 bits; of those that come out of 8 bits or a codebook, XORed with Flip, as
/// those of a lattice are made.
template <formats::Packing P, int Bytes, int Flip = 0>
QK_INLINE U8<Bytes> code_row(const uint8_t *codes, int r) {
  constexpr int kLow = P.low_bits(), kHigh = P.high_bits();
  if constexpr (kCodesMade<P>)
    return load<U8<Bytes>>(codes + 64 * r);
  const U8<Bytes> stored = load<U8<Bytes>>(codes + 64 * (r % kLow));
  if constexpr (P.bits == 8)
    return stored ^ Flip;
  U8<Bytes> code = plane_row<kLow, 0, Bytes>(stored, r);
  if constexpr (kHigh != 0)
    code |= plane_row<kHigh, kLow, Bytes>(load<U8<Bytes>>(codes + 64 * (kLow + r % kHigh)), r);
  if constexpr (P.codebook != formats::Codebook::None)
    return look_up<P.codebook, Flip, Bytes>(code);
  static_assert(Flip == 0 || P.is_lattice() || P.codebook != formats::Codebook::None ||
                P.bits == 8);
  return code;
}

#ifdef QK_VNNI

inline constexpr int kDotLanes = 16;
/// Groups taken at once: kDotGroups * M chains of additions run side by side. Eight would not hide
/// the instruction's latency of five.
inline constexpr int kDotGroups = 2;
/// Whether out needs the correction: always, where there is a zero point in the integers.
template <formats::Packing P>
inline constexpr bool kCorrected = P.zero_point != 0 && !kZeroPointAsMin<P>;
template <formats::Packing P> inline constexpr int kFlip = 0;

QK_INLINE I32x16 dot4(I32x16 sum, U8<64> codes, I32x16 x) {
#ifdef __AVX512VNNI__
  return __builtin_bit_cast(I32x16, _mm512_dpbusd_epi32(__builtin_bit_cast(__m512i, sum),
                                                        __builtin_bit_cast(__m512i, codes),
                                                        __builtin_bit_cast(__m512i, x)));
#else
  return __builtin_bit_cast(I32x16,
                            simde_mm512_dpbusd_epi32(__builtin_bit_cast(simde__m512i, sum),
                                                     __builtin_bit_cast(simde__m512i, codes),
                                                     __builtin_bit_cast(simde__m512i, x)));
#endif
}

template <formats::Packing P, int First, int M>
QK_INLINE void integer_dot(const uint8_t *codes, const uint8_t *x, int64_t stride,
                           I32x16 (&out)[kDotGroups][M]) {
  QK_UNROLL for (int r = 0; r < 4; ++r) {
    QK_UNROLL for (int n = 0; n < kDotGroups; ++n) {
      const int row = 4 * (First + n) + r;
      const U8<64> w = code_row<P, 64>(codes, row);
      QK_UNROLL for (int m = 0; m < M; ++m) out[n][m] =
          dot4(out[n][m], w, broadcast4<16>(x + m * stride + 4 * row));
    }
  }
}

#else // AVX2

inline constexpr int kDotLanes = 8;
inline constexpr int kDotGroups = 1;
/// With zero point 128 the codes are made signed instead.
template <formats::Packing P>
inline constexpr bool kCorrected = P.zero_point != 0 && P.zero_point != 128 && !kZeroPointAsMin<P>;
template <formats::Packing P> inline constexpr int kFlip = P.zero_point == 128 ? 0x80 : 0;

/// How many rows of four inputs have products of pairs that fit into 16 bits together; their sum is
/// widened once. All four do with codes up to 31: 4 * 2*31*127 = 31496; two of a lattice's, which
/// are up to 62 with a sign.
template <formats::Packing P>
inline constexpr int kRowsThatFit = [] {
  if (P.zero_point == 128)
    return P.is_lattice() ? 2 : 1;
  const int fit = 32767 / (2 * P.max_code() * 127);
  return fit >= 4 ? 4 : fit;
}();

/// Products of pairs, added in 16 bits: saturating, so the caller sees to it that they fit.
template <formats::Packing P> QK_INLINE __m256i multiply_pairs(__m256i w, __m256i x) {
  if constexpr (P.zero_point ==
                128) // w in [-128, 127]: |w| * sign(w) x, at most 2*128*127 = 32512 a pair
    return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
  else
    return _mm256_maddubs_epi16(w, x);
}

template <formats::Packing P, int First, int M>
QK_INLINE void integer_dot(const uint8_t *codes, const uint8_t *x, int64_t stride,
                           I32<8> (&out)[kDotGroups][M]) {
  using I16x16 = Vector<int16_t, 16>;
  constexpr int kRows = 4;
  constexpr int kFit = kRowsThatFit<P>;
  static_assert(kDotGroups == 1 && kFit > 0 && kRows % kFit == 0);
  QK_UNROLL for (int first = 0; first < kRows; first += kFit) {
    I16x16 pairs[M];
    QK_UNROLL for (int r = 0; r < kFit; ++r) {
      const int row = kRows * First + first + r;
      const auto w = __builtin_bit_cast(__m256i, code_row<P, 32, kFlip<P>>(codes, row));
      QK_UNROLL for (int m = 0; m < M; ++m) {
        const I32<8> activations = broadcast4<8>(x + m * stride + 4 * row);
        const I16x16 products = __builtin_bit_cast(
            I16x16, multiply_pairs<P>(w, __builtin_bit_cast(__m256i, activations)));
        pairs[m] = r == 0 ? products : pairs[m] + products;
      }
    }
    QK_UNROLL for (int m = 0; m < M; ++m) out[0][m] += __builtin_bit_cast(
        I32<8>, _mm256_madd_epi16(__builtin_bit_cast(__m256i, pairs[m]), _mm256_set1_epi16(1)));
  }
}

#endif

} // namespace quern::micro

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_INTEGERDOT_H
