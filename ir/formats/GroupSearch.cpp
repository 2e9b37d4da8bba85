#include "ir/formats/GroupSearch.h"

#include "ir/formats/Half.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace quern::formats {
namespace {

// Sums are kept in eight lanes: a fixed order that compilers can still vectorize.
constexpr int kLanes = 8;

float total(const float (&lanes)[kLanes]) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
         ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

/// Rounds to the nearest integer, ties to even, |x| < 2^22: adding 1.5*2^23 leaves no room for a
/// fraction.
float round_even(float x) { return (x + 12582912.0f) - 12582912.0f; }

/// Writes the nearest codes for `scale` and `min`; returns the squared error.
float assign_codes(const float *values, int n, float scale, float min, float lowest, float highest,
                   float *codes) {
  const float inverse = scale == 0 ? 0 : 1 / scale;
  float error[kLanes] = {};
  for (int i = 0; i < n; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const float value = values[i + lane];
      float code = (value - min) * inverse;
      code = code < lowest ? lowest : code;
      code = code > highest ? highest : code;
      code = round_even(code);
      codes[i + lane] = code;
      const float difference = value - (scale * code + min);
      error[lane] += difference * difference;
    }
  }
  return total(error);
}

/// Tries f16-rounded `scale` and `min`, and keeps them in `fit` if they beat `best`.
class Search {
public:
  Search(const float *values, int n, float lowest, float highest, GroupFit &fit)
      : values_(values), n_(n), lowest_(lowest), highest_(highest), fit_(fit) {}

  bool consider(float scale, float min) {
    const uint16_t scale_bits = f32_to_f16(scale);
    const uint16_t min_bits = f32_to_f16(min);
    const float rounded_scale = f16_to_f32(scale_bits);
    const float rounded_min = f16_to_f32(min_bits);
    if (!std::isfinite(rounded_scale) || !std::isfinite(rounded_min))
      return false;
    float codes[kMaxGroup];
    const float error =
        assign_codes(values_, n_, rounded_scale, rounded_min, lowest_, highest_, codes);
    if (!(error < best_))
      return false;
    best_ = error;
    fit_.scale = scale_bits;
    fit_.min = min_bits;
    std::copy_n(codes, n_, fit_.codes);
    return true;
  }

  /// The least-squares scale for the codes kept, without a min.
  bool refine_symmetric() {
    float xq[kLanes] = {}, qq[kLanes] = {};
    for (int i = 0; i < n_; i += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) {
        const float code = fit_.codes[i + lane];
        xq[lane] += values_[i + lane] * code;
        qq[lane] += code * code;
      }
    }
    const float denominator = total(qq);
    return denominator != 0 && consider(total(xq) / denominator, 0);
  }

  /// The least-squares scale and min for the codes kept.
  bool refine_asymmetric() {
    float x[kLanes] = {}, q[kLanes] = {}, xq[kLanes] = {}, qq[kLanes] = {};
    for (int i = 0; i < n_; i += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) {
        const float value = values_[i + lane];
        const float code = fit_.codes[i + lane];
        x[lane] += value;
        q[lane] += code;
        xq[lane] += value * code;
        qq[lane] += code * code;
      }
    }
    const double count = n_, sum_x = total(x), sum_q = total(q);
    const double determinant = count * total(qq) - sum_q * sum_q;
    if (determinant == 0)
      return false;
    const double scale = (count * total(xq) - sum_q * sum_x) / determinant;
    const double min = (sum_x - scale * sum_q) / count;
    return consider(static_cast<float>(scale), static_cast<float>(min));
  }

private:
  const float *values_;
  int n_;
  float lowest_, highest_;
  GroupFit &fit_;
  float best_ = std::numeric_limits<float>::infinity();
};

// The largest magnitude is mapped onto the last code, give or take `kReach` steps of `kStep` codes.
// On normally distributed weights a grid twice as fine or twice as wide gains at most 1 % of the
// error.
constexpr int kReach = 5;
constexpr float kStep = 0.2f;
constexpr int kRefinements = 2;

} // namespace

void fit_symmetric(const float *values, int n, int lowest, int highest, GroupFit &fit) {
  float extreme = 0;
  for (int i = 0; i < n; ++i)
    extreme = std::fabs(values[i]) > std::fabs(extreme) ? values[i] : extreme;
  Search search(values, n, static_cast<float>(lowest), static_cast<float>(highest), fit);
  // Both signs: the extreme on the lowest code, or on the highest. If they mirror each other, one
  // will do.
  for (const int end : {lowest, highest}) {
    if (end == highest && highest == -lowest)
      break;
    for (int step = -kReach; step <= kReach; ++step)
      search.consider(extreme / (static_cast<float>(end) + kStep * static_cast<float>(step)), 0);
  }
  for (int i = 0; i < kRefinements && search.refine_symmetric(); ++i) {
  }
}

void fit_asymmetric(const float *values, int n, int highest, GroupFit &fit) {
  float low = values[0], high = values[0];
  for (int i = 1; i < n; ++i) {
    low = std::min(low, values[i]);
    high = std::max(high, values[i]);
  }
  Search search(values, n, 0, static_cast<float>(highest), fit);
  for (int step = -kReach; step <= kReach; ++step) {
    const float steps = static_cast<float>(highest) + kStep * static_cast<float>(step);
    const float scale = (high - low) / steps;
    // The range stays centred: what is cut off, or to spare, is the same at both ends.
    const float min = (high + low) / 2 - scale * static_cast<float>(highest) / 2;
    if (search.consider(scale, min))
      search.refine_asymmetric();
  }
  for (int i = 0; i < kRefinements && search.refine_asymmetric(); ++i) {
  }
}

} // namespace quern::formats
