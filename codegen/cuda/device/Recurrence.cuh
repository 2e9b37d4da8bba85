// A linear recurrence over the tokens of a sequence: a head's state, or a slice of its columns,
// stays in a block's registers from the first token to the last.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_RECURRENCE_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_RECURRENCE_CUH

#include "codegen/cuda/device/Base.cuh"

namespace quern {

/// kWarpLanes columns of a state of [kKeys][kValues]: a column is a lane's, its keys are dealt to
/// the warps, an equal run each. Sums over keys are summed in each warp, then over warps in order.
template <int kKeys, int kValues> class Recurrence {
public:
  static constexpr int kSlices = (kValues + kWarpLanes - 1) / kWarpLanes;
  /// Floats of shared memory that sums over warps need.
  static constexpr int kParts = kWarps * kWarpLanes;

  /// `state`: the head's. `column`: this thread's, kValues or more where it has none.
  QN_DEVICE Recurrence(float *state, int column)
      : state_(state + column), there_(column < kValues) {
    if constexpr (kInRegisters)
      each([&](int n, int i) { held_[n] = there_ ? state_[i * kValues] : 0.0f; });
  }

  /// Writes the state back.
  QN_DEVICE void keep() const {
    if constexpr (kInRegisters)
      each([&](int n, int i) {
        if (there_)
          state_[i * kValues] = held_[n];
      });
  }

  /// One token: S = decay S + k v, and this warp's part of r S, which sum() makes whole. decay(i)
  /// is what the state's element at key i and this column is multiplied with.
  template <class Decay>
  QN_DEVICE float step(const float *r, const float *k, float v, Decay decay) {
    float out = 0.0f;
    each([&](int n, int i) {
      const float s = fma(k[i], v, read(n, i) * decay(i));
      write(n, i, s);
      out = fma(s, r[i], out);
    });
    return out;
  }

  /// This warp's part of a S, S being the state before the token.
  QN_DEVICE float correction(const float *a) const {
    float u = 0.0f;
    each([&](int n, int i) { u = fma(a[i], read(n, i), u); });
    return u;
  }
  /// The same with a rank-one correction: S = decay S + b u + k v.
  template <class Decay>
  QN_DEVICE float step(const float *r, const float *k, float v, const float *b, float u,
                       Decay decay) {
    float out = 0.0f;
    each([&](int n, int i) {
      const float s = fma(k[i], v, fma(b[i], u, read(n, i) * decay(i)));
      write(n, i, s);
      out = fma(s, r[i], out);
    });
    return out;
  }

  /// This warp's part of k (decay S), which is what a delta corrects.
  template <class Decay> QN_DEVICE float known(const float *k, Decay decay) const {
    float u = 0.0f;
    each([&](int n, int i) { u = fma(k[i], read(n, i) * decay(i), u); });
    return u;
  }
  /// This warp's part of r S.
  QN_DEVICE float read(const float *r) const {
    float out = 0.0f;
    each([&](int n, int i) { out = fma(read(n, i), r[i], out); });
    return out;
  }
  /// This warp's part of r (S + (bonus k) v), S being the state before the token.
  QN_DEVICE float before(const float *r, const float *k, float v, const float *bonus) const {
    float out = 0.0f;
    each([&](int n, int i) { out = fma(fma(bonus[i] * k[i], v, read(n, i)), r[i], out); });
    return out;
  }

  /// The sum of all warps' parts of this column, in order; `parts` in shared memory, which the
  /// block's threads must not need any more, and have met again before it is used again.
  QN_DEVICE static float sum(float part, float *parts) {
    parts[warp() * kWarpLanes + lane()] = part;
    __syncthreads();
    float all = parts[lane()];
    for (int w = 1; w < kWarps; ++w)
      all += parts[w * kWarpLanes + lane()];
    return all;
  }

private:
  static constexpr int kOfWarp = (kKeys + kWarps - 1) / kWarps;
  /// More would spill. They stay in the first cache then: an element is one thread's.
  static constexpr bool kInRegisters = kOfWarp <= 64;

  /// each(n, i) for this warp's keys i, of which it is number n.
  template <class Each> QN_DEVICE static void each(Each each) {
    const int first = warp() * kOfWarp;
    if constexpr (kInRegisters) {
#pragma unroll
      for (int n = 0; n < kOfWarp; ++n)
        if (kKeys % kWarps == 0 || first + n < kKeys)
          each(n, first + n);
    } else {
      for (int n = 0; n < kOfWarp && first + n < kKeys; ++n)
        each(n, first + n);
    }
  }

  QN_DEVICE float read(int n, int i) const {
    if constexpr (kInRegisters)
      return held_[n];
    else
      return there_ ? state_[i * kValues] : 0.0f;
  }
  QN_DEVICE void write(int n, int i, float s) {
    if constexpr (kInRegisters)
      held_[n] = s;
    else if (there_)
      state_[i * kValues] = s;
  }

  float *state_;
  bool there_;
  float held_[kInRegisters ? kOfWarp : 1];
};

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_RECURRENCE_CUH
