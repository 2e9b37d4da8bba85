// A square of 16 rows of 16 floats, transposed in registers.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_TRANSPOSE_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_TRANSPOSE_H

#include "codegen/cpu/microkernels/Vector.h"

namespace quern::micro {

/// Lane numbers, for shuffles that are computed.
template <class T, T... Lane> struct Lanes {};
using AllLanes = __make_integer_seq<Lanes, int, 16>;

/// Exchanges, of two rows 2^k apart in a square of 16, what lies above the diagonal of blocks of H.
template <int H, int... Lane>
QK_INLINE void exchange(F32x16 &above, F32x16 &below, Lanes<int, Lane...>) {
  const F32x16 a = above, b = below;
  above = __builtin_shufflevector(a, b, ((Lane & H) != 0 ? 16 + Lane - H : Lane)...);
  below = __builtin_shufflevector(a, b, ((Lane & H) != 0 ? 16 + Lane : Lane + H)...);
}
template <int H> QK_INLINE void exchange_blocks(F32x16 (&rows)[16]) {
  QK_UNROLL for (int i = 0; i < 16; ++i) if ((i & H) == 0)
      exchange<H>(rows[i], rows[i + H], AllLanes());
}

QK_INLINE void transpose(F32x16 (&rows)[16]) {
  exchange_blocks<8>(rows);
  exchange_blocks<4>(rows);
  exchange_blocks<2>(rows);
  exchange_blocks<1>(rows);
}

} // namespace quern::micro

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_TRANSPOSE_H
