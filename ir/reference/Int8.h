// Numbers as int8 codes and a scale give them back.
#ifndef QUERN_IR_REFERENCE_INT8_H
#define QUERN_IR_REFERENCE_INT8_H

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace quern::reference {

template <class S> S largest_magnitude(const S *x, int64_t n) {
  S largest = 0;
  for (int64_t i = 0; i < n; ++i)
    largest = std::max(largest, std::abs(x[i]));
  return largest;
}

/// Replaces x[0..n), which share a scale of largest/127, by what their codes stand for.
template <class S> void round_to_int8(S *x, int64_t n, S largest) {
  if (largest == 0)
    return;
  const S scale = largest / S(127), inverse = S(127) / largest;
  for (int64_t i = 0; i < n; ++i)
    x[i] = scale * std::nearbyint(x[i] * inverse); // the default mode rounds half to even
}

/// The same of a pair of groups of 16, x[0..n) with n <= 32: the group with the smaller numbers has
/// the other's scale halved as often as they can be doubled, four times at most.
template <class S> void round_pair_to_int8(S *x, int64_t n) {
  constexpr int64_t kGroup = 16;
  const int64_t counts[2] = {std::min(n, kGroup), std::max<int64_t>(n - kGroup, 0)};
  S of_group[2] = {largest_magnitude(x, counts[0]), largest_magnitude(x + kGroup, counts[1])};
  S &smaller = of_group[of_group[0] < of_group[1] ? 0 : 1];
  const S largest = std::max(of_group[0], of_group[1]);
  int doublings = 0;
  while (doublings < 4 && smaller < largest && std::ldexp(smaller, doublings + 1) <= largest)
    ++doublings;
  smaller = std::ldexp(largest, -doublings);
  for (int group = 0; group < 2; ++group)
    round_to_int8(x + kGroup * group, counts[group], of_group[group]);
}

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_INT8_H
