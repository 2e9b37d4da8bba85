// The choice of experts, and which rows of a step an expert works on. Whatever numbers logits are,
// NaN too, a token's experts are different ones in rising number.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_EXPERTS_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_EXPERTS_CUH

#include "codegen/cuda/device/Math.cuh"
#include "codegen/cuda/device/Team.cuh"

namespace quern {

enum class Score { Softmax, Sigmoid, Chosen };

/// quern.route, but for its weights' norm and scale, which are numbers.
struct Route {
  int experts, chosen;
  Score score;
  int groups, top_groups, group_top, normalize;
};

namespace experts {

/// The largest of what the warp's lanes have, of equal ones that of lower index; -1 stands for
/// nothing. The same in all.
QN_DEVICE int warp_best(float value, int index) {
  for (int apart = 16; apart != 0; apart /= 2) {
    const float other = __shfl_xor_sync(~0u, value, apart);
    const int at = __shfl_xor_sync(~0u, index, apart);
    const bool better = at >= 0 && (index < 0 || other > value || (!(value > other) && at < index));
    value = better ? other : value;
    index = better ? at : index;
  }
  return index;
}

/// Marks with `mark` the `count` largest of values[0..n) that have none. By a warp; what it wrote
/// has been seen by all of it.
QN_DEVICE void take_largest(const float *values, int n, int count, int *marks, int mark) {
  for (int i = 0; i < count; ++i) {
    int best = -1;
    float largest = 0.0f;
    for (int at = lane(); at < n; at += kWarpLanes)
      if (marks[at] == 0 && (best < 0 || values[at] > largest)) {
        best = at;
        largest = values[at];
      }
    best = warp_best(largest, best);
    __syncwarp(); // all have read the marks
    if (lane() == 0)
      marks[best] = mark;
    __syncwarp();
  }
}

/// x[0..n) become their softmax.
QN_DEVICE void softmax(float *x, int n) {
  float largest = x[0];
  for (int i = lane(); i < n; i += kWarpLanes)
    largest = x[i] > largest ? x[i] : largest;
  largest = warp_max(largest);
  float sum = 0.0f;
  __syncwarp();
  for (int i = lane(); i < n; i += kWarpLanes) {
    x[i] = math::exponential(x[i] - largest);
    sum += x[i];
  }
  sum = warp_sum(sum);
  for (int i = lane(); i < n; i += kWarpLanes)
    x[i] = x[i] / sum;
  __syncwarp();
}

} // namespace experts

/// Chooses a token's experts, by a warp. `numbers`: 2 * experts + groups of its own; `marks`:
/// experts + groups; both in shared memory. Bias may be null.
template <Route R>
QN_DEVICE void route(const float *logits, const float *bias, float eps, float scale, float *numbers,
                     int *marks, int *ids, float *weights) {
  float *const scores = numbers, *const choice = numbers + R.experts;
  for (int i = lane(); i < R.experts; i += kWarpLanes) {
    scores[i] = R.score == Score::Sigmoid ? sigmoid(logits[i]) : logits[i];
    marks[i] = 0;
  }
  __syncwarp();
  if constexpr (R.score == Score::Softmax)
    experts::softmax(scores, R.experts);
  for (int i = lane(); i < R.experts; i += kWarpLanes)
    choice[i] = bias != nullptr ? scores[i] + bias[i] : scores[i];
  __syncwarp();
  if constexpr (R.top_groups < R.groups) {
    constexpr int kSize = R.experts / R.groups;
    float *const sums = numbers + 2 * R.experts;
    int *const open = marks + R.experts;
    for (int g = 0; g < R.groups; ++g) {
      experts::take_largest(choice + g * kSize, kSize, R.group_top, marks + g * kSize, 1);
      if (lane() == 0) {
        float sum = 0.0f;
        for (int i = 0; i < kSize; ++i)
          if (marks[g * kSize + i] != 0)
            sum += choice[g * kSize + i];
        sums[g] = sum;
        open[g] = 0;
      }
    }
    __syncwarp();
    experts::take_largest(sums, R.groups, R.top_groups, open, 1);
    for (int i = lane(); i < R.experts; i += kWarpLanes)
      marks[i] = open[i / kSize] == 0 ? 1 : 0;
    __syncwarp();
  }
  experts::take_largest(choice, R.experts, R.chosen, marks, 2);
  int found = 0;
  float *const given = choice; // not needed any more
  for (int first = 0; first < R.experts; first += kWarpLanes) {
    const int i = first + lane();
    const bool mine = i < R.experts && marks[i] == 2;
    const u32 all = __ballot_sync(~0u, mine);
    if (mine) {
      const int at = found + __popc(all & ((1u << lane()) - 1));
      ids[at] = i;
      given[at] = scores[i];
    }
    found += __popc(all);
    __syncwarp();
  }
  if constexpr (R.score == Score::Chosen)
    experts::softmax(given, R.chosen);
  float norm = 0.0f;
  if constexpr (R.normalize != 0) {
    for (int i = 0; i < R.chosen; ++i)
      norm += R.normalize == 2 ? given[i] * given[i] : math::absolute(given[i]);
    norm = (R.normalize == 2 ? __fsqrt_rn(norm) : norm) + eps;
  }
  for (int i = lane(); i < R.chosen; i += kWarpLanes)
    weights[i] = (R.normalize != 0 ? given[i] / norm : given[i]) * scale;
  __syncwarp();
}

/// Cuts each expert's of n ids into blocks of `height`, those of one expert after the other's:
/// first[e] is the number of blocks of those below, first[kExperts] of all. By a block, which
/// meets.
template <int kExperts>
QN_DEVICE void expert_blocks(const int *ids, int n, int height, int *first) {
  for (int e = thread(); e <= kExperts; e += kThreads)
    first[e] = 0;
  __syncthreads();
  for (int i = thread(); i < n; i += kThreads)
    atomicAdd(first + ids[i], 1); // of integers: in any order
  __syncthreads();
  if (thread() == 0) {
    int blocks = 0;
    for (int e = 0; e <= kExperts; ++e) {
      const int here = ceil_div(first[e], height);
      first[e] = blocks;
      blocks += here;
    }
  }
  __syncthreads();
}

/// Whose block that is.
template <int kExperts> QN_DEVICE int expert_of_block(const int *first, int block) {
  int low = 0, high = kExperts; // first[low] <= block < first[high]
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (first[middle] <= block)
      low = middle;
    else
      high = middle;
  }
  return low;
}

/// The places of an expert's ids but the first `skip`, at most `most` of them, in order, and the
/// rows that they stand for: place / share. Returns how many. By a block, which meets; `count` is
/// an int of shared memory.
QN_DEVICE int rows_of_expert(const int *ids, int n, int expert, int skip, int most, int share,
                             int *places, int *rows, int *count) {
  __syncthreads(); // whoever still reads the last ones
  if (warp() == 0) {
    int seen = 0;
    for (int first = 0; first < n && seen < skip + most; first += kWarpLanes) {
      const int i = first + lane();
      const bool mine = i < n && ids[i] == expert;
      const u32 all = __ballot_sync(~0u, mine);
      const int at = seen + __popc(all & ((1u << lane()) - 1)) - skip;
      if (mine && at >= 0 && at < most) {
        places[at] = i;
        rows[at] = i / share;
      }
      seen += __popc(all);
    }
    if (lane() == 0)
      *count = least(most, seen - skip);
  }
  __syncthreads();
  return *count;
}

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_EXPERTS_CUH
