// The IR of a real-gated linear recurrent unit (Recipe.h).
#include "frontends/recipe/Writer.h"

using namespace mlir;

namespace quern::recipe {

/// Rows [T, 1]: 1 where a token is its sequence's first.
Value Writer::starts() {
  if (!starts_)
    starts_ = StartsOp::create(b_, loc_, rowsType(b_.getContext(), "T", 1), batch_);
  return starts_;
}

/// Rows [T, 1] of ones.
Value Writer::ones() {
  if (!ones_) {
    Value first = starts();
    ones_ = ClampOp::create(b_, loc_, first.getType(), first, f32(1), f32(1));
  }
  return ones_;
}

Value Writer::operator()(const Lru &m) {
  Value gate = unary(unary_kind(m.activation), linear(m.gate, x_));
  Value x = linear(m.input, x_);
  at(m.conv);
  x = convolution(m.conv, x, m.kernel, weight(m.conv + ".weight"), weight(m.conv + ".bias"), "");
  at(m.unit);
  const int64_t block = m.width / m.blocks;
  auto gated = [&](const std::string &name) {
    Value stored = weight(m.unit + "." + name + "_gate_weight"); // [blocks, in, out]
    Value w =
        WeightTransposeOp::create(b_, loc_, weight_type(stored, {m.blocks, block, block}), stored);
    Value bias = weight(m.unit + "." + name + "_gate_bias");
    bias = WeightReshapeOp::create(b_, loc_, weight_type(bias, {m.width}), bias);
    return unary(UnaryKind::sigmoid, BlockLinearOp::create(b_, loc_, x.getType(), x, w, bias));
  };
  Value input = gated("input"), recurrent = gated("recurrent");
  // log a = -8 r softplus(p), and what a token adds is scaled by sqrt(1 - a^2), but for the first.
  Value rate = map("softplus", weight(m.unit + ".recurrent_param"));
  Value log = scale(binary(BinaryKind::mul, recurrent, rate), -8);
  Value share =
      binary(BinaryKind::max, unary(UnaryKind::one_minus_square_root, log), starts(), m.width);
  Value v = binary(BinaryKind::mul, binary(BinaryKind::mul, x, input), share);
  Value memory = state(m.unit + ".state", StateKind::recurrent, {1, 1, m.width});
  Value y =
      linear_recurrence({.r = ones(), .k = ones(), .v = v, .decay = unary(UnaryKind::exp, log)},
                        memory, 1, DecayKind::value);
  return linear(m.out, binary(BinaryKind::mul, y, gate));
}

} // namespace quern::recipe
