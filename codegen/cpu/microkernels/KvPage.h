// How a head's keys or values lie in a page of kv state (StepArgs.h), as those who read and those
// who store them see it.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_KVPAGE_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_KVPAGE_H

#include "codegen/cpu/microkernels/Vector.h"
#include "runtime/abi/StepArgs.h"

namespace quern::micro {

inline constexpr int kPage = QUERN_KV_PAGE, kGroup = QUERN_KV_GROUP;

/// Whether numbers stored as T have scales.
template <class T> inline constexpr bool kScaled = sizeof(T) == 1;

/// Floats that lie before the numbers: the scales [group][position] of `dim` numbers a position.
template <class T> QK_INLINE int64_t floats_before(int64_t dim) {
  return kScaled<T> ? (dim + kGroup - 1) / kGroup * kPage : 0;
}

} // namespace quern::micro

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_KVPAGE_H
