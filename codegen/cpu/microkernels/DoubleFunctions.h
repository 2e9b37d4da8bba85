// Elementary functions of double: what general tensor programs ask for in float64, and in float32
// where MathFunctions.h has nothing of its own. Accuracy: Microkernels.h.
//
// Series are Taylor's, long enough for double on the small intervals that arguments are reduced to,
// so that no coefficient has to be fitted. Branch-free but for loops of fixed length.
#ifndef QUERN_CODEGEN_CPU_MICROKERNELS_DOUBLEFUNCTIONS_H
#define QUERN_CODEGEN_CPU_MICROKERNELS_DOUBLEFUNCTIONS_H

#include "codegen/cpu/microkernels/Vector.h"

namespace quern::micro {

inline constexpr double kInfinity = __builtin_inf();
inline constexpr double kNotANumber = __builtin_nan("");
// Each in two parts, the second what the first has rounded away.
inline constexpr double kPi = 0x1.921fb54442d18p+1, kPiLow = 0x1.1a62633145c07p-53;
inline constexpr double kLn2 = 0x1.62e42fefa39efp-1, kLn2Rest = 0x1.abc9e3b39803fp-56;
// With so few bits that a multiple of it is exact.
inline constexpr double kLn2Short = 0x1.62e42feep-1, kLn2ShortRest = 0x1.a39ef35793c76p-33;

QK_INLINE uint64_t bits_of(double x) { return __builtin_bit_cast(uint64_t, x); }
QK_INLINE double of_bits(uint64_t bits) { return __builtin_bit_cast(double, bits); }
QK_INLINE double magnitude(double x) { return __builtin_elementwise_abs(x); }
QK_INLINE double with_sign_of(double x, double sign) {
  return __builtin_elementwise_copysign(x, sign);
}

/// 2^n for n in [-1022, 1023].
QK_INLINE double two_to(int64_t n) { return of_bits(static_cast<uint64_t>(n + 1023) << 52); }

/// c[0] + c[1]*x + ... by Horner's rule.
template <int N> QK_INLINE double series(double x, const double (&c)[N]) {
  double sum = c[N - 1];
  QK_UNROLL for (int i = N - 2; i >= 0; --i) sum = fma(sum, x, c[i]);
  return sum;
}

/// x = n ln2 + r, |r| <= ln2/2, and e^r - 1.
struct Reduced {
  int64_t n;
  double less_one;

  QK_INLINE Reduced of(double x) {
    constexpr double kFactorials[] = {1.0 / 2,        1.0 / 6,         1.0 / 24,
                                      1.0 / 120,      1.0 / 720,       1.0 / 5040,
                                      1.0 / 40320,    1.0 / 362880,    1.0 / 3628800,
                                      1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
    constexpr double kRound = 0x1.8p52; // adding it leaves the rounded integer in the low bits
    const double shifted = fma(x, 0x1.71547652b82fep+0, kRound);
    const double n = shifted - kRound;
    const double r = fma(n, -kLn2Rest, fma(n, -kLn2, x));
    return {static_cast<int64_t>(bits_of(shifted) - bits_of(kRound)),
            fma(r * r, series(r, kFactorials), r)};
  }
};

QK_INLINE double exponential(double x) {
  const double above = x < -746.0 ? -746.0 : x; // e^-746 rounds to 0, e^710 to infinity
  const auto reduced = Reduced::of(above > 710.0 ? 710.0 : above);
  // In two halves, so that the ends of the range are reached.
  const int64_t half = reduced.n >> 1;
  const double result = (reduced.less_one + 1.0) * two_to(half) * two_to(reduced.n - half);
  return x == x ? result : x;
}

/// In base 2 nothing of an integer is lost.
QK_INLINE double exponential_2(double x) {
  const double above = x < -1080.0 ? -1080.0 : x, within = above > 1025.0 ? 1025.0 : above;
  const double n = __builtin_elementwise_roundeven(within);
  const double mantissa = exponential((within - n) * kLn2);
  const int64_t whole = static_cast<int32_t>(n), half = whole >> 1;
  const double result = mantissa * two_to(half) * two_to(whole - half);
  return x == x ? result : x;
}

QK_INLINE double exponential_less_one(double x) {
  const double above = x < -60.0 ? -60.0 : x;
  const auto reduced = Reduced::of(above > 700.0 ? 700.0 : above);
  const double scale = two_to(reduced.n);
  const double result = fma(scale, reduced.less_one, scale - 1.0);
  const double chosen = x > 60.0 ? exponential(x) : result;
  return x == x && x != 0.0 ? chosen : x;
}

/// x = 2^e (1 + f), 1 + f in [sqrt(1/2), sqrt 2), of a positive finite x.
struct Parts {
  double e, f;

  QK_INLINE Parts of(double x) {
    constexpr uint64_t kRootHalf = 0x3fe6a09e667f3bcd;
    const double normal = x < 0x1p-1022 ? x * 0x1p54 : x;
    const uint64_t bits = bits_of(normal) - kRootHalf;
    const int64_t e = static_cast<int64_t>(bits) >> 52;
    return {static_cast<double>(static_cast<int32_t>(e)) + (x < 0x1p-1022 ? -54.0 : 0.0),
            of_bits((bits & 0xfffffffffffff) + kRootHalf) - 1.0};
  }
  /// z (2/3 + z (2/5 + ...)), which is log(1+f)/s - 2 for s = f/(2+f), z = s^2.
  QK_INLINE double tail(double z) {
    constexpr double kOdd[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11,
                               2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21};
    return z * series(z, kOdd);
  }
  /// log(1+f) = f - f^2/2 + s (f^2/2 + tail).
  __attribute__((always_inline)) double logarithm(double carried) const {
    const double s = f / (2.0 + f), half = 0.5 * f * f;
    return f - (half - fma(s, half + tail(s * s), carried));
  }
};

/// What a logarithm is where its argument is no positive finite number.
QK_INLINE double of_no_number(double x, double result) {
  result = x == 0.0 ? -kInfinity : result;
  result = x < 0.0 ? kNotANumber : result;
  return x < kInfinity ? result : x;
}

QK_INLINE double logarithm(double x) {
  const auto parts = Parts::of(x);
  return of_no_number(x, fma(parts.e, kLn2Short, parts.logarithm(parts.e * kLn2ShortRest)));
}
QK_INLINE double logarithm_2(double x) {
  const auto parts = Parts::of(x);
  return of_no_number(x, fma(parts.logarithm(0.0), 0x1.71547652b82fep+0, parts.e));
}
QK_INLINE double logarithm_10(double x) {
  const double natural = logarithm(x); // log10(e) in two parts
  return fma(natural, 0x1.bcb7b1526e50ep-2, natural * 0x1.95355baaafad3p-57);
}
QK_INLINE double logarithm_plus_one(double x) {
  const double u = x + 1.0;
  const double corrected = logarithm(u) + (x - (u - 1.0)) / u;
  const double result = x > -1.0 ? corrected : logarithm(u);
  return x < kInfinity && x != 0.0 ? result : x;
}

/// sin(x + quarter*pi/2). For |x| > 2^50 NaN: what is left of such a number after division by pi/2
/// would take more digits of it.
QK_INLINE double sine_of_quarter(double x, uint64_t quarter) {
  constexpr double kRound = 0x1.8p52;
  constexpr double kSine[] = {
      -1.0 / 6,        1.0 / 120,        -1.0 / 5040,          1.0 / 362880,
      -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000, 1.0 / 355687428096000};
  constexpr double kCosine[] = {
      1.0 / 24,        -1.0 / 720,         1.0 / 40320,          -1.0 / 3628800,
      1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000, -1.0 / 6402373705728000};
  const double within = magnitude(x) <= 0x1p50 ? x : kNotANumber;
  const double shifted = fma(within, 0x1.45f306dc9c883p-1, kRound), n = shifted - kRound;
  const double first = fma(n, -kPi / 2, within);
  const double second = n * (kPiLow / 2), r = first - second, moved = r - first;
  const double low = ((first - (r - moved)) - (second + moved)) - fma(n, kPiLow / 2, -second) +
                     n * 0x1.f1976b7ed8fbcp-110;
  const double z = r * r;
  const double sine = r + fma(r * z, series(z, kSine), low * (1.0 - 0.5 * z));
  const double half = 0.5 * z, base = 1.0 - half;
  const double cosine = base + (((1.0 - base) - half) + fma(z * z, series(z, kCosine), -r * low));
  const uint64_t quadrant = bits_of(shifted) + quarter;
  const double magnitude = (quadrant & 1) != 0 ? cosine : sine;
  const double result = of_bits(bits_of(magnitude) ^ (quadrant & 2) << 62);
  return quarter == 0 && x == 0.0 ? x : result;
}
QK_INLINE double tangent(double x) { return sine_of_quarter(x, 0) / sine_of_quarter(x, 1); }

/// In parts around 0, pi/4 and pi/2, in each of which the argument is under tan(pi/8).
QK_INLINE double arc_tangent(double x) {
  constexpr double kOdd[] = {-1.0 / 3,  1.0 / 5,  -1.0 / 7,  1.0 / 9,  -1.0 / 11, 1.0 / 13,
                             -1.0 / 15, 1.0 / 17, -1.0 / 19, 1.0 / 21, -1.0 / 23, 1.0 / 25,
                             -1.0 / 27, 1.0 / 29, -1.0 / 31, 1.0 / 33, -1.0 / 35, 1.0 / 37,
                             -1.0 / 39, 1.0 / 41, -1.0 / 43};
  const double a = magnitude(x);
  const bool far = a > 2.414213562373095, middle = a > 0.4142135623730951;
  const double t = (far ? -1.0 : middle ? a - 1.0 : a) / (far ? a : middle ? a + 1.0 : 1.0);
  const double quarters = far ? 2.0 : middle ? 1.0 : 0.0;
  const double z = t * t;
  const double result =
      fma(quarters, kPi / 4, t + fma(t * z, series(z, kOdd), quarters * (kPiLow / 4)));
  return with_sign_of(result, x);
}
QK_INLINE double arc_tangent(double y, double x) {
  const double up = magnitude(y), along = magnitude(x);
  double ratio = up / along;
  ratio = up == 0.0 && along == 0.0 ? 0.0 : ratio;
  ratio = up == kInfinity && along == kInfinity ? 1.0 : ratio;
  const double angle = arc_tangent(ratio);
  return with_sign_of(with_sign_of(1.0, x) < 0.0 ? kPi - (angle - kPiLow) : angle, y);
}
QK_INLINE double square_root(double x) { return __builtin_elementwise_sqrt(x); }
QK_INLINE double arc_sine(double x) { return arc_tangent(x, square_root((1.0 - x) * (1.0 + x))); }
QK_INLINE double arc_cosine(double x) {
  return 2.0 * arc_tangent(square_root(1.0 - x), square_root(1.0 + x));
}

QK_INLINE double hyperbolic_sine(double x) {
  const double a = magnitude(x), e = exponential_less_one(a), root = exponential(0.5 * a);
  const double near = 0.5 * (e + e / (e + 1.0));
  return with_sign_of(a > 700.0 ? 0.5 * root * root : near, x);
}
QK_INLINE double hyperbolic_cosine(double x) {
  const double a = magnitude(x), e = exponential(a), root = exponential(0.5 * a);
  return a > 700.0 ? 0.5 * root * root : fma(0.5, e, 0.5 / e);
}
QK_INLINE double hyperbolic_tangent(double x) {
  const double a = magnitude(x), e = exponential_less_one(a > 22.0 ? 44.0 : a + a);
  return with_sign_of(x == x ? e / (e + 2.0) : x, x);
}
QK_INLINE double area_sine(double x) {
  const double a = magnitude(x), square = a * a;
  const double near = logarithm_plus_one(a + square / (1.0 + square_root(square + 1.0)));
  return with_sign_of(a > 0x1p28 ? logarithm(a) + kLn2 : near, x);
}
QK_INLINE double area_cosine(double x) {
  const double t = x - 1.0;
  const double near = logarithm_plus_one(t + square_root(fma(t, t, t + t)));
  return x < 1.0 ? kNotANumber : x > 0x1p28 ? logarithm(x) + kLn2 : near;
}
QK_INLINE double area_tangent(double x) {
  const double a = magnitude(x);
  return with_sign_of(0.5 * logarithm_plus_one((a + a) / (1.0 - a)), x);
}

/// By the exponential, and one of Newton's steps.
QK_INLINE double cube_root(double x) {
  const double a = magnitude(x), t = exponential(logarithm(a) * (1.0 / 3));
  const double result = t - (fma(t * t, t, -a)) / (3.0 * t * t);
  return a == 0.0 || !(a < kInfinity) ? x : with_sign_of(result, x);
}

/// e^-x^2, with what the square rounds away.
QK_INLINE double bell(double x) {
  const double square = x * x;
  const double e = exponential(-square);
  return e == 0.0 ? e : fma(e, -fma(x, x, -square), e);
}
/// erfc for x >= 1 as a continued fraction.
QK_INLINE double fraction_of_bell(double x) {
  double below = x;
  for (int k = 200; k >= 1; --k)
    below = x + 0.5 * k / below;
  return bell(x) * 0x1.20dd750429b6dp-1 / below;
}
/// 2/sqrt(pi) (x - x^3/3 + x^5/(2! 5) - ...) below 1.
QK_INLINE double error_function(double x) {
  constexpr double kSeries[] = {-1.0 / 3,
                                1.0 / 10,
                                -1.0 / 42,
                                1.0 / 216,
                                -1.0 / 1320,
                                1.0 / 9360,
                                -1.0 / 75600,
                                1.0 / 685440,
                                -1.0 / 6894720,
                                1.0 / 76204800,
                                -1.0 / 918086400,
                                1.0 / 11975040000,
                                -1.0 / 168129561600,
                                1.0 / 2528170444800,
                                -1.0 / 40537905408000,
                                1.0 / 690452066304000,
                                -1.0 / 12449059983360000,
                                1.0 / 236887827111936000};
  const double a = magnitude(x), far = a < 1.0 ? 1.0 : a < 7.0 ? a : 7.0, z = a * a;
  const double near = fma(a * z, series(z, kSeries), a) * 0x1.20dd750429b6dp+0;
  const double result = a < 1.0 ? near : 1.0 - fraction_of_bell(far);
  return x == x ? with_sign_of(result, x) : x;
}
QK_INLINE double error_function_complement(double x) {
  const double far = x < 1.0 ? 1.0 : x < 28.0 ? x : 28.0;
  const double result = x < 1.0 ? 1.0 - error_function(x) : fraction_of_bell(far);
  return x == x ? result : x;
}

/// e^(y log|x|), the logarithm in two parts.
QK_INLINE double power(double x, double y) {
  const double a = magnitude(x);
  const auto parts = Parts::of(a);
  const double t = 2.0 + parts.f, s = parts.f / t;
  const double low = (fma(-s, t, parts.f) - s * (parts.f - (t - 2.0))) / t;
  const double big = parts.e * kLn2Short, first = big + 2.0 * s;
  const double rest =
      (2.0 * s - (first - big)) + (fma(s, Parts::tail(s * s), low + low) + parts.e * kLn2ShortRest);
  const double log = first + rest, log_low = rest - (log - first);
  const double p = y * log, p_low = fma(y, log, -p) + y * log_low;
  const double e = exponential(p);
  double result = magnitude(p) < 745.0 ? fma(e, p_low, e) : e;
  const bool grows = (a > 1.0) == (y > 0.0);
  result = a == 0.0 || a == kInfinity || magnitude(y) == kInfinity ? (a == 1.0 ? 1.0
                                                                      : grows  ? kInfinity
                                                                               : 0.0)
                                                                   : result;
  const double whole = __builtin_elementwise_trunc(y), half = 0.5 * y;
  const bool odd = whole == y && __builtin_elementwise_trunc(half) != half;
  const bool negative = with_sign_of(1.0, x) < 0.0;
  result = negative && odd ? -result : result;
  result = negative && whole != y && a != 0.0 && a != kInfinity ? kNotANumber : result;
  result = x == x && y == y ? result : x + y;
  return y == 0.0 || x == 1.0 ? 1.0 : result;
}

/// The exponent of a positive number as its bits have it, below the normal ones counted on.
QK_INLINE int64_t exponent_of(double x) {
  const uint64_t bits = bits_of(x);
  const auto field = static_cast<int64_t>(bits >> 52);
  return field != 0 ? field : 12 - __builtin_clzll(bits | 1);
}

/// x - n y, exactly, n being x/y rounded towards 0.
QK_INLINE double remainder(double x, double y) {
  const double a = magnitude(x), b = magnitude(y);
  if (!(a < kInfinity) || !(b > 0.0))
    return kNotANumber;
  double rest = a;
  // The greatest 2^k b that is not above what is left: each difference is exact.
  while (rest >= b) {
    const int64_t k = exponent_of(rest) - exponent_of(b);
    const int64_t first = k < 1000 ? k : 1000, second = k - first < 1000 ? k - first : 1000;
    const double most = b * two_to(first) * two_to(second);
    double step = most * two_to(k - first - second);
    step = step > rest ? most * two_to(k - first - second - 1) : step;
    rest -= step;
  }
  return with_sign_of(rest, x);
}

/// The nearest float towards 0, its last bit set where something is lost: rounded once more to a
/// shorter type it gives what rounding x itself does.
QK_INLINE float round_to_odd(double x) {
  const auto nearest = static_cast<float>(x);
  const auto bits = __builtin_bit_cast(uint32_t, nearest);
  const double back = nearest;
  const uint32_t moved = magnitude(back) > magnitude(x) ? bits - 1 : bits + 1;
  const bool stays = back == x || x != x || (bits & 1) != 0;
  return __builtin_bit_cast(float, stays ? bits : moved);
}

} // namespace quern::micro

#endif // QUERN_CODEGEN_CPU_MICROKERNELS_DOUBLEFUNCTIONS_H
