// Exponents of blocks of E2M1: scales that are powers of two leave nothing to fit, so the few there
// are near the largest magnitude are tried.
#include "ir/formats/GroupLanes.h"
#include "ir/formats/GroupSearch.h"

#include <algorithm>
#include <cmath>

namespace quern::formats {
namespace {

/// The steps of a doubled E2M1 are 1 up to 4, 2 up to 8 and 4 up to 12, its largest.
constexpr float kLargest = 12;

/// The nearest magnitudes, doubled, ties to even.
QUERN_INLINE Lanes nearest_magnitude(Lanes x) {
  const Lanes step = x < 4 ? Lanes(1) : x < 8 ? Lanes(2) : Lanes(4);
  const Lanes inverse = x < 4 ? Lanes(1) : x < 8 ? Lanes(0.5f) : Lanes(0.25f);
  // Beyond the largest, before it is rounded: magnitudes below 2^22 alone round right.
  return least(rounded(least(x, Lanes(kLargest + 1)) * inverse) * step, Lanes(kLargest));
}

QUERN_INLINE Lanes error_of(const Octet *values, int n, Lanes inverse) {
  Lanes error = 0;
  for (int i = 0; i < n; ++i) {
    const Lanes x = magnitude(load(values[i])) * inverse;
    const Lanes difference = x - nearest_magnitude(x);
    error += difference * difference;
  }
  return error;
}

QUERN_INLINE void search(const Octet *values, int n, E2M1Fits &fits) {
  Octet largest;
  Lanes most_of = 0;
  for (int i = 0; i < n; ++i)
    most_of = most(most_of, magnitude(load(values[i])));
  store(most_of, largest);
  int near[kLanes];
  for (int lane = 0; lane < kLanes; ++lane)
    near[lane] = largest.of[lane] == 0 ? kLeastE8M0 : std::ilogb(largest.of[lane]) + 127 - 2;
  float best_error[kLanes];
  Octet best_inverse;
  // With `near` the largest is 4 to 8, of which 6 is the last code: rounded down to it, or with a
  // step more up; a step less cuts off more, and is right where all else is small.
  for (int step = -1; step <= 1; ++step) {
    Octet inverse;
    float weight[kLanes]; // of errors, which are in steps of the scale
    int byte[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) {
      byte[lane] = std::clamp(near[lane] + step, kLeastE8M0, kMostE8M0);
      inverse.of[lane] = std::ldexp(1.0f, 128 - byte[lane]);
      weight[lane] = std::ldexp(1.0f, 2 * (byte[lane] - std::max(near[lane], kLeastE8M0)));
    }
    Octet error;
    store(error_of(values, n, load(inverse)), error);
    for (int lane = 0; lane < kLanes; ++lane) {
      const float weighed = error.of[lane] * weight[lane];
      if (step != -1 && !(weighed < best_error[lane]))
        continue;
      best_error[lane] = weighed;
      best_inverse.of[lane] = inverse.of[lane];
      fits.scale[lane] = static_cast<uint8_t>(byte[lane]);
    }
  }
  const Lanes inverse = load(best_inverse);
  for (int i = 0; i < n; ++i) {
    const Lanes x = load(values[i]) * inverse, size = nearest_magnitude(magnitude(x));
    store(x < 0 ? -size : size, fits.doubled[i]);
  }
}

} // namespace

QUERN_SEARCH void fit_e2m1(const Octet *values, int n, E2M1Fits &fits) { search(values, n, fits); }

} // namespace quern::formats
