// The ops of arith and math as functions of many numbers at once (internal to ir/reference): of a
// block of points in a body, or of all elements of tensors.
#ifndef QUERN_IR_REFERENCE_LANES_H
#define QUERN_IR_REFERENCE_LANES_H

#include "ir/reference/Tensor.h"

#include "mlir/IR/Operation.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"

#include <absl/status/status.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace quern::reference {

/// One value for many points: numbers as a Tensor keeps them, in the vector of their kind.
struct Lanes {
  std::vector<double> floats;
  std::vector<int64_t> ints;
};

/// An op on the first `count` numbers of its operands; results have room for as many.
struct LaneCall {
  mlir::Operation *op;
  size_t count;
  llvm::ArrayRef<const Lanes *> in;
  llvm::ArrayRef<Lanes *> out;

  mlir::Type in_type(unsigned i) const {
    return mlir::getElementTypeOrSelf(op->getOperand(i).getType());
  }
  mlir::Type out_type() const { return mlir::getElementTypeOrSelf(op->getResult(0).getType()); }
};

/// Integers are wrapped to their type; floats are not rounded yet: whoever calls rounds them to the
/// result's type, or does not.
using LaneFn = absl::Status (*)(const LaneCall &);
using LaneTable = llvm::StringMap<LaneFn>;

/// Every op that there is a function of, by name ("arith.addf").
const LaneTable &lane_table();

/// The registrations of Lanes<Family>.cpp.
void add_integer_lanes(LaneTable &table);
void add_float_lanes(LaneTable &table);
void add_cast_lanes(LaneTable &table);
void add_math_lanes(LaneTable &table);

/// arith.maximumf: -0 is less than +0, and a NaN is the result. minimumf is -maximum(-a, -b).
double maximum(double a, double b);

/// result = F(operands): floats, read and written as they are.
template <auto F> absl::Status float_unary(const LaneCall &c) {
  const double *a = c.in[0]->floats.data();
  double *y = c.out[0]->floats.data();
  for (size_t i = 0; i < c.count; ++i)
    y[i] = F(a[i]);
  return absl::OkStatus();
}
template <auto F> absl::Status float_binary(const LaneCall &c) {
  const double *a = c.in[0]->floats.data(), *b = c.in[1]->floats.data();
  double *y = c.out[0]->floats.data();
  for (size_t i = 0; i < c.count; ++i)
    y[i] = F(a[i], b[i]);
  return absl::OkStatus();
}
template <auto F> absl::Status float_ternary(const LaneCall &c) {
  const double *a = c.in[0]->floats.data(), *b = c.in[1]->floats.data(),
               *d = c.in[2]->floats.data();
  double *y = c.out[0]->floats.data();
  for (size_t i = 0; i < c.count; ++i)
    y[i] = F(a[i], b[i], d[i]);
  return absl::OkStatus();
}

/// result = F(a, b) of signed numbers, or of unsigned ones, wrapped to the result's width.
template <auto F> absl::Status signed_binary(const LaneCall &c) {
  const int64_t *a = c.in[0]->ints.data(), *b = c.in[1]->ints.data();
  int64_t *y = c.out[0]->ints.data();
  const unsigned width = width_of(c.in_type(0));
  for (size_t i = 0; i < c.count; ++i)
    y[i] = wrapped(static_cast<int64_t>(F(as_signed(a[i], width), as_signed(b[i], width))), width);
  return absl::OkStatus();
}
template <auto F> absl::Status unsigned_binary(const LaneCall &c) {
  const int64_t *a = c.in[0]->ints.data(), *b = c.in[1]->ints.data();
  int64_t *y = c.out[0]->ints.data();
  const unsigned width = width_of(c.in_type(0));
  for (size_t i = 0; i < c.count; ++i)
    y[i] =
        wrapped(static_cast<int64_t>(F(as_unsigned(a[i], width), as_unsigned(b[i], width))), width);
  return absl::OkStatus();
}

} // namespace quern::reference

#endif // QUERN_IR_REFERENCE_LANES_H
