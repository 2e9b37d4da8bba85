// How a head's keys or values lie in a page of kv state (StepArgs.h), as those who read and those
// who store them see it.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_KVPAGE_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_KVPAGE_H

#include "codegen/cpu/microkernels/Vector.h"
#include "runtime/abi/KvFormats.h"
#include "runtime/abi/StepArgs.h"

namespace quern::micro {

inline constexpr int kPage = QUERN_KV_PAGE, kGroup = QUERN_KV_GROUP;

/// The format whose numbers are stored as T.
template <class T> inline constexpr KvFormat kFormatOf = KvFormat::f32;
#define QK_FORMAT_OF(NAME, T, FACTS)                                                               \
  template <> inline constexpr KvFormat kFormatOf<T> = KvFormat::NAME;                             \
  static_assert(int{sizeof(T)} == kv_facts(KvFormat::NAME).bytes);
QUERN_FOR_EACH_KV_FORMAT(QK_FORMAT_OF)
#undef QK_FORMAT_OF

/// Whether numbers stored as T have scales.
template <class T> inline constexpr bool kScaled = kv_facts(kFormatOf<T>).scaled;

/// Floats that lie before the numbers: the scales [group][position] of `dim` numbers a position.
template <class T> QK_INLINE int64_t floats_before(int64_t dim) {
  return kv_scales(kFormatOf<T>, dim);
}

} // namespace quern::micro

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_KVPAGE_H
