// A causal depthwise convolution along each sequence, and the window of inputs that it keeps.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_CONVOLUTION_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_CONVOLUTION_CUH

#include "codegen/cuda/device/State.cuh"

namespace quern {

/// A channel of a sequence. Everything here is one thread's; a token's result needs its inputs
/// alone, so that tokens may be shared out too.
///   input(token)  the channel's input
///   window        its inputs before the step, oldest first
///   weights       the channel's
template <int kTaps, class Input> struct Convolution {
  static constexpr int kPast = kTaps - 1;
  Input input;
  float *window;
  const float *weights;
  int first, end; ///< the sequence's tokens in the step

  /// The input `ago` tokens before `token`.
  QN_DEVICE float at(int token, int ago) const {
    const int from = token - ago;
    return from >= first ? input(from) : window[kPast + from - first];
  }

  /// bias, then the inputs from the oldest on, each one rounding.
  QN_DEVICE float result(int token, float bias) const {
    float sum = bias;
    for (int i = 0; i < kTaps; ++i)
      sum = fma(at(token, kPast - i), weights[i], sum);
    return sum;
  }

  /// Keeps the last inputs. Only once the tokens that look into the window are done.
  QN_DEVICE void keep() const {
    for (int i = 0; i < kPast; ++i) // never reads what it wrote: it reads ahead of i, or the step
      window[i] = at(end, kPast - i);
  }
};

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_CONVOLUTION_CUH
