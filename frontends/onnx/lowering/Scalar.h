// Arithmetic on single elements, written as formulas: what the bodies of linalg.generic are made
// of.
//
// A Scalar is a value with the ONNX type that says how its bits are read. Operators write ops of
// arith and math where the builder stands; numbers beside a Scalar become constants of its type.
// Indices are Scalars, too (of type Int64, held as `index`). Operands of an operator have one type.
#ifndef QUERN_FRONTENDS_ONNX_LOWERING_SCALAR_H
#define QUERN_FRONTENDS_ONNX_LOWERING_SCALAR_H

#include "frontends/onnx/lowering/Types.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <cstdint>
#include <vector>

namespace quern::onnx {

/// Where formulas are written.
struct Writer {
  mlir::OpBuilder &b;
  mlir::Location loc;
};

struct Scalar {
  Writer *w = nullptr;
  mlir::Value value;
  ElementType type = ElementType::Undefined;

  bool is_index() const { return value.getType().isIndex(); }
  Scalar with(mlir::Value other) const { return {w, other, type}; }
  Scalar truth(mlir::Value other) const { return {w, other, ElementType::Bool}; }
};

using Scalars = std::vector<Scalar>;

/// Constants. An integer is given as such where it may not be a double.
Scalar number(Writer &w, ElementType type, double value);
Scalar integer(Writer &w, ElementType type, int64_t value);
Scalar index(Writer &w, int64_t value);
/// A number of x's type.
Scalar number_like(const Scalar &x, double value);
Scalar integer_like(const Scalar &x, int64_t value);

Scalar operator+(const Scalar &a, const Scalar &b);
Scalar operator-(const Scalar &a, const Scalar &b);
Scalar operator*(const Scalar &a, const Scalar &b);
/// Of integers towards zero; by 0 it is 0, and the least one by -1 is itself.
Scalar operator/(const Scalar &a, const Scalar &b);
/// The rest of that division, with a's sign; fmod of floats; by 0, of integers, 0.
Scalar rest(const Scalar &a, const Scalar &b);
Scalar operator-(const Scalar &a);
inline Scalar operator+(const Scalar &a, double b) { return a + number_like(a, b); }
inline Scalar operator-(const Scalar &a, double b) { return a - number_like(a, b); }
inline Scalar operator*(const Scalar &a, double b) { return a * number_like(a, b); }
inline Scalar operator/(const Scalar &a, double b) { return a / number_like(a, b); }
inline Scalar operator-(double a, const Scalar &b) { return number_like(b, a) - b; }
inline Scalar operator/(double a, const Scalar &b) { return number_like(b, a) / b; }

/// Truth values. Comparisons with NaN are false but for not_equal.
Scalar less(const Scalar &a, const Scalar &b);
Scalar less_equal(const Scalar &a, const Scalar &b);
Scalar equal(const Scalar &a, const Scalar &b);
Scalar not_equal(const Scalar &a, const Scalar &b);
Scalar is_nan(const Scalar &x);
inline Scalar less(const Scalar &a, double b) { return less(a, number_like(a, b)); }
inline Scalar less_equal(const Scalar &a, double b) { return less_equal(a, number_like(a, b)); }
inline Scalar equal(const Scalar &a, double b) { return equal(a, number_like(a, b)); }
inline Scalar greater(const Scalar &a, double b) { return less(number_like(a, b), a); }
inline Scalar greater_equal(const Scalar &a, double b) { return less_equal(number_like(a, b), a); }
Scalar select(const Scalar &condition, const Scalar &yes, const Scalar &no);

/// Of truth values and of integers' bits.
Scalar operator&(const Scalar &a, const Scalar &b);
Scalar operator|(const Scalar &a, const Scalar &b);
Scalar operator^(const Scalar &a, const Scalar &b);
Scalar operator!(const Scalar &a);
/// By a number of bits that may be anything: beyond the width all are gone. To the right, numbers
/// with a sign keep it.
Scalar shift_left(const Scalar &a, const Scalar &bits);
Scalar shift_right(const Scalar &a, const Scalar &bits);

/// The larger and the smaller; NaN where either is.
Scalar max(const Scalar &a, const Scalar &b);
Scalar min(const Scalar &a, const Scalar &b);
inline Scalar max(const Scalar &a, double b) { return max(a, number_like(a, b)); }
inline Scalar min(const Scalar &a, double b) { return min(a, number_like(a, b)); }

Scalar abs(const Scalar &x);
/// -1, 0 or 1; NaN stays.
Scalar sign(const Scalar &x);
Scalar exp(const Scalar &x);
Scalar expm1(const Scalar &x);
Scalar log(const Scalar &x);
Scalar log1p(const Scalar &x);
Scalar sqrt(const Scalar &x);
Scalar tanh(const Scalar &x);
Scalar erf(const Scalar &x);
Scalar sin(const Scalar &x);
Scalar cos(const Scalar &x);
Scalar tan(const Scalar &x);
Scalar asin(const Scalar &x);
Scalar acos(const Scalar &x);
Scalar atan(const Scalar &x);
Scalar sinh(const Scalar &x);
Scalar cosh(const Scalar &x);
Scalar asinh(const Scalar &x);
Scalar acosh(const Scalar &x);
Scalar atanh(const Scalar &x);
Scalar floor(const Scalar &x);
Scalar ceil(const Scalar &x);
Scalar round_even(const Scalar &x);
Scalar trunc(const Scalar &x);
Scalar pow(const Scalar &x, const Scalar &y); ///< of floats
Scalar sigmoid(const Scalar &x);
Scalar softplus(const Scalar &x);

/// As ONNX's Cast: floats to integers are cut towards zero and held within the range, NaN is 0.
/// `saturate` is of floats of 8 bits and fewer.
Scalar cast(const Scalar &x, ElementType to, bool saturate = true);
/// An integer as an index and back.
Scalar to_index(const Scalar &x);
Scalar from_index(const Scalar &x, ElementType to);
/// The index counted from the front, where it is within 0 to size - 1, or with `from_end` -size to
/// size - 1; the call fails where it is not.
Scalar check_index(const Scalar &at, const Scalar &size, bool from_end = true);
/// The divisor, where it is not 0; the call fails where it is.
Scalar check_divisor(const Scalar &x);
/// The bits under another type of the same width.
Scalar bits_as(const Scalar &x, ElementType to);

/// for i = low..high-1: values = step(i, values).
Scalars loop(Writer &w, const Scalar &low, const Scalar &high, const Scalars &values,
             llvm::function_ref<Scalars(const Scalar &, const Scalars &)> step);
/// What one side gives, computing that one alone.
Scalars if_else(const Scalar &condition, llvm::function_ref<Scalars()> yes,
                llvm::function_ref<Scalars()> no);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_LOWERING_SCALAR_H
