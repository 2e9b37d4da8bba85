// One element type to another.
#include "frontends/onnx/lowering/NodeLowering.h"

namespace quern::onnx {
namespace {

/// Powers of two by their exponents, rounded as the attribute says. What is no number, or infinite,
/// is NaN.
Scalar to_exponent(const Scalar &x, bool up, bool saturate) {
  const Scalar bits = bits_as(cast(x, ElementType::Float32), ElementType::Int32);
  const auto i32 = [&](int64_t value) { return integer_like(bits, value); };
  const Scalar exponent = shift_right(bits, i32(23)) & i32(255);
  Scalar rounded = exponent;
  if (up) {
    const Scalar has_fraction = not_equal(bits & i32(0x7fffff), i32(0));
    rounded = select(has_fraction, exponent + i32(1), exponent);
    if (saturate)
      rounded = min(rounded, i32(254));
  }
  const Scalar code = select(equal(exponent, i32(255)), i32(255), rounded);
  return {x.w, cast(code, ElementType::Uint8).value, ElementType::Float8E8M0};
}

void cast_to(NodeLowering &node, ElementType to) {
  const bool saturate = node.integer("saturate", 1) != 0;
  const std::string rounding = node.string("round_mode", "up");
  const Array x = node.in(0);
  if (to == ElementType::Float8E8M0 && x.type != to && rounding != "nearest") {
    if (rounding != "up" && rounding != "down")
      return node.refuse("its attribute 'round_mode' is none of up, down and nearest");
    return node.set(node.arrays().map(
        {x}, to, [&](const Scalars &e) { return to_exponent(e[0], rounding == "up", saturate); }));
  }
  node.set(node.arrays().cast(x, to, saturate));
}

void cast_op(NodeLowering &node) { cast_to(node, node.out_type()); }

void bit_cast(NodeLowering &node) {
  const Array x = node.in(0);
  const ElementType to = node.out_type();
  if (element_bits(x.type) != element_bits(to))
    return node.refuse("it takes the bits of one type as another of another width");
  if (element_bits(to) < 8)
    return node.refuse("it takes the bits of types of under 8 bits");
  node.set(node.arrays().map({x}, to, [&](const Scalars &e) {
    // A truth is a byte, 0 or 1.
    const Scalar from = e[0].type == ElementType::Bool ? cast(e[0], ElementType::Uint8) : e[0];
    return to == ElementType::Bool ? cast(bits_as(from, ElementType::Uint8), to)
                                   : bits_as(from, to);
  }));
}

constexpr LoweringRow kRows[] = {
    {"Cast", cast_op},
    {"CastLike", cast_op},
    {"BitCast", bit_cast},
};

} // namespace

std::span<const LoweringRow> cast_lowerings() { return kRows; }

} // namespace quern::onnx
