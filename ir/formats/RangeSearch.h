// The real scales and mins of eight groups, by least squared error.
//
// Codes follow from a range as the nearest ones, a range from codes by least squares, and going
// back and forth between the two ends where neither changes the other, which is mostly too early:
// a step of least squares moves few codes. Steps kRelaxation times as long pass over such places.
// Every range on the way is considered, so a step too far costs nothing.
//
// Error of int4 on normally distributed weights, of what 7 starts of 2 plain rounds left, each
// round's range tried with its own nearest codes (39 passes over the values): 0.979 with the 12
// passes below, 1.004 with 16 of plain steps, 0.987 with 3 starts of 3 rounds of 3 times the step,
// 0.998 with one start of 6 rounds, 0.973 with 3 of 5.
#ifndef QUERN_IR_FORMATS_RANGESEARCH_H
#define QUERN_IR_FORMATS_RANGESEARCH_H

#include "ir/formats/GroupLanes.h"

namespace quern::formats {

/// Looks for the range with the least squared error.
class RangeSearch {
public:
  /// For codes 0..`highest`; mins are `most_min` at most.
  QUERN_INLINE RangeSearch(const Octet *values, int n, int highest, float most_min)
      : values_(values), n_(n), range_{0, static_cast<float>(highest)}, most_min_(most_min),
        moments_(moments_of(values, n)) {}

  QUERN_INLINE Levels run() {
    Lanes low = most_min_, high = load(values_[0]);
    for (int i = 0; i < n_; ++i) {
      low = least(low, load(values_[i]));
      high = most(high, load(values_[i]));
    }
    for (int start = -1; start <= 1; ++start) {
      // The range stays centred: what is cut off, or to spare, is the same at both ends.
      const Lanes scale = (high - low) / (range_.highest + static_cast<float>(start));
      refine({scale, (high + low) / 2 - scale * range_.highest / 2});
    }
    return best_;
  }

  /// Least squares for given codes, with a min that is allowed.
  QUERN_INLINE Levels fit_to(const CodeSums &sums, const Levels &otherwise) const {
    const Levels free = least_squares(moments_, sums, otherwise);
    const Levels bound = {sums.qq > 0 ? (sums.xq - most_min_ * sums.q) / sums.qq : otherwise.scale,
                          most_min_};
    return free.where(free.min <= most_min_, bound);
  }

private:
  static constexpr int kRounds = 4;
  static constexpr float kRelaxation = 3.5f;

  QUERN_INLINE void refine(Levels levels) {
    for (int round = 0; round < kRounds; ++round) {
      levels.min = least(levels.min, Lanes(most_min_));
      const CodeSums sums = sums_of(values_, n_, levels, range_);
      const Levels fit = fit_to(sums, levels);
      const Lanes error = squared_error(moments_, sums, fit);
      const IntLanes better = (error < error_) & (fit.scale >= 0);
      error_ = better ? error : error_;
      best_ = fit.where(better, best_);
      levels = {levels.scale + kRelaxation * (fit.scale - levels.scale),
                levels.min + kRelaxation * (fit.min - levels.min)};
    }
  }

  const Octet *values_;
  int n_;
  CodeRange range_;
  float most_min_;
  Moments moments_;
  Levels best_{0, 0};
  Lanes error_ = kInfinity;
};

} // namespace quern::formats

#endif // QUERN_IR_FORMATS_RANGESEARCH_H
