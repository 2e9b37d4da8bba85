#include "ir/formats/GroupSearch.h"

#include "ir/formats/Half.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace quern::formats {
namespace {

// Sums are kept in eight lanes, in a fixed order: fast on every machine and the same on every
// machine. (Plain loops over arrays were left scalar by the compiler and took twice the time.)
using Lanes = float __attribute__((ext_vector_type(8)));
constexpr int kLanes = 8;

Lanes load(const float *from) {
  Lanes lanes;
  __builtin_memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}

float total(Lanes lanes) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
         ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

/// The nearest code for each value: ties to even, clamped. Adding 1.5*2^23 leaves no room for a
/// fraction.
Lanes nearest_codes(Lanes values, float inverse_scale, float min, float lowest, float highest) {
  Lanes codes = (values - min) * inverse_scale;
  codes = codes < lowest ? Lanes(lowest) : codes;
  codes = codes > highest ? Lanes(highest) : codes;
  return (codes + 12582912.0f) - 12582912.0f;
}

float inverse(float scale) { return scale == 0 ? 0 : 1 / scale; }

/// The squared error of the nearest codes.
float squared_error(const float *values, int n, float scale, float min, float lowest,
                    float highest) {
  const float inverse_scale = inverse(scale);
  Lanes error = 0;
  for (int i = 0; i < n; i += kLanes) {
    const Lanes value = load(values + i);
    const Lanes difference =
        value - (scale * nearest_codes(value, inverse_scale, min, lowest, highest) + min);
    error += difference * difference;
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
    const float error = squared_error(values_, n_, rounded_scale, rounded_min, lowest_, highest_);
    if (!(error < best_))
      return false;
    best_ = error;
    fit_.scale = scale_bits;
    fit_.min = min_bits;
    return true;
  }

  /// Writes the codes of what was kept.
  void assign_codes() {
    const float scale = inverse(f16_to_f32(fit_.scale)), min = f16_to_f32(fit_.min);
    for (int i = 0; i < n_; i += kLanes) {
      const Lanes codes = nearest_codes(load(values_ + i), scale, min, lowest_, highest_);
      __builtin_memcpy(fit_.codes + i, &codes, sizeof(codes));
    }
  }

  /// The least-squares scale for the codes kept, without a min.
  bool refine_symmetric() {
    assign_codes();
    Lanes xq = 0, qq = 0;
    for (int i = 0; i < n_; i += kLanes) {
      const Lanes codes = load(fit_.codes + i);
      xq += load(values_ + i) * codes;
      qq += codes * codes;
    }
    const float denominator = total(qq);
    return denominator != 0 && consider(total(xq) / denominator, 0);
  }

  /// The least-squares scale and min for the codes kept.
  bool refine_asymmetric() {
    assign_codes();
    Lanes x = 0, q = 0, xq = 0, qq = 0;
    for (int i = 0; i < n_; i += kLanes) {
      const Lanes values = load(values_ + i), codes = load(fit_.codes + i);
      x += values;
      q += codes;
      xq += values * codes;
      qq += codes * codes;
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
  search.assign_codes();
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
  search.assign_codes();
}

} // namespace quern::formats
