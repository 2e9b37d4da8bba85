// Scales and mins in f16.
#include "ir/formats/GroupSearch.h"

#include "ir/formats/Half.h"
#include "ir/formats/RangeSearch.h"

namespace quern::formats {
namespace {

/// As an f16 holds it, below 65520 in magnitude; what is larger stays beyond kMaxF16.
QUERN_INLINE Lanes as_f16(Lanes x) {
  IntLanes bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  bits = (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fff;
  Lanes normal;
  __builtin_memcpy(&normal, &bits, sizeof(bits));
  // Below 2^-14 the steps are 2^-24, as float32's are from 0.5 to 1.
  const Lanes subnormal = (x + 0.75f) - 0.75f;
  return magnitude(x) < 0x1p-14f ? subnormal : normal;
}

// The largest magnitude is mapped onto the last code, give or take `kReach` steps of `kStep` codes.
// On normally distributed weights a grid twice as fine or twice as wide gains at most 1 % of the
// error.
constexpr int kReach = 5;
constexpr float kStep = 0.2f;
constexpr int kRefinements = 2;

/// Keeps the best of the scales and mins that it considers.
class Search {
public:
  QUERN_INLINE Search(const Octet *values, int n, int lowest, int highest)
      : values_(values), n_(n), range_{static_cast<float>(lowest), static_cast<float>(highest)} {}

  QUERN_INLINE void symmetric() {
    Lanes extreme = 0;
    for (int i = 0; i < n_; ++i) {
      const Lanes value = load(values_[i]);
      extreme = magnitude(value) > magnitude(extreme) ? value : extreme;
    }
    // Both signs: the extreme on the lowest code, or on the highest. If they mirror each other, one
    // will do.
    const int ends = range_.highest == -range_.lowest ? 1 : 2;
    for (int end = 0; end < ends; ++end)
      for (int step = -kReach; step <= kReach; ++step)
        consider({extreme / ((end == 0 ? range_.lowest : range_.highest) +
                             kStep * static_cast<float>(step)),
                  0});
    for (int i = 0; i < kRefinements; ++i) {
      const CodeSums sums = sums_of(values_, n_, best_, range_);
      consider({sums.qq > 0 ? sums.xq / sums.qq : best_.scale, 0});
    }
  }

  QUERN_INLINE void asymmetric() {
    // Around their middle, values may lie far from zero and float32's sums still tell them apart.
    Lanes low = load(values_[0]), high = low;
    for (int i = 1; i < n_; ++i) {
      low = least(low, load(values_[i]));
      high = most(high, load(values_[i]));
    }
    const Lanes middle = (low + high) / 2;
    Octet centred[kMaxGroup];
    for (int i = 0; i < n_; ++i)
      store(load(values_[i]) - middle, centred[i]);
    RangeSearch search(centred, n_, static_cast<int>(range_.highest), kInfinity);
    const Levels range = search.run();
    consider({range.scale, range.min + middle});
    for (int i = 0; i < kRefinements; ++i) {
      const Levels levels = {best_.scale, best_.min - middle};
      const Levels fit = search.fit_to(sums_of(centred, n_, levels, range_), levels);
      consider({fit.scale, fit.min + middle});
    }
  }

  QUERN_INLINE void put(GroupFits &fits) const {
    for (int group = 0; group < kLanes; ++group) {
      fits.scale[group] = f32_to_f16(best_.scale[group]);
      fits.min[group] = f32_to_f16(best_.min[group]);
    }
    put_nearest(values_, n_, best_, range_, fits.codes);
  }

private:
  /// What f16 makes of `levels`: a scale that is smaller than any becomes the smallest, with which
  /// fewer codes are used; zero would leave nothing.
  QUERN_INLINE void consider(Levels levels) {
    const Lanes scale = as_f16(levels.scale);
    const Lanes smallest = levels.scale < 0 ? Lanes(-0x1p-24f) : Lanes(0x1p-24f);
    const IntLanes lost = (scale == 0) & (levels.scale != 0);
    levels = {lost ? smallest : scale, as_f16(levels.min)};
    const Lanes error = squared_error(values_, n_, levels, range_);
    const IntLanes better = (error < error_) & (magnitude(levels.scale) <= kMaxF16) &
                            (magnitude(levels.min) <= kMaxF16);
    error_ = better ? error : error_;
    best_ = levels.where(better, best_);
  }

  const Octet *values_;
  int n_;
  CodeRange range_;
  Levels best_{0, 0};
  Lanes error_ = kInfinity;
};

} // namespace

QUERN_SEARCH void fit_symmetric(const Octet *values, int n, int lowest, int highest,
                                GroupFits &fits) {
  Search search(values, n, lowest, highest);
  search.symmetric();
  search.put(fits);
}

QUERN_SEARCH void fit_asymmetric(const Octet *values, int n, int highest, GroupFits &fits) {
  Search search(values, n, 0, highest);
  search.asymmetric();
  search.put(fits);
}

} // namespace quern::formats
