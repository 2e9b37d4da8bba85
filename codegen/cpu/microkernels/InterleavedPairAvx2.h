// What AVX2's products of many rows read of a pair of groups of activations (GemmAvx2.h).
//
// Its two groups are summed together: each lane of codes has two inputs of the first and two of the
// second, so that products of two inputs, added up in 16 bits, are words with a group's dot each,
// and the instruction that widens and adds them multiplies each with its group's step. Group after
// group that takes a second widening and conversion, and an fma.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_INTERLEAVEDPAIRAVX2_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_INTERLEAVEDPAIRAVX2_H

#include <stdint.h>

namespace quern::micro {

struct InterleavedPair {
  int8_t codes[32];   ///< inputs 0 and 1 of the first group, 0 and 1 of the second, 2 and 3, ...
  float step;         ///< the finer of the groups' steps
  float sum;          ///< as in QuernQ8Pair
  int16_t factors[2]; ///< the groups' steps in units of `step`: 1, and up to 16
  int32_t unused;
};

} // namespace quern::micro

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_INTERLEAVEDPAIRAVX2_H
