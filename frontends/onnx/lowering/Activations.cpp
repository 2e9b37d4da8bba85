// What networks put between their layers.
#include "frontends/onnx/lowering/Activations.h"

#include "frontends/onnx/lowering/NodeLowering.h"

namespace quern::onnx {

Scalar gelu_erf(const Scalar &x) { return x * 0.5 * (erf(x * 0.70710678118654752440) + 1.0); }

Scalar gelu_tanh(const Scalar &x) {
  const Scalar inner = (x + x * x * x * 0.044715) * 0.79788456080286535588;
  return x * 0.5 * (tanh(inner) + 1.0);
}

Scalar swish(const Scalar &x, double alpha) { return x * sigmoid(alpha == 1 ? x : x * alpha); }

namespace {

template <typename Function> void set_unary(NodeLowering &node, Function function) {
  node.set(node.arrays().map({node.in(0)}, node.out_type(), node.out_shape(),
                             [&](const Scalars &e) { return function(e[0]); }));
}

void relu(NodeLowering &node) {
  set_unary(node, [](const Scalar &x) { return max(x, 0.0); });
}

void leaky_relu(NodeLowering &node) {
  const double alpha = node.number("alpha", 0.01F);
  set_unary(node, [&](const Scalar &x) { return select(less(x, 0.0), x * alpha, x); });
}

void prelu(NodeLowering &node) {
  node.set(node.arrays().map(
      {node.in(0), node.in(1)}, node.out_type(), node.out_shape(),
      [](const Scalars &e) { return select(less(e[0], 0.0), e[0] * e[1], e[0]); }));
}

void thresholded_relu(NodeLowering &node) {
  const double alpha = node.number("alpha", 1.0);
  set_unary(node, [&](const Scalar &x) { return select(greater(x, alpha), x, number_like(x, 0)); });
}

void elu(NodeLowering &node) {
  const double alpha = node.number("alpha", 1.0);
  set_unary(node, [&](const Scalar &x) { return select(greater(x, 0.0), x, expm1(x) * alpha); });
}

void selu(NodeLowering &node) {
  const double alpha = node.number("alpha", 1.67326319217681884765625F);
  const double gamma = node.number("gamma", 1.05070102214813232421875F);
  set_unary(node,
            [&](const Scalar &x) { return select(greater(x, 0.0), x, expm1(x) * alpha) * gamma; });
}

void celu(NodeLowering &node) {
  const double alpha = node.number("alpha", 1.0);
  set_unary(node,
            [&](const Scalar &x) { return max(x, 0.0) + min(expm1(x / alpha) * alpha, 0.0); });
}

void sigmoid_op(NodeLowering &node) { set_unary(node, sigmoid); }
void softplus_op(NodeLowering &node) { set_unary(node, softplus); }

void softsign(NodeLowering &node) {
  set_unary(node, [](const Scalar &x) { return x / (abs(x) + 1.0); });
}

void hard_sigmoid(NodeLowering &node) {
  const double alpha = node.number("alpha", 0.2F), beta = node.number("beta", 0.5);
  set_unary(node, [&](const Scalar &x) { return max(min(x * alpha + beta, 1.0), 0.0); });
}

void hard_swish(NodeLowering &node) {
  set_unary(node, [](const Scalar &x) { return x * max(min(x / 6.0 + 0.5, 1.0), 0.0); });
}

void shrink(NodeLowering &node) {
  const double bias = node.number("bias", 0.0), lambd = node.number("lambd", 0.5);
  set_unary(node, [&](const Scalar &x) {
    return select(less(x, -lambd), x + bias,
                  select(greater(x, lambd), x - bias, number_like(x, 0)));
  });
}

void gelu(NodeLowering &node) {
  const std::string form = node.string("approximate", "none");
  if (form != "none" && form != "tanh")
    return node.refuse("its attribute 'approximate' is neither none nor tanh");
  set_unary(node, form == "tanh" ? gelu_tanh : gelu_erf);
}

void swish_op(NodeLowering &node) {
  const double alpha = node.number("alpha", 1.0);
  set_unary(node, [&](const Scalar &x) { return swish(x, alpha); });
}

void swiglu(NodeLowering &node) {
  const double alpha = node.number("alpha", 1.0);
  node.set(node.arrays().map({node.in(0), node.in(1)}, node.out_type(), node.out_shape(),
                             [&](const Scalars &e) { return swish(e[0], alpha) * e[1]; }));
}

void mish(NodeLowering &node) {
  set_unary(node, [](const Scalar &x) { return x * tanh(softplus(x)); });
}

constexpr LoweringRow kRows[] = {
    {"Relu", relu, Takes::Numbers},
    {"LeakyRelu", leaky_relu, Takes::Reals},
    {"PRelu", prelu, Takes::Numbers},
    {"ThresholdedRelu", thresholded_relu, Takes::Reals},
    {"Elu", elu, Takes::Reals},
    {"Selu", selu, Takes::Reals},
    {"Celu", celu, Takes::Reals},
    {"Sigmoid", sigmoid_op, Takes::Reals},
    {"Softplus", softplus_op, Takes::Reals},
    {"Softsign", softsign, Takes::Reals},
    {"HardSigmoid", hard_sigmoid, Takes::Reals},
    {"HardSwish", hard_swish, Takes::Reals},
    {"Shrink", shrink, Takes::Numbers},
    {"Gelu", gelu, Takes::Reals},
    {"Swish", swish_op, Takes::Reals},
    {"SwiGLU", swiglu, Takes::Reals},
    {"Mish", mish, Takes::Reals},
};

} // namespace

std::span<const LoweringRow> activation_lowerings() { return kRows; }

} // namespace quern::onnx
