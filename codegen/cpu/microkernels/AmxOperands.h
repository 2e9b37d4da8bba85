// What kernels that multiply bfloat16 in tiles have in common: operands as they lie in memory.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_AMXOPERANDS_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_AMXOPERANDS_H

#include "codegen/cpu/microkernels/Amx.h"
#include "codegen/cpu/microkernels/Vector.h"

#ifdef QK_AMX

namespace quern::micro {

/// Most panels that rows are multiplied with at once.
inline constexpr int kMostPanels = 8;

/// A tile's operand.
struct alignas(64) TileBytes {
  uint16_t rows[16][32];
};

using U16x32 = Vector<uint16_t, 32>;

/// The upper halves of a and b interleaved.
QK_INLINE U16x32 pairs_of_halves(U32x16 a, U32x16 b) {
  return __builtin_bit_cast(U16x32, (a >> 16) | (b & 0xffff0000u));
}
/// Floats that are bfloat16, likewise.
QK_INLINE U16x32 pairs_of_halves(F32x16 a, F32x16 b) {
  return pairs_of_halves(__builtin_bit_cast(U32x16, a), __builtin_bit_cast(U32x16, b));
}

/// A whole number for each of 32 codes, as bfloat16.
struct SmallNumbers {
  uint16_t of[32];
  static constexpr SmallNumbers from(int first) {
    SmallNumbers numbers = {};
    for (int i = 0; i < 32; ++i)
      numbers.of[i] =
          static_cast<uint16_t>(__builtin_bit_cast(uint32_t, static_cast<float>(first + i)) >> 16);
    return numbers;
  }
};
/// Those of codes in words, of which the lowest five bits count.
QK_INLINE U32x16 look_up(U32x16 codes, const SmallNumbers &numbers) {
#ifdef __AVX512BW__
  return __builtin_bit_cast(
      U32x16, _mm512_permutexvar_epi16(__builtin_bit_cast(__m512i, codes),
                                       __builtin_bit_cast(__m512i, load<U16x32>(numbers.of))));
#else
  U16x32 result = __builtin_bit_cast(U16x32, codes);
  for (int i = 0; i < 32; ++i)
    result[i] = numbers.of[result[i] & 31];
  return __builtin_bit_cast(U32x16, result);
#endif
}

/// Does `each` with the numbers from 0 to Count - 1, as constants.
template <int Count, class Each> QK_INLINE void unrolled(Each each) {
  if constexpr (Count > 1)
    unrolled<Count - 1>(each);
  each.template operator()<Count - 1>();
}

} // namespace quern::micro

#endif // QK_AMX

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_AMXOPERANDS_H
