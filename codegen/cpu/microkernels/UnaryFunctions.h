// The functions of quern.unary, under the names that its kinds have (ir/quern/TensorOps.td): each
// once, as what it is at x. From this come the microkernels qk_<name> (Microkernels.h, Math.cpp)
// and how generated code calls them, which does not compile while a kind is missing here.
//
// Written with MathFunctions.h: branch-free, so that after inlining LLVM's loop vectorizer turns a
// loop that calls one into vector code. NaN in gives NaN out. Largest errors, found against double
// libm (tests/codegen/microkernels/MathTest.cpp), in ulp of the exact result rounded to float:
//
//   silu        3, where that is not denormal; NaN for -inf, as torch has it
//   sigmoid     2.5, at both ends too
//   gelu_erf    2 ulp of x
//   gelu_tanh   3 ulp of x
//   relu        exact
//   tanh        2
//   softplus    2; x itself for x > 20 (torch: beta 1, threshold 20)
//   exp         1; exp(0) = 1; exp(-inf) = 0; denormal results are right, too
//   relu2       correctly rounded
//   quick_gelu  3 ulp of x
//   mish        1.5 ulp of x; NaN for -inf, as torch has it
//   relu6       exact
//   leaky_relu  1
//   hardswish   1.5 ulp of x; NaN for -inf, as torch has it
//   gelu_10     2 ulp of x
//   abs         exact
//   log_sigmoid 2; x itself for x < -20
//   one_minus_square_root 2.5
//   sin, cos    1 for |x| <= 1e7 (computed in double); beyond, only within [-1, 1]
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_UNARYFUNCTIONS_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_UNARYFUNCTIONS_H

// Calls E(X, name, value) for each, where X is whatever else E wants to be given.
// clang-format off
#define QK_FOR_EACH_UNARY_FUNCTION(E, X)                                                           \
  E(X, silu, silu(x))                                                                              \
  E(X, sigmoid, sigmoid(x))                                                                        \
  E(X, gelu_erf, gelu_erf(x))                                                                      \
  E(X, gelu_tanh, gelu_tanh(x))                                                                    \
  E(X, relu, clamp_below(x, 0.0f))                                                                 \
  E(X, tanh, hyperbolic_tangent(x))                                                                \
  E(X, softplus, softplus(x))                                                                      \
  E(X, exp, exponential(x))                                                                        \
  E(X, relu2, relu_squared(x))                                                                     \
  E(X, quick_gelu, quick_gelu(x))                                                                  \
  E(X, mish, x * hyperbolic_tangent(softplus(x)))                                                  \
  E(X, relu6, clamp_above(clamp_below(x, 0.0f), 6.0f))                                             \
  E(X, leaky_relu, x < 0.0f ? 0.01f * x : x)                                                       \
  E(X, hardswish, x * (clamp_above(clamp_below(x + 3.0f, 0.0f), 6.0f) / 6.0f))                     \
  E(X, gelu_10, clamp_above(gelu_erf(x), 10.0f))                                                   \
  E(X, abs, absolute(x))                                                                           \
  E(X, log_sigmoid, -softplus(-x))                                                                 \
  E(X, one_minus_square_root, one_minus_square_root(x))                                            \
  E(X, sin, sine_of_quarter(x, 0))                                                                 \
  E(X, cos, sine_of_quarter(x, 1))
// clang-format on

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_UNARYFUNCTIONS_H
