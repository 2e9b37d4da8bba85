// Functions of math.
#include "ir/reference/Lanes.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <algorithm>
#include <cmath>

namespace quern::reference {
namespace {

template <auto F> absl::Status classify(const LaneCall &c) {
  for (size_t i = 0; i < c.count; ++i)
    c.out[0]->ints[i] = F(c.in[0]->floats[i]) ? 1 : 0;
  return absl::OkStatus();
}

/// Normal in the operand's type: neither 0, infinite, NaN nor below its least exponent.
absl::Status isnormal(const LaneCall &c) {
  const auto type = mlir::cast<mlir::FloatType>(c.in_type(0));
  const double least =
      std::ldexp(1.0, llvm::APFloat::semanticsMinExponent(type.getFloatSemantics()));
  for (size_t i = 0; i < c.count; ++i) {
    const double x = c.in[0]->floats[i];
    c.out[0]->ints[i] = std::isfinite(x) && std::abs(x) >= least ? 1 : 0;
  }
  return absl::OkStatus();
}

absl::Status sincos(const LaneCall &c) {
  for (size_t i = 0; i < c.count; ++i) {
    c.out[0]->floats[i] = std::sin(c.in[0]->floats[i]);
    c.out[1]->floats[i] = std::cos(c.in[0]->floats[i]);
  }
  return absl::OkStatus();
}

absl::Status fpowi(const LaneCall &c) {
  const unsigned width = width_of(c.in_type(1));
  for (size_t i = 0; i < c.count; ++i)
    c.out[0]->floats[i] =
        std::pow(c.in[0]->floats[i], static_cast<double>(as_signed(c.in[1]->ints[i], width)));
  return absl::OkStatus();
}

/// To nearest, ties to even, whatever the mode of the machine.
double round_even(double x) {
  const double y = std::round(x);
  return std::abs(x - std::trunc(x)) == 0.5 ? std::copysign(2 * std::round(x / 2), x) : y;
}

} // namespace

void add_math_lanes(LaneTable &table) {
  using D = double;
  table["math.absf"] = float_unary<[](D x) { return std::abs(x); }>;
  table["math.acos"] = float_unary<[](D x) { return std::acos(x); }>;
  table["math.acosh"] = float_unary<[](D x) { return std::acosh(x); }>;
  table["math.asin"] = float_unary<[](D x) { return std::asin(x); }>;
  table["math.asinh"] = float_unary<[](D x) { return std::asinh(x); }>;
  table["math.atan"] = float_unary<[](D x) { return std::atan(x); }>;
  table["math.atanh"] = float_unary<[](D x) { return std::atanh(x); }>;
  table["math.atan2"] = float_binary<[](D y, D x) { return std::atan2(y, x); }>;
  table["math.cbrt"] = float_unary<[](D x) { return std::cbrt(x); }>;
  table["math.ceil"] = float_unary<[](D x) { return std::ceil(x); }>;
  table["math.clampf"] =
      float_ternary<[](D x, D least, D most) { return std::fmax(std::fmin(x, most), least); }>;
  table["math.copysign"] = float_binary<[](D x, D sign) { return std::copysign(x, sign); }>;
  table["math.cos"] = float_unary<[](D x) { return std::cos(x); }>;
  table["math.cosh"] = float_unary<[](D x) { return std::cosh(x); }>;
  table["math.erf"] = float_unary<[](D x) { return std::erf(x); }>;
  table["math.erfc"] = float_unary<[](D x) { return std::erfc(x); }>;
  table["math.exp"] = float_unary<[](D x) { return std::exp(x); }>;
  table["math.exp2"] = float_unary<[](D x) { return std::exp2(x); }>;
  table["math.expm1"] = float_unary<[](D x) { return std::expm1(x); }>;
  table["math.floor"] = float_unary<[](D x) { return std::floor(x); }>;
  table["math.fma"] = float_ternary<[](D a, D b, D c) { return std::fma(a, b, c); }>;
  table["math.fpowi"] = fpowi;
  table["math.isfinite"] = classify<[](D x) { return std::isfinite(x); }>;
  table["math.isinf"] = classify<[](D x) { return std::isinf(x); }>;
  table["math.isnan"] = classify<[](D x) { return std::isnan(x); }>;
  table["math.isnormal"] = isnormal;
  table["math.log"] = float_unary<[](D x) { return std::log(x); }>;
  table["math.log10"] = float_unary<[](D x) { return std::log10(x); }>;
  table["math.log1p"] = float_unary<[](D x) { return std::log1p(x); }>;
  table["math.log2"] = float_unary<[](D x) { return std::log2(x); }>;
  table["math.powf"] = float_binary<[](D x, D y) { return std::pow(x, y); }>;
  table["math.round"] = float_unary<[](D x) { return std::round(x); }>;
  table["math.roundeven"] = float_unary<round_even>;
  table["math.rsqrt"] = float_unary<[](D x) { return 1 / std::sqrt(x); }>;
  table["math.sin"] = float_unary<[](D x) { return std::sin(x); }>;
  table["math.sincos"] = sincos;
  table["math.sinh"] = float_unary<[](D x) { return std::sinh(x); }>;
  table["math.sqrt"] = float_unary<[](D x) { return std::sqrt(x); }>;
  table["math.tan"] = float_unary<[](D x) { return std::tan(x); }>;
  table["math.tanh"] = float_unary<[](D x) { return std::tanh(x); }>;
  table["math.trunc"] = float_unary<[](D x) { return std::trunc(x); }>;
}

} // namespace quern::reference
