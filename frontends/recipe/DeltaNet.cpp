// The IR of delta rules (Recipe.h).
#include "frontends/recipe/Writer.h"

#include <cmath>

using namespace mlir;

namespace quern::recipe {

Value Writer::feature(const std::string &name, Value x) {
  if (name.empty())
    return x;
  if (name != "elu_plus_one")
    return unary(unary_kind(name), x);
  Value below = unary(UnaryKind::exp, x);
  below = ClampOp::create(b_, loc_, x.getType(), below, f32(0), f32(1));
  return binary(BinaryKind::add, below, unary(UnaryKind::relu, x));
}

Value Writer::shares(Value x, int64_t heads) {
  Value sum = GroupSumOp::create(b_, loc_, rows_like(x, heads), unary(UnaryKind::abs, x));
  sum = binary(BinaryKind::max, sum, scale(ones(), 1e-6), heads);
  return binary(BinaryKind::div, x, sum, colsOf(x.getType()) / heads);
}

Value Writer::operator()(const DeltaNet &m) {
  // The filters of all channels, however the model cuts them, and then of each projection's.
  const int64_t channels = 2 * m.keys() + m.values();
  const bool apart = m.projections.size() > 1;
  auto same_cuts = [&] {
    return llvm::equal(m.convs, m.projections, [](const DeltaNet::Conv &conv, const Linear &l) {
      return conv.channels == l.out;
    });
  };
  llvm::SmallVector<Value> filters;
  if (m.kernel > 0) {
    at(m.convs.front().module);
    for (const DeltaNet::Conv &conv : m.convs)
      filters.push_back(weight(conv.module + ".weight"));
  }
  if (m.kernel > 0 && !same_cuts()) {
    Value all = filters.size() == 1
                    ? filters.front()
                    : WeightConcatOp::create(
                          b_, loc_, weight_type(filters.front(), {channels, m.kernel}), filters);
    filters.clear();
    int64_t offset = 0;
    for (const Linear &l : m.projections) {
      filters.push_back(rows_of({.stored = channels, .offset = offset}, all, {l.out, m.kernel}));
      offset += l.out;
    }
  }
  llvm::SmallVector<Value> qkv;
  for (auto [i, l] : llvm::enumerate(m.projections)) {
    Value x = linear(l, x_);
    at(m.module);
    const std::string &activation = i < 2 && m.qk_activation ? *m.qk_activation : m.activation;
    if (m.kernel > 0)
      x = convolution(apart ? m.module + ".conv." + "qkv"[i] : m.convs.front().module, x, m.kernel,
                      filters[i], Value(), "");
    qkv.push_back(feature(activation, x));
  }
  auto through = [&](const std::optional<Linear> &latent, const Linear &l) -> Value {
    if (l.module.empty())
      return {};
    return linear(l, latent ? linear(*latent, x_) : x_);
  };
  Value beta = through(std::nullopt, m.b);
  Value dt = through(m.decay_latent, m.decay), z = through(m.z_latent, m.z);
  at(m.module);
  if (qkv.size() == 1) {
    Value all = qkv.front();
    qkv = {slice(all, 0, m.keys()), slice(all, m.keys(), m.keys()),
           slice(all, 2 * m.keys(), m.values())};
  }
  // Queries are scaled as attention's are.
  const double root = 1 / std::sqrt(double(m.key_dim));
  auto direction = [&](Value x, double factor) -> Value {
    if (m.sum_norm)
      return scale(shares(x, m.key_heads), factor);
    return unit(x, m.key_dim, m.l2_eps, factor);
  };
  Value q = direction(qkv[0], root), k = direction(qkv[1], 1);
  const int64_t share = m.tiled ? m.value_heads / m.key_heads : 1;
  if (share > 1) {
    at(m.module);
    q = concat(llvm::SmallVector<Value>(static_cast<size_t>(share), q), 1);
    k = concat(llvm::SmallVector<Value>(static_cast<size_t>(share), k), 1);
  }
  beta = beta ? scale(unary(UnaryKind::sigmoid, beta), m.beta_scale)
              : constant(qkv[2], m.value_heads, m.beta_scale);
  Value decay;
  if (!dt) {
    decay = constant(qkv[2], m.value_heads, 1);
  } else {
    dt = binary(BinaryKind::add, dt, weight(m.dt_bias));
    if (m.decay_floor == 0)
      dt = unary(UnaryKind::softplus, dt);
    Value rate = m.a_is_log ? map("neg_exp", weight(m.a)) : weight(m.a);
    decay = binary(BinaryKind::mul, dt, rate, m.key_decay ? m.key_dim : 1);
    if (m.decay_floor != 0)
      decay = scale(unary(UnaryKind::sigmoid, scale(decay, -1)), m.decay_floor);
    decay = unary(UnaryKind::exp, decay);
  }
  Value memory =
      state(m.module + ".memory", StateKind::recurrent, {m.value_heads, m.key_dim, m.value_dim});
  Value y =
      linear_recurrence({.r = q, .k = k, .v = qkv[2], .decay = decay, .beta = beta}, memory,
                        m.key_heads * share, dt && m.key_decay ? DecayKind::key : DecayKind::head);
  y = norm(m.norm, y);
  at(m.module);
  return linear(m.out, z ? gated(m.gate_activation, z, y) : y);
}

} // namespace quern::recipe
