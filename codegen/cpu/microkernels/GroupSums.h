// What becomes of the exact dot of a group: the float operations of Microkernels.h, in their order.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_GROUPSUMS_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_GROUPSUMS_H

#include "codegen/cpu/microkernels/IntegerDot.h"
#include "codegen/cpu/microkernels/Vector.h"
#include "runtime/abi/StepArgs.h"

#include <stddef.h>

namespace quern::micro {

/// A number of an activation pair, in all lanes.
template <class F> QK_INLINE F of_pair(const uint8_t *pair, size_t offset) {
  return F(load<float>(pair + offset));
}

/// Takes the dot of group `group` (0, then 1) of an activation pair, in units of the first group's
/// scale: with that of the other in `dots`, if the group does not end its record. Exact.
template <formats::Packing P, class F>
QK_INLINE void take_dot(const uint8_t *pair, int group, F dot, F &dots) {
  const F ratio = of_pair<F>(pair, offsetof(QuernQ8Pair, ratio));
  dots = group == 0 ? dot : P.group == 32 ? fma(ratio, dot, dots) : ratio * dot;
}
/// Adds a record's dots to a row's sum, with the row's scale and the record's.
template <class F> QK_INLINE void add_dots(const uint8_t *pair, F dots, F scale, F &sum) {
  sum = fma(scale, of_pair<F>(pair, offsetof(QuernQ8Pair, scale)) * dots, sum);
}
/// Whether a record has a min for each of its two groups: a group's sum is then
/// scale * (ratio^group * code_sum[group]).
template <formats::Packing P> inline constexpr bool kGroupMins = kHasMin<P> && P.group == 16;
QK_INLINE float group_sum(const uint8_t *pair, int group) {
  const auto of = load<QuernQ8Pair>(pair);
  const auto codes = static_cast<float>(of.code_sum[group]);
  return of.scale * (group == 0 ? codes : of.ratio * codes);
}
template <class F> QK_INLINE void add_group_min(float group_sum, F min, F &sum) {
  sum = fma(min, F(group_sum), sum);
}
/// After them, where records have a min.
template <class F> QK_INLINE void add_min(const uint8_t *pair, F min, F &sum) {
  sum = fma(min, of_pair<F>(pair, offsetof(QuernQ8Pair, sum)), sum);
}

} // namespace quern::micro

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_GROUPSUMS_H
