// Elementary functions of a float, the same operations in the same order as the CPU's
// (codegen/cpu/microkernels/MathFunctions.h), which is where they are explained; so are their
// errors (UnaryFunctions.h, Microkernels.h). Sine and cosine alone are computed otherwise: in pairs
// of floats, since doubles are slow on many devices.
//
// Nothing is approximate, and nothing needs local memory. quern::NAME is what the CPU calls
// qk_NAME: every function of UnaryFunctions.h, and log, log1p, erf, round_bf16, sqrt, rsqrt.
#ifndef QUERN_CODEGEN_CUDA_DEVICE_MATH_CUH
#define QUERN_CODEGEN_CUDA_DEVICE_MATH_CUH

#include "codegen/cpu/microkernels/UnaryFunctions.h"
#include "codegen/cuda/device/Base.cuh"

namespace quern {

namespace math {

QN_DEVICE u32 bits_of(float x) { return __float_as_uint(x); }
QN_DEVICE float float_of(u32 bits) { return __uint_as_float(bits); }
QN_DEVICE float infinity() { return float_of(0x7f800000u); }
QN_DEVICE float not_a_number() { return float_of(0x7fc00000u); }
QN_DEVICE float absolute(float x) { return float_of(bits_of(x) & 0x7fffffffu); }
/// |magnitude| with the sign of x.
QN_DEVICE float with_sign_of(float magnitude, float x) {
  return float_of((bits_of(magnitude) & 0x7fffffffu) | (bits_of(x) & 0x80000000u));
}

/// c0 + c1*x + ... by Horner's rule.
QN_DEVICE float polynomial(float, float c0) { return c0; }
template <class... Rest> QN_DEVICE float polynomial(float x, float c0, Rest... rest) {
  return fma(polynomial(x, rest...), x, c0);
}

inline constexpr float kLn2High = 0x1.62e430p-1f;
inline constexpr float kLn2Low = -0x1.05c610p-29f;

/// 2^n for n in [-126, 127], 0 for -127; only its low 9 bits count.
QN_DEVICE float power_of_two(u32 n) { return float_of((n + 127u) << 23); }

/// e^x for x in [-104, 89] as 2^n * mantissa; n in two's complement in the low 22 bits.
struct ScaledExponential {
  float mantissa;
  u32 n;
};
QN_DEVICE ScaledExponential scaled_exponential(float x) {
  const float shifted = fma(x, 0x1.715476p+0f, 0x1.8p23f);
  const float n = shifted - 0x1.8p23f;
  const float r = fma(n, -kLn2Low, fma(n, -kLn2High, x));
  const float q =
      polynomial(r, 0.5f, 0x1.55548ep-3f, 0x1.55545ep-5f, 0x1.123b48p-7f, 0x1.6db404p-10f);
  return {fma(q, r * r, r) + 1.0f, bits_of(shifted)};
}

QN_DEVICE float exponential(float x) {
  x = x < -104.0f ? -104.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const ScaledExponential scaled = scaled_exponential(x);
  const u32 exponent = scaled.n - 0x4b400000u;
  const u32 half = static_cast<u32>(static_cast<i32>(exponent) >> 1);
  return scaled.mantissa * power_of_two(half) * power_of_two(exponent - half);
}

/// The same for x <= 0, with 0 instead of denormals.
QN_DEVICE float exponential_below(float x) {
  x = x < -88.0f ? -88.0f : x;
  const ScaledExponential scaled = scaled_exponential(x);
  return scaled.mantissa * power_of_two(scaled.n);
}

QN_DEVICE float logarithm(float x) {
  const bool denormal = x < 0x1p-126f;
  const u32 bits = bits_of(denormal ? x * 0x1p23f : x) - 0x3f3504f3u;
  const float e = static_cast<float>(static_cast<i32>(bits) >> 23) + (denormal ? -23.0f : 0.0f);
  const float f = float_of((bits & 0x7fffffu) + 0x3f3504f3u) - 1.0f;
  const float square = f * f;
  const float p =
      polynomial(f, 0x1.555548p-2f, -0x1.000006p-2f, 0x1.99a4b6p-3f, -0x1.555c4cp-3f,
                 0x1.23375cp-3f, -0x1.fc221ep-4f, 0x1.e6f128p-4f, -0x1.de3bc8p-4f, 0x1.1455b0p-4f);
  const float tail = fma(square, -0.5f, square * f * p);
  float result = fma(e, kLn2High, f + fma(e, kLn2Low, tail));
  result = x == 0.0f ? -infinity() : result;
  result = x < 0.0f ? not_a_number() : result;
  return x < infinity() ? result : x;
}

QN_DEVICE float logarithm_plus_one(float x) {
  const float u = x + 1.0f, of_rounded = logarithm(u);
  const float result = x > -1.0f ? of_rounded + (x - (u - 1.0f)) / u : of_rounded;
  return x < infinity() ? result : x;
}

QN_DEVICE float sigmoid(float x) {
  const float e = exponential(-absolute(x));
  return (x < 0.0f ? e : 1.0f) / (e + 1.0f);
}

QN_DEVICE float hyperbolic_tangent(float x) {
  const float magnitude = absolute(x), square = x * x;
  const float p = polynomial(square, -0x1.555554p-2f, 0x1.11106cp-3f, -0x1.b9ef7cp-5f,
                             0x1.6394d0p-6f, -0x1.0c211ap-7f, 0x1.197ae4p-9f);
  const float near = fma(x * square, p, x);
  const float far = 1.0f - 2.0f / (exponential(magnitude + magnitude) + 1.0f);
  return magnitude < 0.625f ? near : with_sign_of(far, x);
}

QN_DEVICE float error_function(float x) {
  const float magnitude = absolute(x);
  const float p = polynomial(x * x, 0x1.06eba8p-3f, -0x1.81273ep-2f, 0x1.ce2d20p-4f,
                             -0x1.b7fbb4p-6f, 0x1.5419f2p-8f, -0x1.a485d8p-11f, 0x1.4ae498p-14f);
  const float near = fma(x, p, x);
  const float clamped = magnitude > 4.0f ? 4.0f : magnitude;
  const float q =
      polynomial(clamped, 0x1.8a57ecp-13f, -0x1.212c0ep+0f, -0x1.443566p-1f, -0x1.bc1518p-4f,
                 0x1.9d0306p-6f, -0x1.138cbep-8f, 0x1.cec604p-12f, -0x1.6bd7e8p-16f);
  const float far = 1.0f - exponential(q);
  return magnitude < 1.0f ? near : with_sign_of(far, x);
}

/// x, but not less than `least`, or not more than `most`. NaN stays NaN.
QN_DEVICE float clamp_below(float x, float least) { return x < least ? least : x; }
QN_DEVICE float clamp_above(float x, float most) { return x > most ? most : x; }

QN_DEVICE float silu(float x) { return x * sigmoid(x); }
QN_DEVICE float gelu_tanh(float x) {
  const float cubic = fma(x * x * x, 0.044715f, x);
  return x * sigmoid(cubic * 1.5957691216057308f);
}
QN_DEVICE float gelu_erf(float x) {
  return 0.5f * x * (error_function(x * 0.70710678118654752f) + 1.0f);
}
QN_DEVICE float quick_gelu(float x) { return x * sigmoid(x * 1.702f); }
QN_DEVICE float relu_squared(float x) {
  const float positive = x < 0.0f ? 0.0f : x;
  return positive * positive;
}
QN_DEVICE float round_to_bf16(float x) {
  const u32 bits = bits_of(x);
  const u32 rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
  return x == x ? float_of(rounded) : x;
}
QN_DEVICE float softplus(float x) {
  const float positive = x < 0.0f ? 0.0f : x;
  const float result = positive + logarithm_plus_one(exponential(-absolute(x)));
  return x > 20.0f ? x : result;
}

/// sqrt(1 - e^2x) for x <= 0, by 1 - e^2x = tanh(-x) (1 + e^2x), in which nothing cancels.
QN_DEVICE float one_minus_square_root(float x) {
  const float below = clamp_above(x, 0.0f);
  return __fsqrt_rn(hyperbolic_tangent(-below) * (exponential(below + below) + 1.0f));
}

/// x = n pi/2 + high + low with |high| <= pi/4 and |low| at most half its last place: pi/2 in three
/// floats, of which the first times n comes off exactly for |x| <= 1e7 (n has 23 bits then, and
/// what is left lies between 2^-23 and 4).
struct Reduced {
  float high, low;
  u32 quadrant; ///< n, of which the low two bits count
};
QN_DEVICE float nearest_quarter(float x) {
  return static_cast<float>(__float2int_rn(x * 0x1.45f306p-1f));
}
QN_DEVICE Reduced reduced(float x) {
  constexpr float kFirst = -0x1.921fb6p+0f, kSecond = 0x1.777a5cp-25f, kThird = 0x1.ee59dap-50f;
  const float about = nearest_quarter(x); // off by one where it is large
  const float n = about + nearest_quarter(fma(about, kSecond, fma(about, kFirst, x)));
  const float first = fma(n, kFirst, x);
  const float product = n * kSecond, product_low = fma(n, kSecond, -product);
  const float second = first + product, taken = second - first;
  const float lost = (first - (second - taken)) + (product - taken);
  const float rest = fma(n, kThird, lost + product_low);
  const float high = second + rest;
  return {high, (second - high) + rest, static_cast<u32>(__float2int_rz(n))};
}

/// sin(x + quarter*pi/2): of what is left of x, Taylor series with all but their first terms in
/// floats; largest error 0.89 ulp. Beyond 1e7 only within [-1, 1].
QN_DEVICE float sine_of_quarter(float x, u32 quarter) {
  const Reduced of = reduced(x);
  const bool small = absolute(of.high) <= 0.8f; // beyond the promised range it may be anything
  const float r = small ? of.high : x - x;      // 0, or NaN of what is not finite
  const float low = small ? of.low : 0.0f;
  const float square = r * r, square_low = fma(r, r, -square);
  const float sine_tail =
      r * square *
      polynomial(square, -0x1.555556p-3f, 0x1.111112p-7f, -0x1.a01a02p-13f, 0x1.71de3ap-19f);
  const float sine = r + (sine_tail + low);
  const float cosine_head = fma(square, -0.5f, 1.0f);
  const float cosine_tail =
      square * square *
      polynomial(square, 0x1.555556p-5f, -0x1.6c16c2p-10f, 0x1.a01a02p-16f, -0x1.27e4fcp-22f);
  const float lost = fma(square, -0.5f, 1.0f - cosine_head);
  const float cosine = cosine_head + (cosine_tail + (lost - fma(r, low, 0.5f * square_low)));
  const u32 quadrant = of.quadrant + quarter;
  const float magnitude = (quadrant & 1u) != 0 ? cosine : sine;
  return float_of(bits_of(magnitude) ^ (quadrant & 2u) << 30);
}

// What the list of UnaryFunctions.h says, with the functions of this namespace.
#define QN_DEFINE_UNARY(X, NAME, ...)                                                              \
  QN_DEVICE float unary_##NAME(float x) { return __VA_ARGS__; }
QK_FOR_EACH_UNARY_FUNCTION(QN_DEFINE_UNARY, )
#undef QN_DEFINE_UNARY

} // namespace math

#define QN_NAME_UNARY(X, NAME, ...)                                                                \
  QN_DEVICE float NAME(float x) { return math::unary_##NAME(x); }
QK_FOR_EACH_UNARY_FUNCTION(QN_NAME_UNARY, )
#undef QN_NAME_UNARY

QN_DEVICE float log(float x) { return math::logarithm(x); }
QN_DEVICE float log1p(float x) { return math::logarithm_plus_one(x); }
QN_DEVICE float erf(float x) { return math::error_function(x); }
QN_DEVICE float round_bf16(float x) { return math::round_to_bf16(x); }
QN_DEVICE float sqrt(float x) { return __fsqrt_rn(x); }
QN_DEVICE float rsqrt(float x) { return 1.0f / __fsqrt_rn(x); }

} // namespace quern

#endif // QUERN_CODEGEN_CUDA_DEVICE_MATH_CUH
