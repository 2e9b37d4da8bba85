// What a team of threads computes of a row's columns: norms and rotations. Inputs lie in memory
// that the whole team may read; what is written has been seen by the others once the team's
// threads have met.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_ROWS_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_ROWS_CUH

#include "codegen/cuda/device/Math.cuh"
#include "codegen/cuda/device/Team.cuh"

namespace quern {

/// x between two bounds; NaN stays NaN.
QN_DEVICE float clamped(float x, float least, float most) {
  x = x < least ? least : x;
  return x > most ? most : x;
}

/// x or a bound, if it is above that; NaN stays NaN.
QN_DEVICE float at_most(float x, float most) { return x > most ? most : x; }
/// The larger of two; NaN where one is.
QN_DEVICE float larger(float x, float y) { return x != x || x > y ? x : y; }

/// A norm's weight or bias: null where there is none; and how far those of the next group are, 0
/// where all groups share one.
struct GroupVector {
  const float *at;
  int step;
};

namespace rows {

/// What a norm divides by: the root of the mean of squares and eps; that of columns less their
/// mean; or the root of the mean of squares, plus eps.
enum class Divisor { Rms, Deviation, Root };

/// One group, by a team.
template <class Team, int kGroup, Divisor kBy>
QN_DEVICE void norm_group(const float *x, const float *weight, const float *bias, float eps,
                          float *parts, float *y) {
  constexpr float kSize = kGroup;
  constexpr bool kCentered = kBy == Divisor::Deviation;
  float mean = 0.0f;
  if constexpr (kCentered) {
    float sum = 0.0f;
    each_of<Team, kGroup>([&](int i) { sum += x[i]; });
    mean = team_sum<Team>(sum, parts) / kSize;
  }
  float squares = 0.0f;
  each_of<Team, kGroup>([&](int i) {
    const float v = kCentered ? x[i] - mean : x[i];
    squares = fma(v, v, squares);
  });
  const float square = team_sum<Team>(squares, parts) / kSize;
  const float inverse =
      kBy == Divisor::Root ? 1.0f / (__fsqrt_rn(square) + eps) : rsqrt(square + eps);
  each_of<Team, kGroup>([&](int i) {
    float v = x[i];
    if constexpr (kCentered)
      v = v - mean;
    v = v * inverse;
    if (weight != nullptr)
      v = v * weight[i];
    if (bias != nullptr)
      v = v + bias[i];
    y[i] = v;
  });
}

/// kGroups groups of kGroup columns: one is the whole team's, several are dealt to its warps.
template <class Team, int kGroup, int kGroups, Divisor kBy>
QN_DEVICE void norm(const float *x, GroupVector weight, GroupVector bias, float eps, float *parts,
                    float *y) {
  if constexpr (kGroups == 1) {
    norm_group<Team, kGroup, kBy>(x, weight.at, bias.at, eps, parts, y);
  } else {
    for (int group = Team::warp(); group < kGroups; group += Team::kTeamWarps) {
      const float *w = weight.at == nullptr ? nullptr : weight.at + group * weight.step;
      const float *b = bias.at == nullptr ? nullptr : bias.at + group * bias.step;
      norm_group<Warp, kGroup, kBy>(x + group * kGroup, w, b, eps, nullptr, y + group * kGroup);
    }
  }
}

} // namespace rows

/// In each group of kGroup columns y = x / sqrt(mean(x^2) + eps) * weight + bias. `parts`: kWarps
/// floats of shared memory where there is one group and the team is a block.
template <class Team, int kGroup, int kGroups>
QN_DEVICE void rms_norm(const float *x, GroupVector weight, GroupVector bias, float eps,
                        float *parts, float *y) {
  rows::norm<Team, kGroup, kGroups, rows::Divisor::Rms>(x, weight, bias, eps, parts, y);
}

/// The same with eps added to the root, not under it.
template <class Team, int kGroup, int kGroups>
QN_DEVICE void root_norm(const float *x, GroupVector weight, GroupVector bias, float eps,
                         float *parts, float *y) {
  rows::norm<Team, kGroup, kGroups, rows::Divisor::Root>(x, weight, bias, eps, parts, y);
}

/// rms_norm of x less its mean in the group.
template <class Team, int kGroup, int kGroups>
QN_DEVICE void layer_norm(const float *x, GroupVector weight, GroupVector bias, float eps,
                          float *parts, float *y) {
  rows::norm<Team, kGroup, kGroups, rows::Divisor::Deviation>(x, weight, bias, eps, parts, y);
}

/// Rotates the first kRotated columns of each of kHeads heads in pairs, (i, i + kRotated / 2) or,
/// where interleaved, (2 i, 2 i + 1), by the angles of the table: kRotated / 2 cosines, as many
/// sines.
template <class Team, int kHeads, int kHeadDim, int kRotated, bool kInterleaved>
QN_DEVICE void rope(const float *x, const float *table, float *y) {
  constexpr int kHalf = kRotated / 2, kRest = kHeadDim - kRotated;
  each_of<Team, kHeads * kHalf>([&](int i) {
    const int head = i / kHalf * kHeadDim, pair = i % kHalf;
    const int first = head + (kInterleaved ? 2 * pair : pair);
    const int second = first + (kInterleaved ? 1 : kHalf);
    const float cosine = table[pair], sine = table[kHalf + pair];
    const float a = x[first], b = x[second];
    y[first] = a * cosine - b * sine;
    y[second] = a * sine + b * cosine;
  });
  if constexpr (kRest != 0)
    each_of<Team, kHeads * kRest>([&](int i) {
      const int at = i / kRest * kHeadDim + kRotated + i % kRest;
      y[at] = x[at];
    });
}

/// The sums of kGroups groups of kGroup columns, each a warp's: lane i's columns are i, i + 32, ...
template <class Team, int kGroup, int kGroups> QN_DEVICE void group_sum(const float *x, float *y) {
  for (int group = Team::warp(); group < kGroups; group += Team::kTeamWarps) {
    float sum = 0.0f;
    for (int i = lane(); i < kGroup; i += kWarpLanes)
      sum += x[group * kGroup + i];
    sum = warp_sum(sum);
    if (lane() == 0)
      y[group] = sum;
  }
}

/// Cosines and sines, times a scale, of the angles position * frequencies[i].
template <class Team, int kFrequencies>
QN_DEVICE void rope_table(const float *frequencies, int position, float scale, float *y) {
  const float p = static_cast<float>(position);
  each_of<Team, kFrequencies>([&](int i) {
    const float angle = p * frequencies[i];
    y[i] = cos(angle) * scale;
    y[kFrequencies + i] = sin(angle) * scale;
  });
}

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_ROWS_CUH
