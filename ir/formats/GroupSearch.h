// The search behind Quern's own integer formats: the scale (and min) of groups, by least squared
// error; as f16, or as bytes that are factors of a row's.
//
// All errors of a weight count alike: without data there is no telling which inputs matter.
//
// Ideas from the literature on round-to-nearest quantization: scaling the largest magnitude exactly
// onto the last code is not what minimizes the error, so a small grid of scales around it is tried,
// and the best is refined by least squares for its own codes. Eight groups are searched at a time;
// everything is float32 arithmetic in a fixed order, so the result is the same on every machine and
// for a group among any others.
#ifndef QUERN_IR_FORMATS_GROUPSEARCH_H
#define QUERN_IR_FORMATS_GROUPSEARCH_H

#include "ir/formats/Format.h"

#include <cstdint>

namespace quern::formats {

/// The longest group, in elements.
inline constexpr int kMaxGroup = 128;
/// What a group's scale and min may not exceed in magnitude: they are f16.
inline constexpr float kMaxF16 = 65504.0f;
/// How many groups are searched at a time.
inline constexpr int kLanes = 8;

/// A number for each of eight groups.
struct alignas(32) Octet {
  float of[kLanes];
};

/// What eight groups are stored as: value = scale*q + min.
struct GroupFits {
  uint16_t scale[kLanes]; ///< f16 bits; may be negative
  uint16_t min[kLanes];   ///< f16 bits; 0 if symmetric
  Octet codes[kMaxGroup]; ///< integers, lowest..highest
};

/// Fits value = scale*q with q in lowest..highest (lowest < 0 < highest) to eight groups: element i
/// of all of them is `values[i]`, i < n, finite and at most kMaxF16 * highest in magnitude.
void fit_symmetric(const Octet *values, int n, int lowest, int highest, GroupFits &fits);

/// Fits value = scale*q + min with q in 0..highest; values are finite and at most kMaxF16 in
/// magnitude.
void fit_asymmetric(const Octet *values, int n, int highest, GroupFits &fits);

/// The real scales and mins, min <= 0, for value = scale*q + min with q in 0..highest.
struct GroupRanges {
  Octet scale, min;
};
void fit_ranges(const Octet *values, int n, int highest, GroupRanges &ranges);

/// Groups whose scale and min are bytes: value = (super.scale*scale)*q - super.min*min.
struct ByteFits {
  Octet scale, min; ///< integers, 0..255
  // With codes that are nearly their nearest: the squared error, and sums over each group, which a
  // row's super-scales follow from.
  Octet error, q, qq, x, xq;
};
/// The best bytes around those nearest to the ranges.
void fit_bytes(const Octet *values, int n, int highest, SuperScales super,
               const GroupRanges &ranges, ByteFits &fits);

/// The codes 0..highest nearest to the values, as floats.
void nearest_codes(const Octet *values, int n, int highest, SuperScales super, const ByteFits &fits,
                   Octet *codes);

/// The scales that fit_e2m1 chooses among, 2^(byte - 127): with those below, a scale's inverse is
/// no float; with those above, a value is none.
inline constexpr int kLeastE8M0 = 2, kMostE8M0 = 252;

/// What eight groups of E2M1 are stored as: value = 2^(scale - 128) * doubled.
struct E2M1Fits {
  uint8_t scale[kLanes];
  Octet doubled[32]; ///< integers, of -12..12 those that the codebook has
};
/// The power of two with the least squared error around that which the largest magnitude asks for.
/// Values are finite, n is 32 at most.
void fit_e2m1(const Octet *values, int n, E2M1Fits &fits);

} // namespace quern::formats

#endif // QUERN_IR_FORMATS_GROUPSEARCH_H
