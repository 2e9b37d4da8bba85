#include "frontends/onnx/lowering/Quantization.h"

#include "frontends/onnx/lowering/NodeLowering.h"

#include <cmath>

namespace quern::onnx {

Array spread(Arrays &arrays, const Array &scale, const Array &x, size_t axis, int64_t block) {
  if (scale.rank() == 0)
    return scale;
  if (block != 0 && scale.rank() == x.rank()) {
    // Each is there for its block.
    const Array from = scale;
    return arrays.generate(scale.type, x.shape, [&](Writer &w, const Scalars &at) {
      Scalars indices = at;
      indices[axis] = at[axis] / static_cast<double>(block);
      return Arrays::element(w, from, indices);
    });
  }
  if (scale.rank() == 1) {
    Sizes shape(x.rank(), Dim(1));
    if (scale.shape[0].is(1))
      return arrays.reshape(scale, shape);
    shape[axis] = scale.shape[0];
    return arrays.reshape(scale, shape);
  }
  return scale;
}

Scalar quantized(const Scalar &ratio, const std::optional<Scalar> &zero, ElementType to) {
  const int bits = element_bits(to);
  const double high = is_signed(to) ? std::ldexp(1.0, bits - 1) - 1 : std::ldexp(1.0, bits) - 1;
  const double low = is_signed(to) ? -high - 1 : 0;
  Scalar whole = cast(round_even(ratio), ElementType::Int32);
  if (zero) // what is near the end of int32 may not run over it
    whole = max(min(whole, 1e9), -1e9) + *zero;
  return cast(min(max(whole, low), high), to);
}

namespace {

/// Where there is one scale for all, it names none.
size_t axis_of(NodeLowering &node, const Array &x) {
  const Sizes scale = node.shape(1);
  const bool one = scale.empty() || (scale.size() == 1 && scale[0].is(1));
  return one ? 0 : node.axis(node.integer("axis", 1), x.rank());
}

void quantize(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const ElementType to = node.out_type();
  const size_t axis = axis_of(node, x);
  const int64_t block = node.integer("block_size", 0);
  std::vector<Array> inputs = {x, spread(a, node.in(1), x, axis, block)};
  if (node.has(2))
    inputs.push_back(spread(a, node.in(2), x, axis, block));
  const bool saturate = node.integer("saturate", 1) != 0;
  const ElementType precision =
      node.type_attribute("precision", x.type == ElementType::Int32 ? inputs[1].type : x.type);
  node.set(a.map(inputs, to, node.out_shape(), [&](const Scalars &e) {
    const Scalar ratio = cast(e[0], precision) / cast(e[1], precision);
    if (is_small_float(to)) {
      const bool zero = e.size() > 2 && element_bits(to) < 8;
      return cast(zero ? cast(ratio, ElementType::Float32) + cast(e[2], ElementType::Float32)
                       : ratio,
                  to, saturate);
    }
    std::optional<Scalar> zero;
    if (e.size() > 2)
      zero = cast(e[2], ElementType::Int32);
    return quantized(ratio, zero, to);
  }));
}

void dequantize(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const size_t axis = axis_of(node, x);
  const int64_t block = node.integer("block_size", 0);
  std::vector<Array> inputs = {x, spread(a, node.in(1), x, axis, block)};
  if (node.has(2))
    inputs.push_back(spread(a, node.in(2), x, axis, block));
  const ElementType to = node.out_type();
  node.set(a.map(inputs, to, node.out_shape(), [&](const Scalars &e) {
    Scalar value = cast(e[0], ElementType::Float32);
    if (e.size() > 2 && is_integer(e[0].type))
      value = element_bits(e[0].type) > 16
                  ? cast(e[0] - e[2], ElementType::Float32)
                  : cast(cast(e[0], ElementType::Int32) - cast(e[2], ElementType::Int32),
                         ElementType::Float32);
    return cast(value * cast(e[1], ElementType::Float32), to);
  }));
}

void dynamic_quantize(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  std::vector<size_t> axes;
  for (size_t i = 0; i < x.rank(); ++i)
    axes.push_back(i);
  const Array low = a.smallest(x, axes, false), high = a.largest(x, axes, false);
  const Array scale = a.map({low, high}, ElementType::Float32, [](const Scalars &e) {
    const Scalar least = min(e[0], 0.0), most = max(e[1], 0.0);
    return select(equal(least, most), number_like(least, 1.0), most - least) / 255.0;
  });
  const Array zero = a.map({low, scale}, ElementType::Uint8, [](const Scalars &e) {
    const Scalar start = -(min(e[0], 0.0) / e[1]);
    return cast(round_even(max(min(start, 255.0), 0.0)), ElementType::Uint8);
  });
  node.set(0, a.map({x, scale, zero}, ElementType::Uint8, [](const Scalars &e) {
    return quantized(e[0] / e[1], cast(e[2], ElementType::Int32), ElementType::Uint8);
  }));
  node.set(1, scale);
  node.set(2, zero);
}

constexpr LoweringRow kRows[] = {
    {"QuantizeLinear", quantize, Takes::Numbers},
    {"DequantizeLinear", dequantize},
    {"DynamicQuantizeLinear", dynamic_quantize, Takes::Reals},
};

} // namespace

std::span<const LoweringRow> quantization_lowerings() { return kRows; }

} // namespace quern::onnx
