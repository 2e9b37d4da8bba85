// Casts of arith. A float that an integer type does not hold is poison by their definition: here
// it becomes the nearest number that the type has, and a NaN becomes 0.
#include "ir/reference/Lanes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <cmath>

namespace quern::reference {
namespace {

absl::Status extend_signed(const LaneCall &c) {
  const unsigned from = width_of(c.in_type(0)), to = width_of(c.out_type());
  for (size_t i = 0; i < c.count; ++i)
    c.out[0]->ints[i] = wrapped(as_signed(c.in[0]->ints[i], from), to);
  return absl::OkStatus();
}

absl::Status extend_unsigned(const LaneCall &c) {
  const unsigned from = width_of(c.in_type(0)), to = width_of(c.out_type());
  for (size_t i = 0; i < c.count; ++i)
    c.out[0]->ints[i] = wrapped(static_cast<int64_t>(as_unsigned(c.in[0]->ints[i], from)), to);
  return absl::OkStatus();
}

/// Floats keep their numbers until they are rounded to the result's type.
absl::Status convert_float(const LaneCall &c) {
  std::copy_n(c.in[0]->floats.begin(), c.count, c.out[0]->floats.begin());
  return absl::OkStatus();
}

absl::Status truncf(const LaneCall &c) {
  const auto mode = mlir::cast<mlir::arith::TruncFOp>(c.op).getRoundingmode();
  if (mode && *mode != mlir::arith::RoundingMode::to_nearest_even)
    return absl::UnimplementedError("the interpreter rounds to nearest even only");
  return convert_float(c);
}

/// Integers of 64 bits round once: a double does not hold them all, so they are rounded to the
/// result's type from their own digits.
template <class T> double rounded_integer(T value, mlir::FloatType type) {
  const auto near = static_cast<double>(value);
  if (type.isF64() || static_cast<T>(static_cast<__int128>(near)) == value)
    return near;
  // Beyond 2^53: a double that is not even in its last digit, and so no tie, says where it lies.
  T high = value & ~T{0xfff};
  if (high != value)
    high |= 0x800;
  return static_cast<double>(high);
}
absl::Status sitofp(const LaneCall &c) {
  const unsigned from = width_of(c.in_type(0));
  const auto type = mlir::cast<mlir::FloatType>(c.out_type());
  for (size_t i = 0; i < c.count; ++i)
    c.out[0]->floats[i] = rounded_integer<int64_t>(as_signed(c.in[0]->ints[i], from), type);
  return absl::OkStatus();
}
absl::Status uitofp(const LaneCall &c) {
  const unsigned from = width_of(c.in_type(0));
  const auto type = mlir::cast<mlir::FloatType>(c.out_type());
  for (size_t i = 0; i < c.count; ++i)
    c.out[0]->floats[i] = rounded_integer<uint64_t>(as_unsigned(c.in[0]->ints[i], from), type);
  return absl::OkStatus();
}

absl::Status fptosi(const LaneCall &c) {
  const unsigned width = width_of(c.out_type());
  const double limit = std::ldexp(1.0, static_cast<int>(width) - 1);
  for (size_t i = 0; i < c.count; ++i) {
    const double x = std::trunc(c.in[0]->floats[i]);
    int64_t y = 0;
    if (x >= limit)
      y = static_cast<int64_t>((uint64_t{1} << (width - 1)) - 1);
    else if (x <= -limit)
      y = width == 64 ? INT64_MIN : -(int64_t{1} << (width - 1));
    else if (!std::isnan(x))
      y = static_cast<int64_t>(x);
    c.out[0]->ints[i] = wrapped(y, width);
  }
  return absl::OkStatus();
}
absl::Status fptoui(const LaneCall &c) {
  const unsigned width = width_of(c.out_type());
  const double limit = std::ldexp(1.0, static_cast<int>(width));
  for (size_t i = 0; i < c.count; ++i) {
    const double x = std::trunc(c.in[0]->floats[i]);
    uint64_t y = 0;
    if (x >= limit)
      y = UINT64_MAX;
    else if (x > 0)
      y = static_cast<uint64_t>(x);
    c.out[0]->ints[i] = wrapped(static_cast<int64_t>(y), width);
  }
  return absl::OkStatus();
}

absl::Status bitcast(const LaneCall &c) {
  const auto from = mlir::dyn_cast<mlir::FloatType>(c.in_type(0)),
             to = mlir::dyn_cast<mlir::FloatType>(c.out_type());
  for (size_t i = 0; i < c.count; ++i) {
    const int64_t bits = from ? float_to_bits(from, c.in[0]->floats[i]) : c.in[0]->ints[i];
    if (to)
      c.out[0]->floats[i] = bits_to_float(to, bits);
    else
      c.out[0]->ints[i] = wrapped(bits, width_of(c.out_type()));
  }
  return absl::OkStatus();
}

} // namespace

void add_cast_lanes(LaneTable &table) {
  table["arith.extsi"] = extend_signed;
  table["arith.extui"] = extend_unsigned;
  table["arith.trunci"] = extend_signed;
  table["arith.index_cast"] = extend_signed;
  table["arith.index_castui"] = extend_unsigned;
  table["arith.extf"] = convert_float;
  table["arith.truncf"] = truncf;
  table["arith.sitofp"] = sitofp;
  table["arith.uitofp"] = uitofp;
  table["arith.fptosi"] = fptosi;
  table["arith.fptoui"] = fptoui;
  table["arith.bitcast"] = bitcast;
}

} // namespace quern::reference
