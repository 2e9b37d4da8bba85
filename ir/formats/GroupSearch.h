// The search behind Quern's own integer formats: the f16 scale (and min) of one group, by least
// squared error.
//
// Ideas from the literature on round-to-nearest quantization: scaling the largest magnitude exactly
// onto the last code is not what minimizes the error, so a small grid of scales around it is tried,
// each as f16 will hold it, and the best is refined by least squares for its own codes. Everything
// is float32 arithmetic in a fixed order, so the result is the same on every machine.
#ifndef QUERN_IR_FORMATS_GROUPSEARCH_H
#define QUERN_IR_FORMATS_GROUPSEARCH_H

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

} // namespace quern::formats

#endif // QUERN_IR_FORMATS_GROUPSEARCH_H
