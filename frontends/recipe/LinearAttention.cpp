// The IR of attention without a softmax (Recipe.h).
#include "frontends/recipe/Writer.h"

#include <cmath>

using namespace mlir;

namespace quern::recipe {

/// Rows [T, heads]: what is left of RetNet's heads after a token.
Value Writer::retained(int64_t heads) {
  if (retained_ && colsOf(retained_.getType()) == heads)
    return retained_;
  llvm::SmallVector<Value> each;
  for (int64_t head = 0; head < heads; ++head) {
    const double left = 1 - std::exp2(-5 - static_cast<double>(head));
    each.push_back(scale(ones(), left));
  }
  retained_ = concat(each, 1);
  return retained_;
}

/// Queries or keys behind their maps.
Value Writer::mapped(const LinearAttention &m, const std::vector<Linear> &maps, bool sum, Value x) {
  const int64_t heads = colsOf(x.getType()) / m.key_dim;
  llvm::SmallVector<Value> images;
  for (const Linear &l : maps) {
    at(l.module);
    auto of_each = [&](Value w, llvm::ArrayRef<int64_t> shape) -> Value {
      llvm::SmallVector<int64_t> all(shape);
      all.front() *= heads;
      return WeightConcatOp::create(b_, loc_, weight_type(w, all),
                                    llvm::SmallVector<Value>(static_cast<size_t>(heads), w));
    };
    Value w = of_each(weight(l.module + ".weight"), {l.out, l.in});
    w = WeightReshapeOp::create(b_, loc_, weight_type(w, {heads, l.out, l.in}), w);
    Value bias = l.bias ? of_each(weight(l.module + ".bias"), {l.out}) : Value();
    images.push_back(BlockLinearOp::create(b_, loc_, x.getType(), x, w, bias));
  }
  at(m.module);
  if (!images.empty())
    x = images.size() == 1 ? images[0] : binary(BinaryKind::mul, images[0], images[1]);
  x = feature(m.feature, x);
  if (!sum)
    return x;
  Value total = GroupSumOp::create(b_, loc_, rows_like(x, heads), x);
  total = binary(BinaryKind::add, total, scale(ones(), 1e-4), heads);
  return binary(BinaryKind::div, x, total, m.key_dim);
}

Value Writer::operator()(const LinearAttention &m) {
  const int64_t share = m.heads / m.kv_heads;
  llvm::SmallVector<Value> qkv;
  for (const Linear *l : {&m.q, &m.k, &m.v}) {
    Value x = linear(*l, x_);
    if (!m.convs.empty())
      x = convolution(m.convs[qkv.size()], x, m.kernel, m.conv_activation);
    qkv.push_back(x);
  }
  Value q = mapped(m, m.q_maps, m.q_sum, qkv[0]), k = mapped(m, m.k_maps, m.k_sum, qkv[1]);
  if (m.rope != kNoRope)
    for (Value *x : {&q, &k})
      *x = RopeOp::create(b_, loc_, x->getType(), *x, tables_[m.rope],
                          b_.getI64IntegerAttr(m.key_dim), b_.getBoolAttr(false));
  k = repeated(k, m.kv_heads, share);
  Value v = repeated(qkv[2], m.kv_heads, share);
  Value decay;
  if (m.gate) {
    Value gate = linear(*m.gate, linear(*m.latent, x_));
    at(m.module);
    decay = scale(unary(UnaryKind::log_sigmoid, gate), 1 / m.gate_divisor);
    if (std::isfinite(m.gate_floor))
      decay = ClampOp::create(b_, loc_, decay.getType(), decay, f32(m.gate_floor), f32(0));
    decay = repeated(unary(UnaryKind::exp, decay), m.kv_heads, share);
  } else {
    decay = m.retains ? retained(m.heads) : constant(v, m.heads, 1);
  }
  const DecayKind kind = m.gate ? DecayKind::key : DecayKind::head;
  q = scale(q, 1 / std::sqrt(static_cast<double>(m.key_dim)));
  Value memory =
      state(m.module + ".memory", StateKind::recurrent, {m.heads, m.key_dim, m.value_dim});
  Value y = linear_recurrence({.r = q, .k = k, .v = v, .decay = decay}, memory, m.heads, kind);
  if (m.normalize) {
    Value total = state(m.module + ".total", StateKind::recurrent, {m.heads, m.key_dim, 1});
    Value sum = linear_recurrence({.r = q, .k = k, .v = constant(v, m.heads, 1), .decay = decay},
                                  total, m.heads, kind);
    sum = binary(BinaryKind::add, sum, scale(ones(), 1e-10), m.heads);
    y = binary(BinaryKind::div, y, sum, m.value_dim);
  }
  y = norm(m.norm, y);
  if (m.z) {
    Value z = linear(*m.z, x_);
    at(m.module);
    y = gated(m.gate_activation, z, y);
  }
  return linear(m.out, y);
}

} // namespace quern::recipe
