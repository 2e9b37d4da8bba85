// Blocks whose sequences carry a state of fixed size.
#include "frontends/recipe/Writer.h"

#include <cmath>

using namespace mlir;

namespace quern::recipe {

Value Writer::linear_recurrence(const RecurrenceOperands &of, Value state, int64_t groups,
                                DecayKind decay_kind) {
  return LinearRecurrenceOp::create(
      b_, loc_, of.v.getType(), of.r, of.k, of.v, of.decay, of.rate, of.beta, of.a, of.b, of.bonus,
      batch_, state, b_.getI64IntegerAttr(groups), DecayKindAttr::get(b_.getContext(), decay_kind));
}

/// factor x / sqrt(sum(x^2) + eps), of each group of so many columns.
Value Writer::unit(Value x, int64_t group, double eps, double factor) {
  const auto n = static_cast<double>(group);
  Value y = RmsNormOp::create(b_, loc_, x.getType(), x, Value(), f32(eps / n),
                              b_.getI64IntegerAttr(group), UnitAttr());
  return scale(y, factor / std::sqrt(n));
}

Value Writer::convolution(const std::string &name, Value x, int64_t kernel, Value weight,
                          Value bias, const std::string &activation) {
  const int64_t channels = colsOf(x.getType());
  Value y;
  if (kernel == 1) { // sees no token but the row's
    weight = WeightReshapeOp::create(b_, loc_, weight_type(weight, {channels}), weight);
    y = binary(BinaryKind::mul, x, weight);
    y = bias ? binary(BinaryKind::add, y, bias) : y;
  } else {
    Value window = state(name + ".window", StateKind::window, {channels, kernel - 1});
    y = CausalConv1dOp::create(b_, loc_, x.getType(), x, batch_, window, weight, bias);
  }
  return activation.empty() ? y : unary(unary_kind(activation), y);
}

Value Writer::operator()(const Mamba1 &m) {
  Value projected = linear(m.in_proj, x_);
  at(m.module);
  Value x = slice(projected, 0, m.inner), z = slice(projected, m.inner, m.inner);
  at(m.conv);
  x = convolution(m.conv, x, m.kernel, weight(m.conv + ".weight"),
                  m.conv_bias ? weight(m.conv + ".bias") : Value(), m.activation);

  Value selected = linear(m.x_proj, x);
  at(m.module);
  Value dt = slice(selected, 0, m.rank);
  Value b = slice(selected, m.rank, m.state), c = slice(selected, m.rank + m.state, m.state);
  dt = norm(m.dt_norm, dt);
  b = norm(m.b_norm, b);
  c = norm(m.c_norm, c);
  dt = unary(UnaryKind::softplus, linear(m.dt_proj, dt));

  // One head: a key is a number of a channel's state, a value a channel.
  at(m.module);
  Value a = weight(m.a);
  if (m.a_is_log)
    a = map("neg_exp", a);
  a = WeightTransposeOp::create(b_, loc_, weight_type(a, {m.state, m.inner}), a);
  a = WeightReshapeOp::create(b_, loc_, weight_type(a, {1, m.state, m.inner}), a);
  Value memory = state(m.module + ".ssm", StateKind::recurrent, {1, m.state, m.inner});
  Value v = binary(BinaryKind::mul, x, dt);
  Value y = linear_recurrence({.r = c, .k = b, .v = v, .decay = dt, .rate = a}, memory, 1,
                              DecayKind::value);
  y = binary(BinaryKind::add, y, binary(BinaryKind::mul, x, weight(m.d)));
  return linear(m.out_proj, gated("silu", z, y));
}

Value Writer::operator()(const Mamba2 &m) {
  const int64_t inner = m.inner(), shared = m.groups * m.state;
  Value projected = linear(m.in_proj, x_);
  at(m.module);
  Value z = scale(slice(projected, 0, inner), m.z_scale);
  Value xbc = slice(projected, inner, m.conv_channels());
  Value dt = scale(slice(projected, inner + m.conv_channels(), m.heads), m.dt_scale);

  at(m.conv);
  Value filter = weight(m.conv + ".weight");
  // What scales the inputs of a convolution may as well scale its weight.
  if (m.x_scale != 1 || m.b_scale != 1 || m.c_scale != 1) {
    const std::pair<int64_t, double> parts[] = {
        {inner, m.x_scale}, {shared, m.b_scale}, {shared, m.c_scale}};
    llvm::SmallVector<Value> scaled;
    int64_t offset = 0;
    for (auto [channels, factor] : parts) {
      scaled.push_back(map(
          "scale",
          rows_of({.stored = m.conv_channels(), .offset = offset}, filter, {channels, m.kernel}),
          f32(factor)));
      offset += channels;
    }
    filter = WeightConcatOp::create(
        b_, loc_, weight_type(scaled.front(), {m.conv_channels(), m.kernel}), scaled);
  }
  xbc = convolution(m.conv, xbc, m.kernel, filter, m.conv_bias ? weight(m.conv + ".bias") : Value(),
                    m.activation);

  at(m.module);
  Value x = slice(xbc, 0, inner);
  Value b = slice(xbc, inner, shared), c = slice(xbc, inner + shared, shared);

  dt = unary(UnaryKind::softplus, binary(BinaryKind::add, dt, weight(m.dt_bias)));
  if (m.dt_min > 0 || std::isfinite(m.dt_max))
    dt = ClampOp::create(b_, loc_, dt.getType(), dt, f32(m.dt_min), f32(m.dt_max));
  Value a = weight(m.a);
  if (m.a_is_log)
    a = map("neg_exp", a);
  Value decay = unary(UnaryKind::exp, binary(BinaryKind::mul, dt, a));
  Value v = binary(BinaryKind::mul, x, dt, m.head_dim);
  Value memory = state(m.module + ".ssm", StateKind::recurrent, {m.heads, m.state, m.head_dim});
  Value y = linear_recurrence({.r = c, .k = b, .v = v, .decay = decay}, memory, m.groups,
                              DecayKind::head);
  Value skip = binary(BinaryKind::mul, x, weight(m.d), m.head_dim);
  y = binary(BinaryKind::add, y, skip);
  if (m.norm_first) {
    y = norm(m.norm, y);
    at(m.module);
    y = gated("silu", z, y);
  } else {
    y = norm(m.norm, gated("silu", z, y));
  }
  return linear(m.out_proj, y);
}

Value Writer::operator()(const ShortConv &m) {
  Value projected = linear(m.in, x_);
  at(m.module);
  Value b = slice(projected, 0, m.channels), c = slice(projected, m.channels, m.channels);
  Value x = slice(projected, 2 * m.channels, m.channels);
  x = binary(BinaryKind::mul, x, b);
  at(m.conv);
  Value y = convolution(m.conv, x, m.kernel, weight(m.conv + ".weight"),
                        m.conv_bias ? weight(m.conv + ".bias") : Value(), "");
  return linear(m.out, binary(BinaryKind::mul, y, c));
}

} // namespace quern::recipe
