// Scales and mins in a byte each, which are factors of a row's.
#include "ir/formats/GroupSearch.h"
#include "ir/formats/RangeSearch.h"

namespace quern::formats {
namespace {

QUERN_INLINE Levels levels_of(SuperScales super, Lanes scale, Lanes min) {
  return {super.scale * scale, -(super.min * min)};
}

QUERN_INLINE Lanes byte(Lanes x) { return least(most(rounded(x), Lanes(0)), Lanes(255)); }

QUERN_INLINE void search_range(const Octet *values, int n, int highest, GroupRanges &ranges) {
  const Levels best = RangeSearch(values, n, highest, 0).run();
  store(best.scale, ranges.scale);
  store(best.min, ranges.min);
}

// How far from a range's own byte the scale's is looked for.
constexpr int kReach = 2;

// The bytes nearest to the range give codes; of the scales around, each with the min that is best
// for these codes, the best is taken. The sums tell all their errors: one pass over the values does
// what trying nine pairs of bytes with their own codes did, to 0.1 % of the error.
QUERN_INLINE void search_bytes(const Octet *values, int n, int highest, SuperScales super,
                               const GroupRanges &ranges, ByteFits &fits) {
  const float inverse_scale = super.scale == 0 ? 0 : 1 / super.scale;
  const float inverse_min = super.min == 0 ? 0 : 1 / super.min;
  const Lanes near = byte(load(ranges.scale) * inverse_scale);
  const Moments moments = moments_of(values, n);
  const CodeSums sums =
      sums_of(values, n, levels_of(super, near, byte(-load(ranges.min) * inverse_min)),
              {0, static_cast<float>(highest)});
  Lanes best_scale = 0, best_min = 0, best_error = kInfinity;
  for (int step = -kReach; step <= kReach; ++step) {
    const Lanes scale = byte(near + static_cast<float>(step));
    const Lanes offset = (super.scale * scale * sums.q - moments.x) / moments.n;
    const Lanes min = byte(offset * inverse_min);
    const Lanes error = squared_error(moments, sums, levels_of(super, scale, min));
    const IntLanes better = error < best_error;
    best_error = better ? error : best_error;
    best_scale = better ? scale : best_scale;
    best_min = better ? min : best_min;
  }
  store(best_scale, fits.scale);
  store(best_min, fits.min);
  store(best_error, fits.error);
  store(sums.q, fits.q);
  store(sums.qq, fits.qq);
  store(moments.x, fits.x);
  store(sums.xq, fits.xq);
}

QUERN_INLINE void put_codes(const Octet *values, int n, int highest, SuperScales super,
                            const ByteFits &fits, Octet *codes) {
  put_nearest(values, n, levels_of(super, load(fits.scale), load(fits.min)),
              {0, static_cast<float>(highest)}, codes);
}

} // namespace

QUERN_SEARCH void fit_ranges(const Octet *values, int n, int highest, GroupRanges &ranges) {
  search_range(values, n, highest, ranges);
}

QUERN_SEARCH void fit_bytes(const Octet *values, int n, int highest, SuperScales super,
                            const GroupRanges &ranges, ByteFits &fits) {
  search_bytes(values, n, highest, super, ranges, fits);
}

QUERN_SEARCH void nearest_codes(const Octet *values, int n, int highest, SuperScales super,
                                const ByteFits &fits, Octet *codes) {
  put_codes(values, n, highest, super, fits, codes);
}

} // namespace quern::formats
