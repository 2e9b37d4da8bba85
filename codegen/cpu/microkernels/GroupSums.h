// What becomes of the exact dot of a group: the float operations of Microkernels.h, in their order.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_GROUPSUMS_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_GROUPSUMS_H

#include "codegen/cpu/microkernels/IntegerDot.h"
#include "codegen/cpu/microkernels/Vector.h"

#include "runtime/abi/StepArgs.h"

#include <stddef.h>

namespace quern::micro {

/// Adds the dot of group `group` (0, then 1) of an activation pair to `sum`, if the group ends its
/// record, else to `product`, which is the record's. `scale` is the record's.
template <formats::Packing P, class F>
QK_INLINE void add_dot(const uint8_t *pair, int group, F dot, F scale, F &product, F &sum) {
  constexpr bool kSameRecord = P.group == 32; // for both groups
  const F scale_x = load<float>(pair + offsetof(QuernQ8Pair, scale) + sizeof(float) * group);
  product = kSameRecord && group == 1 ? fma(scale_x, dot, product) : scale_x * dot;
  if (kZeroPointOfPair<P> && group == 1)
    product = fma(F(-P.zero_point), F(load<float>(pair + offsetof(QuernQ8Pair, sum))), product);
  if (!kSameRecord || group == 1)
    sum = fma(scale, product, sum);
}

/// After both groups of a record with a min.
template <class F> QK_INLINE void add_min(const uint8_t *pair, F min, F &sum) {
  sum = fma(min, F(load<float>(pair + offsetof(QuernQ8Pair, sum))), sum);
}

} // namespace quern::micro

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_GROUPSUMS_H
