// Elementary functions over a float or a vector of floats, the same operations for both. Accuracy:
// Microkernels.h.
//
// Branch-free: special cases are selects. Integer arithmetic on the bits is unsigned, since a NaN's
// bits would overflow signed arithmetic. Polynomials are minimax fits (Lawson's iteration at
// Chebyshev nodes, 50 digits), their coefficients then rounded to float; lowest power first.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_MATHFUNCTIONS_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_MATHFUNCTIONS_H

#include "codegen/cpu/microkernels/Vector.h"

namespace quern::micro {

// The integers of a float type's width: scalars for a scalar, vectors for a vector.
template <class T> struct BitsOf {
  static constexpr int kLanes = sizeof(T) / sizeof(float);
  using Signed = Vector<int32_t, kLanes>;
  using Unsigned = Vector<uint32_t, kLanes>;
};
template <> struct BitsOf<float> {
  using Signed = int32_t;
  using Unsigned = uint32_t;
};
template <class T> using SignedOf = typename BitsOf<T>::Signed;
template <class T> using UnsignedOf = typename BitsOf<T>::Unsigned;

template <class T> QK_INLINE T to_float(SignedOf<T> n) {
  if constexpr (__is_same(T, float))
    return static_cast<float>(n);
  else
    return __builtin_convertvector(n, T);
}

inline constexpr float kLn2High = 0x1.62e430p-1f;
inline constexpr float kLn2Low = -0x1.05c610p-29f;

/// c[0] + c[1]*x + ... by Horner's rule.
template <class T, int N> QK_INLINE T polynomial(T x, const float (&c)[N]) {
  T sum = T(c[N - 1]);
  QK_UNROLL for (int i = N - 2; i >= 0; --i) sum = fma(sum, x, T(c[i]));
  return sum;
}

template <class T> QK_INLINE T absolute(T x) { return __builtin_elementwise_abs(x); }
template <class T> QK_INLINE T square_root(T x) { return __builtin_elementwise_sqrt(x); }

/// 2^n for n in [-126, 127], 0 for -127; only its low 9 bits count.
template <class T> QK_INLINE T power_of_two(UnsignedOf<T> n) {
  return __builtin_bit_cast(T, (n + 127u) << 23);
}

/// e^x for x in [-104, 89] as 2^n * mantissa, the mantissa around 1: x = n ln2 + r with |r| <=
/// ln2/2; e^r = 1 + r + r^2 q(r), relative error of the fit 3e-9.
template <class T> struct ScaledExponential {
  T mantissa;
  /// n, in two's complement, in the low 22 bits.
  UnsignedOf<T> n;

  QK_INLINE ScaledExponential of(T x) {
    constexpr float kQ[] = {0.5f, 0x1.55548ep-3f, 0x1.55545ep-5f, 0x1.123b48p-7f, 0x1.6db404p-10f};
    constexpr float kRound = 0x1.8p23f; // adding it leaves the rounded integer in the low bits
    const T shifted = fma(x, T(0x1.715476p+0f), T(kRound));
    const T n = shifted - kRound;
    const T r = fma(n, T(-kLn2Low), fma(n, T(-kLn2High), x));
    return {fma(polynomial(r, kQ), r * r, r) + 1.0f, __builtin_bit_cast(UnsignedOf<T>, shifted)};
  }
};

template <class T> QK_INLINE T exponential(T x) {
  x = x < -104.0f ? T(-104.0f) : x; // e^-104 rounds to 0, e^89 to infinity
  x = x > 89.0f ? T(89.0f) : x;
  const auto scaled = ScaledExponential<T>::of(x);
  // In two halves, so that the ends of the range are reached: 2^128 and the denormals.
  const auto exponent = scaled.n - 0x4b400000u;
  const auto half =
      __builtin_bit_cast(UnsignedOf<T>, __builtin_bit_cast(SignedOf<T>, exponent) >> 1);
  return scaled.mantissa * power_of_two<T>(half) * power_of_two<T>(exponent - half);
}

/// The same for x <= 0, with 0 instead of denormals: a third fewer operations.
template <class T> QK_INLINE T exponential_below(T x) {
  x = x < -88.0f ? T(-88.0f) : x; // n = -127, for which power_of_two is 0
  const auto scaled = ScaledExponential<T>::of(x);
  return scaled.mantissa * power_of_two<T>(scaled.n);
}

/// x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt 2); log(1 + f) = f - f^2/2 + f^3 p(f), error of
/// the fit 8e-10.
template <class T> QK_INLINE T logarithm(T x) {
  constexpr float kP[] = {0x1.555548p-2f,  -0x1.000006p-2f, 0x1.99a4b6p-3f,
                          -0x1.555c4cp-3f, 0x1.23375cp-3f,  -0x1.fc221ep-4f,
                          0x1.e6f128p-4f,  -0x1.de3bc8p-4f, 0x1.1455b0p-4f};
  const T normal = x < 0x1p-126f ? x * 0x1p23f : x;
  const T denormal_exponent = x < 0x1p-126f ? T(-23.0f) : T(0.0f);
  const auto bits = __builtin_bit_cast(UnsignedOf<T>, normal) - 0x3f3504f3u;
  const T e = to_float<T>(__builtin_bit_cast(SignedOf<T>, bits) >> 23) + denormal_exponent;
  const T f = __builtin_bit_cast(T, (bits & 0x7fffffu) + 0x3f3504f3u) - 1.0f;
  const T square = f * f;
  const T tail = fma(square, T(-0.5f), square * f * polynomial(f, kP));
  T result = fma(e, T(kLn2High), f + fma(e, T(kLn2Low), tail));
  result = x == 0.0f ? T(-__builtin_inff()) : result;
  result = x < 0.0f ? T(__builtin_nanf("")) : result;
  return x < __builtin_inff() ? result : x; // infinity and NaN
}

/// log(u) of the rounded u = 1 + x, corrected by what the rounding lost.
template <class T> QK_INLINE T logarithm_plus_one(T x) {
  const T u = x + 1.0f;
  const T corrected = logarithm(u) + (x - (u - 1.0f)) / u;
  const T result = x > -1.0f ? corrected : logarithm(u);
  return x < __builtin_inff() ? result : x;
}

/// From e^-|x|, so that it is accurate at both ends.
template <class T> QK_INLINE T sigmoid(T x) {
  const T e = exponential(-absolute(x));
  return (x < 0.0f ? e : T(1.0f)) / (e + 1.0f);
}

/// x + x^3 p(x^2) near 0 (error of the fit 2e-10), 1 - 2/(e^2x + 1) beyond.
template <class T> QK_INLINE T hyperbolic_tangent(T x) {
  constexpr float kP[] = {-0x1.555554p-2f, 0x1.11106cp-3f,  -0x1.b9ef7cp-5f,
                          0x1.6394d0p-6f,  -0x1.0c211ap-7f, 0x1.197ae4p-9f};
  const T magnitude = absolute(x);
  const T square = x * x;
  const T near = fma(x * square, polynomial(square, kP), x);
  const T far = 1.0f - 2.0f / (exponential(magnitude + magnitude) + 1.0f);
  return magnitude < 0.625f ? near : __builtin_elementwise_copysign(far, x);
}

/// x + x p(x^2) for |x| < 1 (error of the fit 1e-9), 1 - e^q(|x|) beyond (2e-11), where q fits log
/// erfc on [1, 4]; from 4 on erf rounds to 1.
template <class T> QK_INLINE T error_function(T x) {
  constexpr float kP[] = {0x1.06eba8p-3f, -0x1.81273ep-2f,  0x1.ce2d20p-4f, -0x1.b7fbb4p-6f,
                          0x1.5419f2p-8f, -0x1.a485d8p-11f, 0x1.4ae498p-14f};
  constexpr float kQ[] = {0x1.8a57ecp-13f, -0x1.212c0ep+0f, -0x1.443566p-1f, -0x1.bc1518p-4f,
                          0x1.9d0306p-6f,  -0x1.138cbep-8f, 0x1.cec604p-12f, -0x1.6bd7e8p-16f};
  const T magnitude = absolute(x);
  const T near = fma(x, polynomial(x * x, kP), x);
  const T clamped = magnitude > 4.0f ? T(4.0f) : magnitude;
  const T far = 1.0f - exponential(polynomial(clamped, kQ));
  return magnitude < 1.0f ? near : __builtin_elementwise_copysign(far, x);
}

/// x, but not less than `least`, or not more than `most`. NaN stays NaN.
template <class T> QK_INLINE T clamp_below(T x, float least) { return x < least ? T(least) : x; }
template <class T> QK_INLINE T clamp_above(T x, float most) { return x > most ? T(most) : x; }

template <class T> QK_INLINE T silu(T x) { return x * sigmoid(x); }

template <class T> QK_INLINE T gelu_tanh(T x) {
  const T cubic = fma(x * x * x, T(0.044715f), x);
  return x * sigmoid(cubic * 1.5957691216057308f); // 1 + tanh(u) = 2 sigmoid(2u)
}

template <class T> QK_INLINE T gelu_erf(T x) {
  return 0.5f * x * (error_function(x * 0.70710678118654752f) + 1.0f);
}

template <class T> QK_INLINE T quick_gelu(T x) { return x * sigmoid(x * 1.702f); }

template <class T> QK_INLINE T relu_squared(T x) {
  const T positive = x < 0.0f ? T(0.0f) : x;
  return positive * positive;
}

/// Its upper 16 bits, rounded to nearest even. NaN stays as it is: the addition might carry into
/// its sign.
template <class T> QK_INLINE T round_to_bf16(T x) {
  const auto bits = __builtin_bit_cast(UnsignedOf<T>, x);
  const UnsignedOf<T> rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
  return x == x ? __builtin_bit_cast(T, rounded) : x;
}

/// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|); above 20 the second term is lost in rounding anyway.
template <class T> QK_INLINE T softplus(T x) {
  const T positive = x < 0.0f ? T(0.0f) : x;
  const T result = positive + logarithm_plus_one(exponential(-absolute(x)));
  return x > 20.0f ? x : result;
}

/// sqrt(1 - e^2x) for x <= 0, by 1 - e^2x = tanh(-x) (1 + e^2x), in which nothing cancels.
template <class T> QK_INLINE T one_minus_square_root(T x) {
  const T below = clamp_above(x, 0.0f);
  return square_root(hyperbolic_tangent(-below) * (exponential(below + below) + 1.0f));
}

/// sin(x + quarter*pi/2), in double: x = n pi/2 + r with |r| <= pi/4, pi/2 in two parts, then
/// Taylor series, whose error (under 1e-11) only shows where the float result is next to a tie.
QK_INLINE float sine_of_quarter(float x, uint64_t quarter) {
  constexpr double kRound = 0x1.8p52; // as in exponential()
  const double wide = x;
  const double shifted = wide * 0x1.45f306dc9c883p-1 + kRound;
  const double n = shifted - kRound;
  double r = __builtin_elementwise_fma(n, -0x1.1a62633145c07p-54,
                                       __builtin_elementwise_fma(n, -0x1.921fb54442d18p+0, wide));
  r = r > 0.8 ? 0.8 : r; // only far beyond the promised range
  r = r < -0.8 ? -0.8 : r;
  const double s = r * r;
  const double sine =
      r + r * s *
              (-1.0 / 6 +
               s * (1.0 / 120 + s * (-1.0 / 5040 + s * (1.0 / 362880 + s * (-1.0 / 39916800)))));
  const double cosine =
      1.0 +
      s * (-1.0 / 2 +
           s * (1.0 / 24 + s * (-1.0 / 720 +
                                s * (1.0 / 40320 + s * (-1.0 / 3628800 + s * (1.0 / 479001600))))));
  const uint64_t quadrant = __builtin_bit_cast(uint64_t, shifted) + quarter;
  const double magnitude = (quadrant & 1) != 0 ? cosine : sine;
  const uint64_t sign = (quadrant & 2) << 62;
  return static_cast<float>(
      __builtin_bit_cast(double, __builtin_bit_cast(uint64_t, magnitude) ^ sign));
}

} // namespace quern::micro

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_MATHFUNCTIONS_H
