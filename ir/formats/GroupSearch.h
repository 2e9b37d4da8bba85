// The search behind Quern's own integer formats: the scale (and min) of one group, by least squared
// error; as f16, or as bytes that are factors of a row's.
//
// All errors of a weight count alike: without data there is no telling which inputs matter.
//
// Ideas from the literature on round-to-nearest quantization: scaling the largest magnitude exactly
// onto the last code is not what minimizes the error, so a small grid of scales around it is tried,
// each as f16 will hold it, and the best is refined by least squares for its own codes. Everything
// is float32 arithmetic in a fixed order, so the result is the same on every machine.
#ifndef QUERN_IR_FORMATS_GROUPSEARCH_H
#define QUERN_IR_FORMATS_GROUPSEARCH_H

#include "ir/formats/Format.h"

#include <cstdint>

namespace quern::formats {

/// The longest group, in elements. Groups are multiples of 8.
inline constexpr int kMaxGroup = 128;
/// What a group's values may not exceed in magnitude: scales and mins are f16.
inline constexpr float kMaxGroupValue = 65504.0f;

/// What a group is stored as: value = scale*q + min.
struct GroupFit {
  uint16_t scale = 0;          ///< f16 bits; may be negative
  uint16_t min = 0;            ///< f16 bits; 0 if symmetric
  float codes[kMaxGroup] = {}; ///< integers, lowest..highest
};

/// Fits value = scale*q with q in lowest..highest (lowest < 0 < highest) to `values[0..n)`, finite
/// and at most kMaxGroupValue in magnitude.
void fit_symmetric(const float *values, int n, int lowest, int highest, GroupFit &fit);

/// Fits value = scale*q + min with q in 0..highest.
void fit_asymmetric(const float *values, int n, int highest, GroupFit &fit);

/// The real scale and min, min <= 0, for value = scale*q + min with q in 0..highest.
struct GroupRange {
  float scale = 0, min = 0;
};
GroupRange fit_range(const float *values, int n, int highest);

/// A group whose scale and min are bytes: value = (super.scale*scale)*q - super.min*min.
struct ByteFit {
  int scale = 0, min = 0;
  float error = 0; ///< squared, with the nearest codes
  // Sums over the group with these codes: what a row's super-scales follow from.
  float q = 0, qq = 0, x = 0, xq = 0;
};
/// The best bytes of those within one of `near`'s, and the sums for them.
ByteFit fit_bytes(const float *values, int n, int highest, SuperScales super, const ByteFit &near);

/// The codes 0..highest nearest to the values, as floats.
void nearest_codes(const float *values, int n, float scale, float min, int highest, float *codes);

} // namespace quern::formats

#endif // QUERN_IR_FORMATS_GROUPSEARCH_H
