// Threads that work on a row together: a whole block, or one warp of it.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_TEAM_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_TEAM_CUH

#include "codegen/cuda/device/Base.cuh"

namespace quern {

struct Block {
  static constexpr int kThreads = quern::kThreads;
  static constexpr int kTeamWarps = kWarps;
  QN_DEVICE static int thread() { return quern::thread(); }
  QN_DEVICE static int warp() { return quern::warp(); }
  /// The team's threads meet; what each wrote before is seen by all after.
  QN_DEVICE static void sync() { __syncthreads(); }
};

struct Warp {
  static constexpr int kThreads = kWarpLanes;
  static constexpr int kTeamWarps = 1;
  QN_DEVICE static int thread() { return lane(); }
  QN_DEVICE static int warp() { return 0; }
  QN_DEVICE static void sync() { __syncwarp(); }
};

/// body(i) for each i below kCount, shared out among the team's threads. Where none has more than
/// one it is no loop: the compiler would unroll it all the same.
template <class Team, int kCount, class Body> QN_DEVICE void each_of(Body body) {
  if constexpr (kCount <= Team::kThreads) {
    if (const int i = Team::thread(); i < kCount)
      body(i);
  } else {
    for (int i = Team::thread(); i < kCount; i += Team::kThreads)
      body(i);
  }
}

/// The sum of a number of every thread of the team, the same in all. `parts`: kWarps floats of
/// shared memory, for a block, that nobody else touches until the threads have met again.
template <class Team> QN_DEVICE float team_sum(float value, float *parts) {
  value = warp_sum(value);
  if constexpr (Team::kTeamWarps > 1) {
    __syncthreads(); // whoever still reads the parts of a sum before
    if (lane() == 0)
      parts[warp()] = value;
    __syncthreads();
    value = parts[0];
    for (int i = 1; i < kWarps; ++i)
      value += parts[i];
  }
  return value;
}

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_TEAM_CUH
