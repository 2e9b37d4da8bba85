// Arithmetic on eight groups at once, one a lane of a vector: what the searches of GroupSearch.h
// and TwoLevelSearch.cpp are written in.
//
// No sum crosses lanes, so a group's result depends on its own values alone, and every decision is
// a select. (With a group's values along the lanes, sums were added up across them for every four
// vectors of work, and the same searches took three times as long.)
#ifndef QUERN_IR_FORMATS_GROUPLANES_H
#define QUERN_IR_FORMATS_GROUPLANES_H

#include "ir/formats/GroupSearch.h"

#include <cstdint>
#include <limits>

// What is searched with eight lanes in a register is three times as fast: functions marked so are
// compiled for that too, and with them all that they call.
#define QUERN_SEARCH __attribute__((target_clones("avx2", "default")))
#define QUERN_INLINE __attribute__((always_inline)) inline

namespace quern::formats {

using Lanes = float __attribute__((ext_vector_type(kLanes)));
using IntLanes = int32_t __attribute__((ext_vector_type(kLanes)));

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

QUERN_INLINE Lanes load(const Octet &octet) {
  Lanes lanes;
  __builtin_memcpy(&lanes, octet.of, sizeof(lanes));
  return lanes;
}
QUERN_INLINE void store(Lanes lanes, Octet &octet) {
  __builtin_memcpy(octet.of, &lanes, sizeof(lanes));
}

QUERN_INLINE Lanes least(Lanes a, Lanes b) { return a < b ? a : b; }
QUERN_INLINE Lanes most(Lanes a, Lanes b) { return a > b ? a : b; }
QUERN_INLINE Lanes magnitude(Lanes x) { return most(x, -x); }

/// The nearest integer, ties to even, for magnitudes below 2^22: 1.5*2^23 leaves no room for a
/// fraction.
QUERN_INLINE Lanes rounded(Lanes x) { return (x + 12582912.0f) - 12582912.0f; }

/// 1/x; 0 for an x too small to be divided by.
QUERN_INLINE Lanes inverse(Lanes x) { return magnitude(x) < 1e-30f ? Lanes(0) : 1 / x; }

/// The codes that there are.
struct CodeRange {
  float lowest, highest;
};

/// What codes stand for: scale*q + min.
struct Levels {
  Lanes scale, min;

  /// These where `condition`, `others` elsewhere.
  QUERN_INLINE Levels where(IntLanes condition, const Levels &others) const {
    return {condition ? scale : others.scale, condition ? min : others.min};
  }
};

/// The nearest codes; `inverse_scale` is inverse(levels.scale).
QUERN_INLINE Lanes nearest(Lanes values, Lanes inverse_scale, Lanes min, CodeRange range) {
  const Lanes codes = (values - min) * inverse_scale;
  return rounded(least(most(codes, Lanes(range.lowest)), Lanes(range.highest)));
}

/// Writes the nearest codes.
QUERN_INLINE void put_nearest(const Octet *values, int n, Levels levels, CodeRange range,
                              Octet *codes) {
  const Lanes inverse_scale = inverse(levels.scale);
  for (int i = 0; i < n; ++i)
    store(nearest(load(values[i]), inverse_scale, levels.min, range), codes[i]);
}

/// The squared error of the nearest codes.
QUERN_INLINE Lanes squared_error(const Octet *values, int n, Levels levels, CodeRange range) {
  const Lanes inverse_scale = inverse(levels.scale);
  Lanes error = 0;
  for (int i = 0; i < n; ++i) {
    const Lanes value = load(values[i]);
    const Lanes code = nearest(value, inverse_scale, levels.min, range);
    const Lanes difference = value - (levels.scale * code + levels.min);
    error += difference * difference;
  }
  return error;
}

/// Sums over each group's values x.
struct Moments {
  float n;
  Lanes x, xx;
};

QUERN_INLINE Moments moments_of(const Octet *values, int n) {
  Moments sums{static_cast<float>(n), 0, 0};
  for (int i = 0; i < n; ++i) {
    const Lanes value = load(values[i]);
    sums.x += value;
    sums.xx += value * value;
  }
  return sums;
}

/// Sums over each group's codes q, and values x.
struct CodeSums {
  Lanes q, qq, xq;
};

/// The sums for the nearest codes.
QUERN_INLINE CodeSums sums_of(const Octet *values, int n, Levels levels, CodeRange range) {
  const Lanes inverse_scale = inverse(levels.scale);
  CodeSums sums{0, 0, 0};
  for (int i = 0; i < n; ++i) {
    const Lanes value = load(values[i]);
    const Lanes code = nearest(value, inverse_scale, levels.min, range);
    sums.q += code;
    sums.qq += code * code;
    sums.xq += value * code;
  }
  return sums;
}

/// The least-squares scale and min for the codes; those given where all codes are the same.
QUERN_INLINE Levels least_squares(const Moments &moments, const CodeSums &sums, Levels otherwise) {
  const Lanes determinant = moments.n * sums.qq - sums.q * sums.q;
  const Lanes scale = (moments.n * sums.xq - sums.q * moments.x) / determinant;
  const Lanes min = (moments.x - scale * sums.q) / moments.n;
  return Levels{scale, min}.where(determinant > 0, otherwise);
}

/// The squared error of any scale and min with these codes, from the sums. What cancels out leaves
/// noise of 1e-6 of the values' energy: enough to compare fits of 4 bits, whose error is 5e-3 of
/// it, not of 8.
QUERN_INLINE Lanes squared_error(const Moments &moments, const CodeSums &sums, Levels levels) {
  const Lanes scale = levels.scale, min = levels.min;
  return (moments.xx - 2 * (scale * sums.xq + min * moments.x)) +
         (scale * (scale * sums.qq + 2 * min * sums.q) + moments.n * min * min);
}

} // namespace quern::formats

#endif // QUERN_IR_FORMATS_GROUPLANES_H
