// Numbers as int8 codes and a scale give them back.
#ifndef QUERN_IR_REFERENCE_INT8_H
#define QUERN_IR_REFERENCE_INT8_H

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace quern::reference {

/// Replaces x[0..n), which share a scale of amax/127, by what their codes stand for.
template <class S> void round_to_int8(S *x, int64_t n) {
  S largest = 0;
  for (int64_t i = 0; i < n; ++i)
    largest = std::max(largest, std::abs(x[i]));
  if (largest == 0)
    return;
  const S scale = largest / S(127), inverse = S(127) / largest;
  for (int64_t i = 0; i < n; ++i)
    x[i] = scale * std::nearbyint(x[i] * inverse); // the default mode rounds half to even
}

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_INT8_H
