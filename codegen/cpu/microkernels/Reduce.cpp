// Reductions of a row to a number: 16 partial results, then a fixed tree.
#include "codegen/cpu/microkernels/Microkernels.h"
#include "codegen/cpu/microkernels/Vector.h"

namespace quern::micro {

/// Calls step(partials, load) for each 16 elements; load(p, otherwise) gives those of p, the last
/// time only the ones that are there.
template <class Step> QK_INLINE F32x16 partials(int64_t n, F32x16 start, Step step) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    start = step(start, [=](const float *p, float)
                            __attribute__((always_inline)) { return load<F32x16>(p + i); });
  if (i < n) {
    const Mask16 mask = first_lanes(n - i);
    start = step(start, [=](const float *p, float otherwise) __attribute__((always_inline)) {
      return load_masked(p + i, mask, otherwise);
    });
  }
  return start;
}

} // namespace quern::micro

using namespace quern::micro;

QK_BEGIN
QK_KERNEL float qk_sum(const float *x, int64_t n) {
  const F32x16 sums =
      partials(n, F32x16(0.0f),
               [=](F32x16 p, auto at) __attribute__((always_inline)) { return p + at(x, 0.0f); });
  return combine_lanes(sums, Add());
}

QK_KERNEL float qk_sum_squares(const float *x, int64_t n) {
  const F32x16 sums =
      partials(n, F32x16(0.0f), [=](F32x16 p, auto at) __attribute__((always_inline)) {
        const F32x16 value = at(x, 0.0f);
        return fma(value, value, p);
      });
  return combine_lanes(sums, Add());
}

QK_KERNEL float qk_sum_squares_around(const float *x, float center, int64_t n) {
  const F32x16 sums =
      partials(n, F32x16(0.0f), [=](F32x16 p, auto at) __attribute__((always_inline)) {
        const F32x16 value = at(x, center) - center;
        return fma(value, value, p);
      });
  return combine_lanes(sums, Add());
}

QK_KERNEL float qk_dot(const float *x, const float *y, int64_t n) {
  const F32x16 sums =
      partials(n, F32x16(0.0f), [=](F32x16 p, auto at) __attribute__((always_inline)) {
        return fma(at(x, 0.0f), at(y, 0.0f), p);
      });
  return combine_lanes(sums, Add());
}

QK_KERNEL float qk_max(const float *x, int64_t n) {
  constexpr float kLeast = -__builtin_inff();
  const F32x16 most =
      partials(n, F32x16(kLeast), [=](F32x16 p, auto at) __attribute__((always_inline)) {
        return Max()(p, at(x, kLeast));
      });
  return combine_lanes(most, Max());
}

QK_KERNEL float *qk_columns_at(const QuernStepArgs *args, float *result, float *own) {
  return args->argmax != nullptr ? own : result;
}

QK_KERNEL void qk_update_argmax(const QuernStepArgs *args, int64_t worker, const float *values,
                                int64_t n, int64_t column) {
  if (args->argmax == nullptr)
    return;
  constexpr float kLeast = -__builtin_inff();
  QuernArgmax &argmax = args->argmax[worker];
  for (int64_t i = 0; i < n; i += 16) {
    const F32x16 some = load_masked(values + i, first_lanes(n - i), kLeast);
    const F32x16 numbers = some == some ? some : F32x16(kLeast);
    const float most = combine_lanes(numbers, Max());
    if (!(most > argmax.value))
      continue;
    const I32x16 lanes = numbers == most ? lane_index() : I32x16(16);
    argmax.value = most;
    argmax.column = static_cast<int32_t>(column + i) + __builtin_reduce_min(lanes);
  }
}
QK_END
