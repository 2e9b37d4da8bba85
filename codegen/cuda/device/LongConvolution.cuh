// A long convolution in modal form: some complex states a channel, which a token turns and shrinks.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_LONGCONVOLUTION_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_LONGCONVOLUTION_CUH

#include "codegen/cuda/device/Base.cuh"

namespace quern {

/// kModes states of a channel, all a thread's: they stay in its registers over a step's tokens. In
/// memory a number of mode n is at [2 n stride], its imaginary part one stride behind.
template <int kModes> class LongConvolution {
public:
  QN_DEVICE LongConvolution(float *state, int channels, const float *poles, const float *residues,
                            int filters)
      : state_(state), channels_(channels) {
#pragma unroll
    for (int n = 0; n < kModes; ++n) {
      at_[n] = read(state, n, channels);
      pole_[n] = read(poles, n, filters);
      residue_[n] = read(residues, n, filters);
    }
  }

  /// One token: s = p s + x; returns Re(sum of R s), in the modes' order.
  QN_DEVICE float step(float x) {
    float y = 0.0f;
#pragma unroll
    for (int n = 0; n < kModes; ++n) {
      const Number s = at_[n], p = pole_[n];
      at_[n] = {fma(p.real, s.real, fma(-p.imaginary, s.imaginary, x)),
                fma(p.real, s.imaginary, p.imaginary * s.real)};
      y = fma(residue_[n].real, at_[n].real, y);
      y = fma(-residue_[n].imaginary, at_[n].imaginary, y);
    }
    return y;
  }

  /// Writes the states back.
  QN_DEVICE void keep() const {
#pragma unroll
    for (int n = 0; n < kModes; ++n) {
      state_[2 * n * channels_] = at_[n].real;
      state_[(2 * n + 1) * channels_] = at_[n].imaginary;
    }
  }

private:
  struct Number {
    float real, imaginary;
  };
  static QN_DEVICE Number read(const float *from, int n, int stride) {
    return {from[2 * n * stride], from[(2 * n + 1) * stride]};
  }

  float *state_;
  int channels_;
  Number at_[kModes], pole_[kModes], residue_[kModes];
};

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_LONGCONVOLUTION_CUH
