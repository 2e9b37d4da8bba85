// Floating point as the machine rounds it: to nearest even by the host's own operations; towards
// zero, down and up by way of a float64 that remembers, in its last bit, that something was cut off
// (round to odd).
#ifndef QUERN_TESTS_PTX_ROUNDING_H
#define QUERN_TESTS_PTX_ROUNDING_H

#include "tests/ptx/Lanes.h"

#include <bit>
#include <cmath>
#include <limits>

QUERN_PTX_BEGIN

/// The one NaN that float32 instructions give.
inline float canonical(float value) {
  return value == value ? value : std::bit_cast<float>(0x7fffffffu);
}
inline double canonical(double value) { return value; }

inline float flushed(float value) {
  const u32 bits = std::bit_cast<u32>(value);
  return std::bit_cast<float>((bits & 0x7f800000u) == 0 ? bits & 0x80000000u : bits);
}
inline float saturated(float value) { return value > 0 ? (value < 1 ? value : 1.0f) : 0.0f; }
inline double saturated(double value) { return value > 0 ? (value < 1 ? value : 1.0) : 0.0; }

/// `value`, off from the exact number by the sign of `error` (0: not at all), rounded to odd.
inline double to_odd(double value, double error) {
  u64 bits = std::bit_cast<u64>(value);
  if (error == 0 || (bits & 1) != 0 || !(value - value == 0) || error != error)
    return value;
  bits += (error > 0) == (value > 0) ? u64{1} : ~u64{0};
  return std::bit_cast<double>(bits);
}
inline double add_odd(double a, double b) {
  const double sum = a + b;
  const double b_part = sum - a;
  return to_odd(sum, (a - (sum - b_part)) + (b - b_part));
}
/// Of two float32 values or narrower ones, whose product float64 holds exactly.
inline double fma_odd(double a, double b, double c) { return add_odd(a * b, c); }
inline double div_odd(double a, double b) {
  const double quotient = a / b;
  const double rest = std::fma(-quotient, b, a);
  return to_odd(quotient, b > 0 ? rest : -rest);
}
inline double sqrt_odd(double a) {
  const double root = std::sqrt(a);
  return to_odd(root, std::fma(-root, root, a));
}

/// An odd-rounded number to float32.
template <Round kRound> float narrowed(double value) {
  const float nearest = static_cast<float>(value);
  if (kRound == Round::Nearest || nearest != nearest)
    return nearest;
  const double back = nearest;
  const float infinity = std::numeric_limits<float>::infinity();
  if (std::isinf(nearest) && std::isinf(value))
    return nearest;
  const bool down = kRound == Round::Down || (kRound == Round::Zero && value > 0);
  if (down && back > value)
    return std::nextafterf(nearest, -infinity);
  if (!down && back < value)
    return std::nextafterf(nearest, infinity);
  return nearest;
}

// Sums that are exactly zero are +0, but -0 where rounding is down.
template <Round kRound> float add_rounded(float a, float b) {
  if constexpr (kRound == Round::Nearest)
    return a + b;
  const double sum = add_odd(a, b);
  if (kRound == Round::Down && sum == 0 && !(std::signbit(a) == std::signbit(b)))
    return -0.0f;
  return narrowed<kRound>(sum);
}
template <Round kRound> float mul_rounded(float a, float b) {
  if constexpr (kRound == Round::Nearest)
    return a * b;
  return narrowed<kRound>(static_cast<double>(a) * b);
}
template <Round kRound> float fma_rounded(float a, float b, float c) {
  if constexpr (kRound == Round::Nearest)
    return std::fma(a, b, c);
  const double product = static_cast<double>(a) * b;
  const double sum = add_odd(product, c);
  if (kRound == Round::Down && sum == 0 && std::signbit(product) != std::signbit(c))
    return -0.0f;
  return narrowed<kRound>(sum);
}
template <Round kRound> float div_rounded(float a, float b) {
  if constexpr (kRound == Round::Nearest)
    return a / b;
  return narrowed<kRound>(
      std::isfinite(a) && std::isfinite(b) && b != 0 ? div_odd(a, b) : static_cast<double>(a) / b);
}
template <Round kRound> float sqrt_rounded(float a) {
  if constexpr (kRound == Round::Nearest)
    return std::sqrt(a);
  return narrowed<kRound>(a > 0 && std::isfinite(a) ? sqrt_odd(a)
                                                    : std::sqrt(static_cast<double>(a)));
}

/// float32 to bfloat16; NaN becomes the one that the machine gives.
template <Round kRound = Round::Nearest> u16 bf16_of(float value) {
  const u32 bits = std::bit_cast<u32>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return 0x7fff;
  if (kRound == Round::Nearest)
    return static_cast<u16>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  return static_cast<u16>(bits >> 16); // towards zero
}
inline float float_of(Bf16 value) {
  return std::bit_cast<float>(static_cast<u32>(value.bits) << 16);
}
/// A number rounded to odd in float64, to bfloat16 with one rounding.
inline u16 bf16_of_odd(double value) {
  // float32 rounded to odd holds what is needed: it has more than two bits more than bfloat16.
  const float nearest = static_cast<float>(value);
  if (nearest != nearest || std::isinf(nearest)) {
    if (std::isinf(nearest) && !std::isinf(value))
      return bf16_of(nearest);
    return bf16_of(nearest);
  }
  u32 bits = std::bit_cast<u32>(nearest);
  const double back = nearest;
  if (back != value && (bits & 1) == 0) {
    const bool up = value > back;
    if (nearest == 0)
      bits = up ? 1u : 0x80000001u;
    else
      bits += up == (nearest > 0) ? 1u : ~0u;
  }
  return bf16_of(std::bit_cast<float>(bits));
}

/// float64, or a sum rounded to odd in it, to float16 with one rounding.
inline _Float16 f16_of(double value) { return static_cast<_Float16>(value); }
inline u16 bits_of(_Float16 value) { return std::bit_cast<u16>(value); }
inline u16 canonical_bits(_Float16 value) {
  return value == value ? std::bit_cast<u16>(value) : u16{0x7fff};
}
inline _Float16 f16_from(u32 bits) { return std::bit_cast<_Float16>(static_cast<u16>(bits)); }

QUERN_PTX_END

#endif // QUERN_TESTS_PTX_ROUNDING_H
