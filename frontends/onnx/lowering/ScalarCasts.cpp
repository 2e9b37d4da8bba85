// One number type to another, floats of 8 bits and fewer by arithmetic on their codes.
#include "frontends/onnx/lowering/Scalar.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <cmath>
#include <optional>

namespace quern::onnx {
namespace {

namespace arith = mlir::arith;

/// A float of 8 bits and fewer. OCP's and those of Noune et al. (2022), whose -0 is NaN.
struct Small {
  int bits, mantissa, bias;
  int largest;            ///< the code of the greatest number
  std::optional<int> nan; ///< a code of NaN, the sign's bit apart
  std::optional<int> infinity;
  bool unsigned_zero = false; ///< the code of -0 is that of NaN

  int sign() const { return 1 << (bits - 1); }
};

std::optional<Small> small(ElementType type) {
  switch (type) {
  case ElementType::Float8E4M3FN:
    return Small{8, 3, 7, 0x7e, 0x7f, {}};
  case ElementType::Float8E4M3FNUZ:
    return Small{8, 3, 8, 0x7f, {}, {}, true};
  case ElementType::Float8E5M2:
    return Small{8, 2, 15, 0x7b, 0x7e, 0x7c};
  case ElementType::Float8E5M2FNUZ:
    return Small{8, 2, 16, 0x7f, {}, {}, true};
  case ElementType::Float4E2M1:
    return Small{4, 1, 1, 7, {}, {}};
  case ElementType::Float6E2M3:
    return Small{6, 3, 1, 0x1f, {}, {}};
  case ElementType::Float6E3M2:
    return Small{6, 2, 3, 0x1f, {}, {}};
  default:
    return std::nullopt;
  }
}

Scalar i32(const Scalar &x, int64_t value) { return integer(*x.w, ElementType::Int32, value); }

Scalar decode_e8m0(const Scalar &code) {
  // 2^(code - 127): the least is below float32's normal numbers.
  const Scalar number = bits_as(shift_left(code, i32(code, 23)), ElementType::Float32);
  const Scalar least = number_like(number, 0x1p-127);
  const Scalar nan = number_like(number, std::nan(""));
  return select(equal(code, i32(code, 0)), least, select(equal(code, i32(code, 255)), nan, number));
}

/// A code in an int32, 0 to 255, as float32.
Scalar decode(const Scalar &code, ElementType type) {
  if (type == ElementType::Float8E8M0)
    return decode_e8m0(code);
  const Small s = *small(type);
  const Scalar magnitude = code & i32(code, s.sign() - 1);
  const Scalar normal =
      bits_as(shift_left(magnitude, i32(code, 23 - s.mantissa)) + i32(code, (127 - s.bias) << 23),
              ElementType::Float32);
  const Scalar tiny =
      cast(magnitude, ElementType::Float32) * std::ldexp(1.0, 1 - s.bias - s.mantissa);
  Scalar value = select(less(magnitude, i32(code, 1 << s.mantissa)), tiny, normal);
  if (s.infinity)
    value = select(equal(magnitude, i32(code, *s.infinity)), number_like(value, HUGE_VAL), value);
  const Scalar nan = number_like(value, std::nan(""));
  if (s.infinity)
    value = select(less(i32(code, *s.infinity), magnitude), nan, value);
  else if (s.nan)
    value = select(equal(magnitude, i32(code, *s.nan)), nan, value);
  value = select(equal(code & i32(code, s.sign()), i32(code, 0)), value, -value);
  return s.unsigned_zero ? select(equal(code, i32(code, s.sign())), nan, value) : value;
}

/// A float32 as a code in an int32.
Scalar encode(const Scalar &x, ElementType type, bool saturate) {
  const Small s = *small(type);
  const Scalar bits = bits_as(x, ElementType::Int32);
  const Scalar magnitude = bits & i32(bits, 0x7fffffff);
  const Scalar size = bits_as(magnitude, ElementType::Float32);
  // To nearest, ties to even; a carry runs into the exponent.
  const int shift = 23 - s.mantissa;
  const Scalar odd = shift_right(magnitude, i32(bits, shift)) & i32(bits, 1);
  const Scalar normal =
      shift_right(magnitude + odd + i32(bits, (1 << (shift - 1)) - 1), i32(bits, shift)) -
      i32(bits, (127 - s.bias) << s.mantissa);
  const Scalar least = number_like(size, std::ldexp(1.0, 1 - s.bias));
  const Scalar is_tiny = less(size, least);
  const Scalar held = select(is_tiny, size, number_like(size, 0));
  const Scalar tiny =
      cast(round_even(held * std::ldexp(1.0, s.bias - 1 + s.mantissa)), ElementType::Int32);
  Scalar code = select(is_tiny, tiny, normal);
  const Scalar beyond = saturate || (!s.nan && !s.unsigned_zero) ? i32(bits, s.largest)
                        : s.infinity                             ? i32(bits, *s.infinity)
                        : s.nan                                  ? i32(bits, *s.nan)
                                                                 : i32(bits, s.sign());
  const Scalar is_beyond = less(i32(bits, s.largest), code);
  code = select(is_beyond, beyond, code);
  const Scalar sign = select(less(bits, i32(bits, 0)), i32(bits, s.sign()), i32(bits, 0));
  if (s.unsigned_zero) {
    // The sign's bit alone is NaN, and there is one zero.
    const Scalar with_sign = select(equal(code, i32(bits, 0)), code, code | sign);
    return select(is_nan(x), i32(bits, s.sign()), with_sign);
  }
  // Formats without a NaN: as ml_dtypes has it, -0.
  const Scalar nan = s.nan ? i32(bits, *s.nan) | sign : i32(bits, s.sign());
  return select(is_nan(x), nan, code | sign);
}

Scalar encode_e8m0_nearest(const Scalar &x) {
  const Scalar bits = bits_as(x, ElementType::Int32);
  const Scalar exponent = shift_right(bits, i32(bits, 23)) & i32(bits, 255);
  const Scalar half = i32(bits, 0x400000), fraction = bits & i32(bits, 0x7fffff);
  const Scalar up = less(half, fraction) | (equal(fraction, half) & less(i32(bits, 0), exponent));
  const Scalar rounded = select(up, exponent + i32(bits, 1), exponent);
  return select(less(rounded, i32(bits, 255)), rounded, i32(bits, 255));
}

Scalar real_to_real(const Scalar &x, ElementType to) {
  const mlir::Type type = stored_type(x.w->b.getContext(), to);
  const unsigned from_bits = x.value.getType().getIntOrFloatBitWidth();
  const unsigned to_bits = type.getIntOrFloatBitWidth();
  if (x.value.getType() == type)
    return {x.w, x.value, to};
  if (from_bits == to_bits) // float16 and bfloat16
    return cast(cast(x, ElementType::Float32), to);
  mlir::OpBuilder &b = x.w->b;
  return {x.w,
          from_bits < to_bits ? mlir::Value(arith::ExtFOp::create(b, x.w->loc, type, x.value))
                              : mlir::Value(arith::TruncFOp::create(b, x.w->loc, type, x.value)),
          to};
}

/// Within the integer's range; NaN is 0.
Scalar held_integer(const Scalar &x, ElementType to) {
  mlir::OpBuilder &b = x.w->b;
  const int bits = element_bits(to);
  const bool sign = is_signed(to);
  const double high = std::ldexp(1.0, sign ? bits - 1 : bits), low = sign ? -high : 0.0;
  const mlir::Type type = stored_type(b.getContext(), to);
  const Scalar above = greater_equal(x, high);
  // Above -1, what is left of the fraction is 0, unsigned too.
  const Scalar inside = !above & (sign ? greater_equal(x, low) : greater(x, -1.0));
  const Scalar safe = select(inside, x, number_like(x, 0));
  const Scalar whole{
      x.w,
      sign ? mlir::Value(arith::FPToSIOp::create(b, x.w->loc, type, safe.value))
           : mlir::Value(arith::FPToUIOp::create(b, x.w->loc, type, trunc(max(safe, 0.0)).value)),
      to};
  const int64_t most = sign ? static_cast<int64_t>((uint64_t{1} << (bits - 1)) - 1) : -1;
  const int64_t least = sign ? -most - 1 : 0;
  const Scalar below = less(x, low);
  return select(above, integer_like(whole, most),
                select(below & !inside, integer_like(whole, least), whole));
}

/// An integer that wraps where the type is of fewer bits than it is held in.
Scalar wrapped(const Scalar &x) {
  const int bits = element_bits(x.type);
  if (bits >= 8 || x.type == ElementType::Bool)
    return x;
  const Scalar low = x & integer_like(x, (1 << bits) - 1);
  const Scalar half = integer_like(x, 1 << (bits - 1));
  return is_signed(x.type) ? (low ^ half) - half : low;
}

Scalar integer_to_integer(const Scalar &x, ElementType to) {
  mlir::OpBuilder &b = x.w->b;
  const mlir::Type type = stored_type(b.getContext(), to);
  const unsigned from_bits = x.value.getType().getIntOrFloatBitWidth();
  const unsigned to_bits = type.getIntOrFloatBitWidth();
  mlir::Value value = x.value;
  if (from_bits > to_bits)
    value = arith::TruncIOp::create(b, x.w->loc, type, value);
  else if (from_bits < to_bits && is_signed(x.type))
    value = arith::ExtSIOp::create(b, x.w->loc, type, value);
  else if (from_bits < to_bits)
    value = arith::ExtUIOp::create(b, x.w->loc, type, value);
  return wrapped({x.w, value, to});
}

} // namespace

Scalar cast(const Scalar &x, ElementType to, bool saturate) {
  mlir::OpBuilder &b = x.w->b;
  if (x.is_index())
    return from_index(x, to);
  if (x.type == to)
    return x;
  if (is_small_float(x.type)) {
    const Scalar code = integer_to_integer({x.w, x.value, ElementType::Uint8}, ElementType::Int32);
    return cast(decode(code, x.type), to, saturate);
  }
  if (is_small_float(to)) {
    const Scalar real = cast(x, ElementType::Float32);
    const Scalar code =
        to == ElementType::Float8E8M0 ? encode_e8m0_nearest(real) : encode(real, to, saturate);
    return {x.w, integer_to_integer(code, ElementType::Uint8).value, to};
  }
  if (to == ElementType::Bool)
    return not_equal(x, number_like(x, 0));
  const mlir::Type type = stored_type(b.getContext(), to);
  if (is_real(x.type)) {
    if (is_real(to))
      return real_to_real(x, to);
    // Narrow integers wrap as numpy's and x86's do, by way of wider ones.
    const ElementType wide = to == ElementType::Uint32 ? ElementType::Int64
                             : element_bits(to) < 32   ? ElementType::Int32
                                                       : to;
    const Scalar held = held_integer(x, wide);
    return wide == to ? held : integer_to_integer(held, to);
  }
  if (is_real(to))
    return {x.w,
            is_signed(x.type) ? mlir::Value(arith::SIToFPOp::create(b, x.w->loc, type, x.value))
                              : mlir::Value(arith::UIToFPOp::create(b, x.w->loc, type, x.value)),
            to};
  return integer_to_integer(x, to);
}

} // namespace quern::onnx
