// The choice of experts, and which rows of a step an expert works on.
#include "codegen/cpu/microkernels/MathFunctions.h"
#include "codegen/cpu/microkernels/Microkernels.h"
#include "codegen/cpu/microkernels/Vector.h"

namespace quern::micro {

enum RouteScore : int32_t { Softmax = 0, Sigmoid = 1, Chosen = 2 };

/// Marks the `count` largest of values[0..n) that are not taken, of equal ones those of lower
/// index. Always `count` different ones of them, whatever the values are.
QK_INLINE void take_largest(const float *values, int64_t n, int64_t count, int32_t *taken) {
  for (int64_t i = 0; i < count; ++i) {
    int64_t best = -1;
    for (int64_t at = 0; at < n; ++at)
      if (!taken[at] && (best < 0 || values[at] > values[best]))
        best = at;
    taken[best] = 1;
  }
}

/// x[0..n) become their softmax; sums go from the first to the last.
QK_INLINE void softmax(float *x, int64_t n) {
  float most = x[0];
  for (int64_t i = 1; i < n; ++i)
    most = x[i] > most ? x[i] : most;
  for (int64_t i = 0; i < n; ++i)
    x[i] = exponential(x[i] - most);
  float sum = 0;
  for (int64_t i = 0; i < n; ++i)
    sum += x[i];
  for (int64_t i = 0; i < n; ++i)
    x[i] /= sum;
}

/// What may not be chosen, for its group is none of the best, is taken already.
QK_INLINE void close_groups(const QkRoute &route, const float *choice, int32_t *taken) {
  float *sums = route.numbers + 2 * route.experts;
  int32_t *open = route.marks + route.experts;
  const int64_t size = route.experts / route.groups;
  for (int64_t g = 0; g < route.groups; ++g) {
    const float *of_group = choice + g * size;
    int32_t *marks = taken + g * size;
    take_largest(of_group, size, route.group_top, marks);
    float sum = 0;
    for (int64_t i = 0; i < size; ++i)
      if (marks[i])
        sum += of_group[i];
    sums[g] = sum;
    open[g] = 0;
  }
  take_largest(sums, route.groups, route.top_groups, open);
  for (int64_t i = 0; i < route.experts; ++i)
    taken[i] = !open[i / size];
}

} // namespace quern::micro

using namespace quern::micro;

QK_BEGIN
QK_OUTLINE void qk_route(const QkRoute *given) {
  const QkRoute route = *given;
  float *scores = route.numbers, *choice = route.numbers + route.experts;
  int32_t *taken = route.marks;
  for (int64_t i = 0; i < route.experts; ++i)
    scores[i] = route.logits[i];
  if (route.score == Softmax)
    softmax(scores, route.experts);
  if (route.score == Sigmoid)
    for (int64_t i = 0; i < route.experts; ++i)
      scores[i] = sigmoid(scores[i]);
  for (int64_t i = 0; i < route.experts; ++i) {
    choice[i] = route.bias ? scores[i] + route.bias[i] : scores[i];
    taken[i] = 0;
  }
  if (route.top_groups < route.groups) {
    close_groups(route, choice, taken);
    // Taken are those outside now: what is chosen becomes 2.
    for (int64_t i = 0; i < route.top_k; ++i) {
      int64_t best = -1;
      for (int64_t at = 0; at < route.experts; ++at)
        if (!taken[at] && (best < 0 || choice[at] > choice[best]))
          best = at;
      taken[best] = 2;
    }
  } else {
    take_largest(choice, route.experts, route.top_k, taken);
  }
  const int32_t mark = route.top_groups < route.groups ? 2 : 1;
  int64_t found = 0;
  for (int64_t i = 0; i < route.experts; ++i)
    if (taken[i] == mark) {
      route.ids[found] = static_cast<int32_t>(i);
      route.weights[found++] = scores[i];
    }
  if (route.score == Chosen)
    softmax(route.weights, route.top_k);
  if (route.normalize != 0) {
    float norm = 0;
    for (int64_t i = 0; i < route.top_k; ++i) {
      const float w = route.weights[i];
      norm += route.normalize == 2 ? w * w : w < 0 ? -w : w;
    }
    if (route.normalize == 2)
      norm = __builtin_sqrtf(norm);
    for (int64_t i = 0; i < route.top_k; ++i)
      route.weights[i] /= norm + route.eps;
  }
  for (int64_t i = 0; i < route.top_k; ++i)
    route.weights[i] *= route.scale;
}

QK_OUTLINE void qk_expert_blocks(const int32_t *ids, int64_t n, int64_t experts, int64_t height,
                                 int64_t *first) {
  for (int64_t e = 0; e <= experts; ++e)
    first[e] = 0;
  for (int64_t i = 0; i < n; ++i)
    ++first[ids[i]];
  int64_t blocks = 0;
  for (int64_t e = 0; e <= experts; ++e) {
    const int64_t here = (first[e] + height - 1) / height;
    first[e] = blocks;
    blocks += here;
  }
}

QK_OUTLINE int64_t qk_expert_of_block(const int64_t *first, int64_t experts, int64_t block) {
  int64_t low = 0, high = experts; // first[low] <= block < first[high]
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    if (first[middle] <= block)
      low = middle;
    else
      high = middle;
  }
  return low;
}

QK_OUTLINE int64_t qk_rows_of_expert(const int32_t *ids, int64_t n, int64_t expert, int64_t skip,
                                     int64_t most, int32_t *found) {
  int64_t seen = 0, count = 0;
  const auto wanted = static_cast<int32_t>(expert);
  int64_t i = 0;
  // Most runs of 16 have none.
  for (; i + 16 <= n && count < most; i += 16) {
    const auto equal = load<I32x16>(ids + i) == I32x16(wanted);
    if (!__builtin_reduce_or(equal))
      continue;
    for (int64_t at = i; at < i + 16 && count < most; ++at)
      if (ids[at] == wanted && seen++ >= skip)
        found[count++] = static_cast<int32_t>(at);
  }
  for (; i < n && count < most; ++i)
    if (ids[i] == wanted && seen++ >= skip)
      found[count++] = static_cast<int32_t>(i);
  return count;
}

QK_OUTLINE void qk_gather_rows(const void *rows, int64_t bytes, const int32_t *found, int64_t count,
                               int64_t share, uint8_t *to) {
  for (int64_t i = 0; i < count; ++i)
    __builtin_memcpy(to + i * bytes, bytes_of(rows) + found[i] / share * bytes,
                     static_cast<uint64_t>(bytes));
}
QK_END
