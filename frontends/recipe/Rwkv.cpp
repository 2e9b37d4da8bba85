// The IR of RWKV's blocks (Recipe.h).
#include "frontends/recipe/Writer.h"

#include <cmath>
#include <optional>

using namespace mlir;

namespace quern::recipe {

Value Writer::vector(const Vector &v) {
  Value w = weight(v.tensor);
  if (v.rows) {
    w = rows_of({.stored = v.rows, .offset = v.row}, w, {1, v.size});
    w = WeightReshapeOp::create(b_, loc_, weight_type(w, {v.size}), w);
  }
  return w;
}

/// from + (to - from) * mix.
Value Writer::mixed(Value from, Value to, Value mix) {
  Value change = binary(BinaryKind::sub, to, from);
  return binary(BinaryKind::add, binary(BinaryKind::mul, change, mix), from);
}

Value Writer::shifted(const std::string &module, Value x) {
  at(module);
  Value window = state(module + ".shift", StateKind::window, {colsOf(x.getType()), 1});
  return TokenShiftOp::create(b_, loc_, x.getType(), x, batch_, window);
}

Value Writer::operator()(const Rwkv4 &m) {
  Value before = shifted(m.module, x_);
  auto of = [&](const Linear &l, const char *name) {
    at(m.module);
    return linear(l, mixed(before, x_, weight(m.module + ".time_mix_" + name)));
  };
  Value k = of(m.key, "key"), v = of(m.value, "value"), r = of(m.receptance, "receptance");
  at(m.module);
  // Sums of exp(k) v and of exp(k), as multiples of the exponential of a running maximum: it is
  // less than any key before a sequence begins.
  Value decay = map("neg_exp", weight(m.module + ".time_decay"));
  Value none = scale(starts(), 1e38);
  Value memory = state(m.module + ".wkv", StateKind::recurrent, {3, 1, m.width});
  llvm::SmallVector<Value> inputs = {k, v, none, decay, weight(m.module + ".time_first")};
  auto scan = ScanOp::create(b_, loc_, k.getType(), inputs, batch_, memory);
  {
    OpBuilder::InsertionGuard guard(b_);
    mlir::Block &body = scan.getBody().emplaceBlock();
    b_.setInsertionPointToStart(&body);
    auto argument = [&](Type type) { return Value(body.addArgument(type, loc_)); };
    Value sums = argument(k.getType()), total = argument(k.getType()),
          largest = argument(k.getType());
    Value key = argument(k.getType()), value = argument(v.getType());
    Value first = argument(none.getType()), rate = argument(decay.getType()),
          bonus = argument(inputs.back().getType());
    auto exponential = [&](Value x, Value most) {
      return unary(UnaryKind::exp, binary(BinaryKind::sub, x, most));
    };
    auto mul = [&](Value x, Value y) { return binary(BinaryKind::mul, x, y); };
    auto add = [&](Value x, Value y) { return binary(BinaryKind::add, x, y); };
    Value past = binary(BinaryKind::sub, largest, first, m.width);
    Value own = add(key, bonus);
    Value most = binary(BinaryKind::max, past, own);
    Value a = exponential(past, most), b = exponential(own, most);
    Value y = binary(BinaryKind::div, add(mul(a, sums), mul(b, value)), add(mul(a, total), b));
    Value decayed = add(past, rate);
    most = binary(BinaryKind::max, decayed, key);
    a = exponential(decayed, most);
    b = exponential(key, most);
    YieldOp::create(b_, loc_,
                    ValueRange{add(mul(a, sums), mul(b, value)), add(mul(a, total), b), most, y});
  }
  return linear(m.output, gated("sigmoid", r, scan.getResult(0)));
}

/// What RWKV-6 adds to its mixes, side by side.
Value Writer::added_mixes(const Rwkv6::Mixes &m, Value before) {
  Value latent = unary(UnaryKind::tanh, linear(m.down, mixed(x_, before, m.base)));
  at(m.up);
  const int64_t rank = m.down.out / 5, out = m.down.in;
  Value up = weight(m.up); // to [5, out, rank]
  using Stored = Rwkv6::Mixes::Stored;
  if (m.stored == Stored::Columns) {
    up = WeightTransposeOp::create(b_, loc_, weight_type(up, {5 * rank, out}), up);
    up = WeightReshapeOp::create(b_, loc_, weight_type(up, {5, rank, out}), up);
  }
  if (m.stored != Stored::Blocks)
    up = WeightTransposeOp::create(b_, loc_, weight_type(up, {5, out, rank}), up);
  return BlockLinearOp::create(b_, loc_, rows_like(latent, 5 * out), latent, up, /*bias=*/Value());
}

Value Writer::operator()(const Rwkv6 &m) {
  Value before = shifted(m.module, x_);
  Value added = m.mixes ? added_mixes(*m.mixes, before) : Value();
  auto of = [&](const Vector &v, char what) {
    at(m.module);
    Value mix = vector(v);
    if (!added)
      return m.from_before ? mixed(before, x_, mix) : mixed(x_, before, mix);
    const auto block = static_cast<int64_t>(m.mixes->order.find(what));
    Value share = slice(added, block * v.size, v.size);
    return mixed(x_, before, binary(BinaryKind::add, share, mix));
  };
  Value r = linear(m.receptance, of(m.mix_receptance, 'r'));
  Value k = linear(m.key, of(m.mix_key, 'k')), v = linear(m.value, of(m.mix_value, 'v'));
  Value gate = linear(m.gate, of(m.mix_gate, 'g'));
  Value decay;
  if (m.decay_up) {
    decay = linear(*m.decay_down, of(m.mix_decay, 'w'));
    decay = unary(UnaryKind::exp, linear(*m.decay_up, unary(UnaryKind::tanh, decay)));
    at(m.module);
    decay = scale(decay, -1);
  } else {
    at(m.module);
    Value every = ClampOp::create(b_, loc_, k.getType(), k, f32(1), f32(1));
    decay = binary(BinaryKind::mul, every, map("neg_exp", vector(m.decay)));
  }
  decay = unary(UnaryKind::exp, decay);
  Value memory =
      state(m.module + ".memory", StateKind::recurrent, {m.heads, m.key_dim, m.value_dim});
  Value y = linear_recurrence({.r = r, .k = k, .v = v, .decay = decay, .bonus = weight(m.bonus)},
                              memory, m.heads, DecayKind::key);
  y = norm(m.norm, y);
  at(m.module);
  return linear(m.output, gated(m.activation, gate, y));
}

Value Writer::operator()(const Rwkv7 &m) {
  Value before = shifted(m.module, x_);
  auto of = [&](const Vector &mix) {
    at(m.module);
    return mixed(x_, before, mix);
  };
  auto mul = [&](Value x, Value y, int64_t repeat = 1) {
    return binary(BinaryKind::mul, x, y, repeat);
  };
  auto low_rank = [&](const Rwkv7::LowRank &l, Value x, std::optional<UnaryKind> fn) {
    Value latent = linear(l.down, x);
    return linear(l.up, fn ? unary(*fn, latent) : latent);
  };
  Value r = linear(m.receptance, of(m.mix_receptance));
  Value decay = low_rank(m.decay, of(m.mix_decay), UnaryKind::tanh);
  Value k = linear(m.key, of(m.mix_key));
  Value mixed_for_values = of(m.mix_value);
  Value v = linear(m.value, mixed_for_values);
  Value rate = unary(UnaryKind::sigmoid, low_rank(m.rate, of(m.mix_rate), std::nullopt));
  Value gate = low_rank(m.gate, of(m.mix_gate), UnaryKind::sigmoid);
  if (m.value_mix) {
    Value share = unary(UnaryKind::sigmoid, low_rank(*m.value_mix, mixed_for_values, std::nullopt));
    at(m.module);
    v = mixed(v, first_values_, share);
  } else {
    first_values_ = v;
  }
  at(m.module);
  decay = unary(UnaryKind::exp, scale(unary(UnaryKind::sigmoid, decay), -std::exp(-0.5)));
  Value removed = unit(mul(k, vector(m.k_k)), m.key_dim, m.l2_eps);
  // k (1 + (rate - 1) k_a).
  Value change = binary(BinaryKind::sub, mul(k, rate), k);
  k = binary(BinaryKind::add, k, mul(change, vector(m.k_a)));
  Value memory =
      state(m.module + ".memory", StateKind::recurrent, {m.heads, m.key_dim, m.value_dim});
  Value y = linear_recurrence(
      {.r = r, .k = k, .v = v, .decay = decay, .a = scale(removed, -1), .b = mul(removed, rate)},
      memory, m.heads, DecayKind::key);
  y = norm(m.norm, y);
  at(m.module);
  Value product = mul(mul(r, k), vector(m.r_k));
  Value own = GroupSumOp::create(b_, loc_, rows_like(product, m.heads), product);
  y = binary(BinaryKind::add, y, mul(v, own, m.value_dim));
  return linear(m.output, mul(y, gate));
}

Value Writer::operator()(const RwkvMlp &m) {
  Value before = shifted(m.module, x_);
  auto of = [&](const Vector &mix) {
    at(m.module);
    return m.from_before ? mixed(before, x_, mix) : mixed(x_, before, mix);
  };
  Value key = linear(m.key, of(m.mix_key));
  Value r = m.receptance ? linear(*m.receptance, of(m.mix_receptance)) : Value();
  at(m.module);
  Value y = linear(m.value, unary(UnaryKind::relu2, key));
  return r ? gated("sigmoid", r, y) : y;
}

} // namespace quern::recipe
