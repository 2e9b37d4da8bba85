#include "frontends/onnx/lowering/Scalar.h"

#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"

#include <cassert>

namespace quern::onnx {
namespace {

namespace arith = mlir::arith;
namespace math = mlir::math;

bool floating(const Scalar &x) { return llvm::isa<mlir::FloatType>(x.value.getType()); }
/// How its bits are compared and divided.
bool with_sign(const Scalar &x) { return x.is_index() || is_signed(x.type); }
int64_t width(const Scalar &x) { return x.value.getType().getIntOrFloatBitWidth(); }

Scalar constant(Writer &w, ElementType type, mlir::Type stored, double value, int64_t whole) {
  mlir::TypedAttr attribute;
  if (auto f = llvm::dyn_cast<mlir::FloatType>(stored))
    attribute = mlir::FloatAttr::get(f, value);
  else if (stored.isIndex())
    attribute = mlir::IntegerAttr::get(stored, whole);
  else
    attribute = mlir::IntegerAttr::get(
        stored, llvm::APInt(stored.getIntOrFloatBitWidth(), static_cast<uint64_t>(whole),
                            /*isSigned=*/false, /*implicitTrunc=*/true));
  return {&w, arith::ConstantOp::create(w.b, w.loc, attribute), type};
}

template <typename Op> Scalar unary(const Scalar &x) {
  return x.with(Op::create(x.w->b, x.w->loc, x.value));
}

template <typename Op> Scalar binary(const Scalar &a, const Scalar &b) {
  assert(a.value.getType() == b.value.getType() && "operands are of one type");
  return a.with(Op::create(a.w->b, a.w->loc, a.value, b.value));
}

Scalar compare(const Scalar &a, const Scalar &b, arith::CmpFPredicate floats,
               arith::CmpIPredicate with, arith::CmpIPredicate without) {
  assert(a.value.getType() == b.value.getType() && "operands are of one type");
  mlir::OpBuilder &builder = a.w->b;
  if (floating(a))
    return a.truth(arith::CmpFOp::create(builder, a.w->loc, floats, a.value, b.value));
  return a.truth(
      arith::CmpIOp::create(builder, a.w->loc, with_sign(a) ? with : without, a.value, b.value));
}

/// A divisor that the machine divides by without a trap, whatever it is given.
Scalar harmless(const Scalar &a, const Scalar &b) {
  const Scalar one = integer_like(b, 1);
  Scalar safe = select(equal(b, integer_like(b, 0)), one, b);
  if (!with_sign(a) || a.is_index())
    return safe;
  // The least number by -1 is more than there is.
  return select(equal(safe, integer_like(b, -1)), one, safe);
}

} // namespace

Scalar number(Writer &w, ElementType type, double value) {
  const auto whole = value >= -0x1p63 && value < 0x1p63 ? static_cast<int64_t>(value)
                     : value >= 0x1p63                  ? INT64_MAX
                                                        : INT64_MIN;
  return constant(w, type, stored_type(w.b.getContext(), type), value, whole);
}

Scalar integer(Writer &w, ElementType type, int64_t value) {
  return constant(w, type, stored_type(w.b.getContext(), type), static_cast<double>(value), value);
}

Scalar index(Writer &w, int64_t value) {
  return constant(w, ElementType::Int64, w.b.getIndexType(), 0, value);
}

Scalar number_like(const Scalar &x, double value) {
  return constant(*x.w, x.type, x.value.getType(), value,
                  floating(x) ? 0 : static_cast<int64_t>(value));
}

Scalar integer_like(const Scalar &x, int64_t value) {
  return constant(*x.w, x.type, x.value.getType(), static_cast<double>(value), value);
}

Scalar operator+(const Scalar &a, const Scalar &b) {
  return floating(a) ? binary<arith::AddFOp>(a, b) : binary<arith::AddIOp>(a, b);
}

Scalar operator-(const Scalar &a, const Scalar &b) {
  return floating(a) ? binary<arith::SubFOp>(a, b) : binary<arith::SubIOp>(a, b);
}

Scalar operator*(const Scalar &a, const Scalar &b) {
  return floating(a) ? binary<arith::MulFOp>(a, b) : binary<arith::MulIOp>(a, b);
}

Scalar operator/(const Scalar &a, const Scalar &b) {
  if (floating(a))
    return binary<arith::DivFOp>(a, b);
  const Scalar by = harmless(a, b), zero = integer_like(a, 0);
  const Scalar quotient =
      with_sign(a) ? binary<arith::DivSIOp>(a, by) : binary<arith::DivUIOp>(a, by);
  const Scalar whole = select(equal(b, zero), zero, quotient);
  return with_sign(a) && !a.is_index() ? select(equal(b, integer_like(b, -1)), zero - a, whole)
                                       : whole;
}

Scalar rest(const Scalar &a, const Scalar &b) {
  if (floating(a))
    return binary<arith::RemFOp>(a, b);
  // By -1, as by 1, nothing is left.
  const Scalar by = harmless(a, b);
  const Scalar left = with_sign(a) ? binary<arith::RemSIOp>(a, by) : binary<arith::RemUIOp>(a, by);
  return select(equal(b, integer_like(b, 0)), integer_like(a, 0), left);
}

Scalar operator-(const Scalar &a) {
  return floating(a) ? unary<arith::NegFOp>(a) : integer_like(a, 0) - a;
}

Scalar less(const Scalar &a, const Scalar &b) {
  return compare(a, b, arith::CmpFPredicate::OLT, arith::CmpIPredicate::slt,
                 arith::CmpIPredicate::ult);
}

Scalar less_equal(const Scalar &a, const Scalar &b) {
  return compare(a, b, arith::CmpFPredicate::OLE, arith::CmpIPredicate::sle,
                 arith::CmpIPredicate::ule);
}

Scalar equal(const Scalar &a, const Scalar &b) {
  return compare(a, b, arith::CmpFPredicate::OEQ, arith::CmpIPredicate::eq,
                 arith::CmpIPredicate::eq);
}

Scalar not_equal(const Scalar &a, const Scalar &b) {
  return compare(a, b, arith::CmpFPredicate::UNE, arith::CmpIPredicate::ne,
                 arith::CmpIPredicate::ne);
}

Scalar is_nan(const Scalar &x) {
  return x.truth(
      arith::CmpFOp::create(x.w->b, x.w->loc, arith::CmpFPredicate::UNO, x.value, x.value));
}

Scalar select(const Scalar &condition, const Scalar &yes, const Scalar &no) {
  return yes.with(
      arith::SelectOp::create(yes.w->b, yes.w->loc, condition.value, yes.value, no.value));
}

Scalar operator&(const Scalar &a, const Scalar &b) { return binary<arith::AndIOp>(a, b); }
Scalar operator|(const Scalar &a, const Scalar &b) { return binary<arith::OrIOp>(a, b); }
Scalar operator^(const Scalar &a, const Scalar &b) { return binary<arith::XOrIOp>(a, b); }
Scalar operator!(const Scalar &a) { return a ^ integer_like(a, -1); }

Scalar shift_left(const Scalar &a, const Scalar &bits) {
  const Scalar most = integer_like(bits, width(bits));
  const Scalar inside = bits.truth(
      arith::CmpIOp::create(a.w->b, a.w->loc, arith::CmpIPredicate::ult, bits.value, most.value));
  const Scalar zero = integer_like(bits, 0);
  return select(inside, binary<arith::ShLIOp>(a, select(inside, bits, zero)), integer_like(a, 0));
}

Scalar shift_right(const Scalar &a, const Scalar &bits) {
  const Scalar most = integer_like(bits, width(bits));
  const Scalar inside = bits.truth(
      arith::CmpIOp::create(a.w->b, a.w->loc, arith::CmpIPredicate::ult, bits.value, most.value));
  if (with_sign(a)) // all bits become the sign's
    return binary<arith::ShRSIOp>(a, select(inside, bits, integer_like(bits, width(bits) - 1)));
  const Scalar zero = integer_like(bits, 0);
  return select(inside, binary<arith::ShRUIOp>(a, select(inside, bits, zero)), integer_like(a, 0));
}

Scalar max(const Scalar &a, const Scalar &b) {
  return floating(a)    ? binary<arith::MaximumFOp>(a, b)
         : with_sign(a) ? binary<arith::MaxSIOp>(a, b)
                        : binary<arith::MaxUIOp>(a, b);
}

Scalar min(const Scalar &a, const Scalar &b) {
  return floating(a)    ? binary<arith::MinimumFOp>(a, b)
         : with_sign(a) ? binary<arith::MinSIOp>(a, b)
                        : binary<arith::MinUIOp>(a, b);
}

Scalar abs(const Scalar &x) {
  if (floating(x))
    return unary<math::AbsFOp>(x);
  return with_sign(x) ? select(less(x, integer_like(x, 0)), -x, x) : x;
}

Scalar sign(const Scalar &x) {
  const Scalar zero = integer_like(x, 0), one = integer_like(x, 1);
  const Scalar above = select(less(zero, x), one, floating(x) ? select(is_nan(x), x, zero) : zero);
  return floating(x) || with_sign(x) ? select(less(x, zero), -one, above) : above;
}

Scalar exp(const Scalar &x) { return unary<math::ExpOp>(x); }
Scalar expm1(const Scalar &x) { return unary<math::ExpM1Op>(x); }
Scalar log(const Scalar &x) { return unary<math::LogOp>(x); }
Scalar log1p(const Scalar &x) { return unary<math::Log1pOp>(x); }
Scalar sqrt(const Scalar &x) { return unary<math::SqrtOp>(x); }
Scalar tanh(const Scalar &x) { return unary<math::TanhOp>(x); }
Scalar erf(const Scalar &x) { return unary<math::ErfOp>(x); }
Scalar sin(const Scalar &x) { return unary<math::SinOp>(x); }
Scalar cos(const Scalar &x) { return unary<math::CosOp>(x); }
Scalar tan(const Scalar &x) { return unary<math::TanOp>(x); }
Scalar asin(const Scalar &x) { return unary<math::AsinOp>(x); }
Scalar acos(const Scalar &x) { return unary<math::AcosOp>(x); }
Scalar atan(const Scalar &x) { return unary<math::AtanOp>(x); }
Scalar sinh(const Scalar &x) { return unary<math::SinhOp>(x); }
Scalar cosh(const Scalar &x) { return unary<math::CoshOp>(x); }
Scalar asinh(const Scalar &x) { return unary<math::AsinhOp>(x); }
Scalar acosh(const Scalar &x) { return unary<math::AcoshOp>(x); }
Scalar atanh(const Scalar &x) { return unary<math::AtanhOp>(x); }
Scalar floor(const Scalar &x) { return floating(x) ? unary<math::FloorOp>(x) : x; }
Scalar ceil(const Scalar &x) { return floating(x) ? unary<math::CeilOp>(x) : x; }
Scalar round_even(const Scalar &x) { return floating(x) ? unary<math::RoundEvenOp>(x) : x; }
Scalar trunc(const Scalar &x) { return floating(x) ? unary<math::TruncOp>(x) : x; }
Scalar pow(const Scalar &x, const Scalar &y) { return binary<math::PowFOp>(x, y); }
Scalar sigmoid(const Scalar &x) { return 1.0 / (exp(-x) + 1.0); }

Scalar softplus(const Scalar &x) {
  // log(1 + exp(x)) without overflow.
  return max(x, 0.0) + log1p(exp(-abs(x)));
}

Scalar to_index(const Scalar &x) {
  if (x.is_index())
    return x;
  mlir::OpBuilder &b = x.w->b;
  const mlir::Type type = b.getIndexType();
  const mlir::Value value =
      with_sign(x) ? mlir::Value(arith::IndexCastOp::create(b, x.w->loc, type, x.value))
                   : mlir::Value(arith::IndexCastUIOp::create(b, x.w->loc, type, x.value));
  return {x.w, value, ElementType::Int64};
}

Scalar from_index(const Scalar &x, ElementType to) {
  const mlir::Value whole =
      arith::IndexCastOp::create(x.w->b, x.w->loc, x.w->b.getI64Type(), x.value);
  return cast({x.w, whole, ElementType::Int64}, to);
}

Scalar bits_as(const Scalar &x, ElementType to) {
  const mlir::Type type = stored_type(x.w->b.getContext(), to);
  if (type == x.value.getType())
    return {x.w, x.value, to};
  return {x.w, arith::BitcastOp::create(x.w->b, x.w->loc, type, x.value), to};
}

Scalar check_index(const Scalar &at, const Scalar &size, bool from_end) {
  const Scalar where = to_index(at);
  return where.with(
      CheckIndexOp::create(where.w->b, where.w->loc, where.value, size.value, from_end));
}

Scalar check_divisor(const Scalar &x) {
  llvm::APInt known;
  if (mlir::matchPattern(x.value, mlir::m_ConstantInt(&known)) && !known.isZero())
    return x;
  return x.with(CheckDivisorOp::create(x.w->b, x.w->loc, x.value));
}

Scalars loop(Writer &w, const Scalar &low, const Scalar &high, const Scalars &values,
             llvm::function_ref<Scalars(const Scalar &, const Scalars &)> step) {
  llvm::SmallVector<mlir::Value> initial;
  for (const Scalar &value : values)
    initial.push_back(value.value);
  auto op = mlir::scf::ForOp::create(
      w.b, w.loc, low.value, high.value, index(w, 1).value, initial,
      [&](mlir::OpBuilder &b, mlir::Location loc, mlir::Value at, mlir::ValueRange carried) {
        Writer inner{b, loc};
        Scalars now;
        for (size_t i = 0; i < values.size(); ++i)
          now.push_back({&inner, carried[static_cast<unsigned>(i)], values[i].type});
        llvm::SmallVector<mlir::Value> next;
        for (const Scalar &value : step({&inner, at, ElementType::Int64}, now))
          next.push_back(value.value);
        mlir::scf::YieldOp::create(b, loc, next);
      });
  Scalars results;
  for (size_t i = 0; i < values.size(); ++i)
    results.push_back({&w, op.getResult(static_cast<unsigned>(i)), values[i].type});
  return results;
}

Scalars if_else(const Scalar &condition, llvm::function_ref<Scalars()> yes,
                llvm::function_ref<Scalars()> no) {
  Writer &w = *condition.w;
  Scalars shape;
  const auto side = [&](llvm::function_ref<Scalars()> values) {
    return [&w, &shape, values](mlir::OpBuilder &, mlir::Location loc) {
      shape = values();
      llvm::SmallVector<mlir::Value> list;
      for (const Scalar &value : shape)
        list.push_back(value.value);
      mlir::scf::YieldOp::create(w.b, loc, list);
    };
  };
  auto op = mlir::scf::IfOp::create(w.b, w.loc, condition.value, side(yes), side(no));
  Scalars results;
  for (size_t i = 0; i < shape.size(); ++i)
    results.push_back({&w, op.getResult(static_cast<unsigned>(i)), shape[i].type});
  return results;
}

} // namespace quern::onnx
