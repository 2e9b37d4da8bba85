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

// What is searched with eight lanes in a register is three times as fast: the functions below are
// compiled for that too, and with them all that they call.
#define QUERN_SEARCH __attribute__((target_clones("avx2", "default")))
#define QUERN_INLINE __attribute__((always_inline)) inline

QUERN_INLINE Lanes load(const float *from) {
  Lanes lanes;
  __builtin_memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}

QUERN_INLINE float total(Lanes lanes) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
         ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

/// The nearest code for each value: ties to even, clamped. Adding 1.5*2^23 leaves no room for a
/// fraction.
QUERN_INLINE Lanes nearest_codes(Lanes values, float inverse_scale, float min, float lowest,
                                 float highest) {
  Lanes codes = (values - min) * inverse_scale;
  codes = codes < lowest ? Lanes(lowest) : codes;
  codes = codes > highest ? Lanes(highest) : codes;
  return (codes + 12582912.0f) - 12582912.0f;
}

/// A scale too small to be divided by is none.
QUERN_INLINE float inverse(float scale) {
  return scale < 1e-30f && scale > -1e-30f ? 0 : 1 / scale;
}

QUERN_INLINE void put_codes(const float *values, int n, float scale, float min, float lowest,
                            float highest, float *codes) {
  const float inverse_scale = inverse(scale);
  for (int i = 0; i < n; i += kLanes) {
    const Lanes nearest = nearest_codes(load(values + i), inverse_scale, min, lowest, highest);
    __builtin_memcpy(codes + i, &nearest, sizeof(nearest));
  }
}

/// The squared error of the nearest codes.
QUERN_INLINE float squared_error(const float *values, int n, float scale, float min, float lowest,
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

/// Sums over a group's values x and its codes q.
struct Sums {
  float x, q, xq, qq;
};

QUERN_INLINE Sums sums_of(const float *values, int n, float scale, float min, float lowest,
                          float highest) {
  const float inverse_scale = inverse(scale);
  Lanes x = 0, q = 0, xq = 0, qq = 0;
  for (int i = 0; i < n; i += kLanes) {
    const Lanes value = load(values + i);
    const Lanes code = nearest_codes(value, inverse_scale, min, lowest, highest);
    x += value;
    q += code;
    xq += value * code;
    qq += code * code;
  }
  return {total(x), total(q), total(xq), total(qq)};
}

/// The least-squares scale and min for given codes; false if they are all the same.
QUERN_INLINE bool least_squares(const Sums &sums, int n, float &scale, float &min) {
  const double count = n, determinant = count * sums.qq - double{sums.q} * sums.q;
  if (determinant == 0)
    return false;
  const double slope = (count * sums.xq - double{sums.q} * sums.x) / determinant;
  scale = static_cast<float>(slope);
  min = static_cast<float>((sums.x - slope * sums.q) / count);
  return true;
}

/// Tries f16-rounded `scale` and `min`, and keeps them in `fit` if they beat `best`.
class Search {
public:
  QUERN_INLINE Search(const float *values, int n, float lowest, float highest, GroupFit &fit)
      : values_(values), n_(n), lowest_(lowest), highest_(highest), fit_(fit) {}

  QUERN_INLINE bool consider(float scale, float min) {
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
  QUERN_INLINE void assign_codes() {
    put_codes(values_, n_, f16_to_f32(fit_.scale), f16_to_f32(fit_.min), lowest_, highest_,
              fit_.codes);
  }

  /// The least-squares scale for the codes kept, without a min.
  QUERN_INLINE bool refine_symmetric() {
    const Sums sums = sums_of(values_, n_, f16_to_f32(fit_.scale), 0, lowest_, highest_);
    return sums.qq != 0 && consider(sums.xq / sums.qq, 0);
  }

  /// The least-squares scale and min for the codes kept.
  QUERN_INLINE bool refine_asymmetric() {
    float scale, min;
    return least_squares(sums_of(values_, n_, f16_to_f32(fit_.scale), f16_to_f32(fit_.min), lowest_,
                                 highest_),
                         n_, scale, min) &&
           consider(scale, min);
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

QUERN_SEARCH void fit_symmetric(const float *values, int n, int lowest, int highest,
                                GroupFit &fit) {
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

QUERN_SEARCH void fit_asymmetric(const float *values, int n, int highest, GroupFit &fit) {
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

namespace {
// Of a range: steps of the scale, each refined twice by least squares, and the best once more
// twice. On a float encoder's weights, error against that of a grid of 11 with steps of 0.2: the
// same with these 7, 2 % more if each is refined once, 5 % more if none is.
constexpr int kRangeFirst = -4, kRangeLast = 2;
constexpr float kRangeStep = 0.75f;

/// Keeps the better of ranges.
struct RangeSearch {
  const float *values;
  int n;
  float highest;
  GroupRange best;
  float error = std::numeric_limits<float>::infinity();

  QUERN_INLINE void consider(GroupRange range) {
    if (!(range.scale >= 0) || !(range.min <= 0))
      return;
    const float e = squared_error(values, n, range.scale, range.min, 0, highest);
    if (e < error) {
      error = e;
      best = range;
    }
  }
  /// `range`, and what least squares makes of its codes, and of theirs.
  QUERN_INLINE void refine(GroupRange range) {
    for (int i = 0; i < kRefinements; ++i) {
      if (!least_squares(sums_of(values, n, range.scale, range.min, 0, highest), n, range.scale,
                         range.min))
        return;
      range.min = std::min(range.min, 0.0f);
      consider(range);
    }
  }
};
} // namespace

QUERN_SEARCH GroupRange fit_range(const float *values, int n, int highest) {
  float low = 0, high = values[0];
  for (int i = 0; i < n; ++i) {
    low = std::min(low, values[i]);
    high = std::max(high, values[i]);
  }
  RangeSearch search{values, n, static_cast<float>(highest), {}};
  for (int step = kRangeFirst; step <= kRangeLast; ++step) {
    const float scale = (high - low) / (search.highest + kRangeStep * static_cast<float>(step));
    const GroupRange range{scale, std::min((high + low) / 2 - scale * search.highest / 2, 0.0f)};
    search.consider(range);
    search.refine(range);
  }
  search.refine(search.best);
  return search.best;
}

QUERN_SEARCH ByteFit fit_bytes(const float *values, int n, int highest, SuperScales super,
                               const ByteFit &near) {
  const auto most = static_cast<float>(highest);
  ByteFit best;
  best.error = std::numeric_limits<float>::infinity();
  for (int scale = std::max(near.scale - 1, 0); scale <= std::min(near.scale + 1, 255); ++scale)
    for (int min = std::max(near.min - 1, 0); min <= std::min(near.min + 1, 255); ++min) {
      const float error = squared_error(values, n, super.scale * static_cast<float>(scale),
                                        -(super.min * static_cast<float>(min)), 0, most);
      if (error < best.error) {
        best.scale = scale;
        best.min = min;
        best.error = error;
      }
    }
  const Sums sums = sums_of(values, n, super.scale * static_cast<float>(best.scale),
                            -(super.min * static_cast<float>(best.min)), 0, most);
  best.q = sums.q;
  best.qq = sums.qq;
  best.x = sums.x;
  best.xq = sums.xq;
  return best;
}

QUERN_SEARCH void nearest_codes(const float *values, int n, float scale, float min, int highest,
                                float *codes) {
  put_codes(values, n, scale, min, 0, static_cast<float>(highest), codes);
}

} // namespace quern::formats
