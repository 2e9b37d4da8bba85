// The scalar functions: one element each, for LLVM's loop vectorizer to widen.
#include "codegen/cpu/microkernels/MathFunctions.h"
#include "codegen/cpu/microkernels/Microkernels.h"

namespace micro = quern::micro;

QK_BEGIN
QK_KERNEL float qk_exp(float x) { return micro::exponential(x); }
QK_KERNEL float qk_log(float x) { return micro::logarithm(x); }
QK_KERNEL float qk_log1p(float x) { return micro::logarithm_plus_one(x); }
QK_KERNEL float qk_sigmoid(float x) { return micro::sigmoid(x); }
QK_KERNEL float qk_silu(float x) { return micro::silu(x); }
QK_KERNEL float qk_tanh(float x) { return micro::hyperbolic_tangent(x); }
QK_KERNEL float qk_erf(float x) { return micro::error_function(x); }
QK_KERNEL float qk_gelu_tanh(float x) { return micro::gelu_tanh(x); }
QK_KERNEL float qk_gelu_erf(float x) { return micro::gelu_erf(x); }
QK_KERNEL float qk_softplus(float x) { return micro::softplus(x); }
QK_KERNEL float qk_relu(float x) { return x < 0.0f ? 0.0f : x; }
QK_KERNEL float qk_relu2(float x) { return micro::relu_squared(x); }
QK_KERNEL float qk_quick_gelu(float x) { return micro::quick_gelu(x); }
QK_KERNEL float qk_round_bf16(float x) { return micro::round_to_bf16(x); }
QK_KERNEL float qk_sqrt(float x) { return micro::square_root(x); }
QK_KERNEL float qk_rsqrt(float x) { return 1.0f / micro::square_root(x); }
QK_KERNEL float qk_sin(float x) { return micro::sine_of_quarter(x, 0); }
QK_KERNEL float qk_cos(float x) { return micro::sine_of_quarter(x, 1); }
QK_END
