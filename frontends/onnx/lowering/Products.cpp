// Products of matrices.
#include "frontends/onnx/lowering/NodeLowering.h"
#include "frontends/onnx/lowering/Quantization.h"

namespace quern::onnx {
namespace {

/// As numpy's matmul: a vector is a row on the left and a column on the right.
Array product(Arrays &a, Array left, Array right, const Shape &shape) {
  if (left.rank() == 1)
    left = a.unsqueeze(left, 0);
  if (right.rank() == 1)
    right = a.unsqueeze(right, 1);
  return a.reshape(a.matmul(left, right), shape);
}

void matmul(NodeLowering &node) {
  if (node.rank(0) >= 2 && node.is_weight(1))
    if (const auto rows = node.linear(node.in(0), 1, false, std::nullopt))
      return node.set(*rows);
  node.set(product(node.arrays(), node.in(0), node.in(1), node.out_shape()));
}

void gemm(NodeLowering &node) {
  Arrays &a = node.arrays();
  const double alpha = node.number("alpha", 1), beta = node.number("beta", 1);
  const bool turn_a = node.integer("transA", 0) != 0, turn_b = node.integer("transB", 0) != 0;
  Array y;
  bool has_bias = node.has(2) && beta != 0;
  const bool plain_bias = has_bias && beta == 1 && node.rank(2) == 1 && node.is_weight(2) &&
                          node.shape(2)[0] == node.out_shape()[1];
  Array left = node.in(0);
  if (turn_a)
    left = a.transpose(left, {1, 0});
  if (const auto rows =
          alpha == 1
              ? node.linear(left, 1, turn_b, plain_bias ? std::optional<size_t>(2) : std::nullopt)
              : std::nullopt) {
    y = *rows;
    has_bias = has_bias && !plain_bias;
  } else {
    const Array right = turn_b ? a.transpose(node.in(1), {1, 0}) : node.in(1);
    y = a.matmul(left, right);
    if (alpha != 1)
      y = a.scale(y, alpha);
  }
  if (has_bias)
    y = a.map({y, node.in(2)}, y.type, node.out_shape(),
              [&](const Scalars &e) { return e[0] + (beta == 1 ? e[1] : e[1] * beta); });
  node.set(y);
}

/// A zero point of a matrix's rows (or of its columns) where it broadcasts with the matrix.
Array zero_of(Arrays &a, const Array &zero, const Array &x, bool rows) {
  if (zero.rank() == 1 && rows && x.rank() > 1 && !zero.shape[0].is(1))
    return a.unsqueeze(zero, 1);
  return zero.rank() == 1 && zero.shape[0].is(1) ? a.reshape(zero, {}) : zero;
}

Array centred(Arrays &a, const Array &x, const Array *zero) {
  if (zero == nullptr)
    return a.cast(x, ElementType::Int32);
  return a.map({x, *zero}, ElementType::Int32, x.shape, [](const Scalars &e) {
    return cast(e[0], ElementType::Int32) - cast(e[1], ElementType::Int32);
  });
}

void matmul_integer(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array left = node.in(0), right = node.in(1);
  Array zero_left, zero_right;
  if (node.has(2))
    zero_left = zero_of(a, node.in(2), left, true);
  if (node.has(3))
    zero_right = zero_of(a, node.in(3), right, false);
  node.set(product(a, centred(a, left, node.has(2) ? &zero_left : nullptr),
                   centred(a, right, node.has(3) ? &zero_right : nullptr), node.out_shape()));
}

void qlinear_matmul(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array left = node.in(0), right = node.in(3);
  if (is_small_float(left.type))
    return node.refuse("it multiplies floats of 8 bits");
  const Array zero_left = zero_of(a, node.in(2), left, true);
  const Array zero_right = zero_of(a, node.in(5), right, false);
  const Array sums =
      product(a, centred(a, left, &zero_left), centred(a, right, &zero_right), node.out_shape());
  const Array scale_left = zero_of(a, node.in(1), left, true);
  const Array scale_right = zero_of(a, node.in(4), right, false);
  const Array scale_out = zero_of(a, node.in(6), left, true);
  const Array zero_out = zero_of(a, node.in(7), left, true);
  const ElementType to = node.out_type();
  node.set(a.map({sums, scale_left, scale_right, scale_out, zero_out}, to, node.out_shape(),
                 [&](const Scalars &e) {
                   const auto real = [](const Scalar &x) { return cast(x, ElementType::Float32); };
                   const Scalar ratio = real(e[0]) * (real(e[1]) * real(e[2]) / real(e[3]));
                   return quantized(ratio, cast(e[4], ElementType::Int32), to);
                 }));
}

constexpr LoweringRow kRows[] = {
    {"MatMul", matmul, Takes::Numbers},
    {"Gemm", gemm, Takes::Numbers},
    {"MatMulInteger", matmul_integer, Takes::SmallIntegers},
    {"QLinearMatMul", qlinear_matmul},
};

} // namespace

std::span<const LoweringRow> product_lowerings() { return kRows; }

} // namespace quern::onnx
