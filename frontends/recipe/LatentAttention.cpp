// The IR of latent attention, absorbed (Recipe.h).
#include "frontends/recipe/Writer.h"
#include "ir/formats/Format.h"

using namespace mlir;

namespace quern::recipe {

Value Writer::concat(llvm::ArrayRef<Value> parts, int64_t groups) {
  int64_t cols = 0;
  for (Value part : parts)
    cols += colsOf(part.getType());
  return ConcatOp::create(b_, loc_, rows_like(parts.front(), cols), parts,
                          static_cast<uint64_t>(groups));
}

Value Writer::operator()(const Mla &m) {
  Value from = x_;
  if (m.q_latent)
    from = norm(*m.q_latent_norm, linear(*m.q_latent, from));
  // A head's query is its plain columns and then its rotary ones: two linears of one weight.
  const int64_t head = m.plain + m.rotary;
  auto part = [&](int64_t offset, int64_t cols) {
    Linear q = m.q;
    q.out = m.heads * cols;
    q.rows = {m.heads * head, offset, cols, head};
    return linear(q, from);
  };
  Value plain = part(0, m.plain), rotary = part(m.plain, m.rotary);
  Value kv = linear(m.kv, x_);
  at(m.kv.module);
  Value latent = norm(m.kv_norm, slice(kv, 0, m.latent));
  at(m.module);
  Value key = slice(kv, m.latent, m.rotary);
  if (m.rope != kNoRope) {
    auto rotate = [&](Value x) -> Value {
      return RopeOp::create(b_, loc_, x.getType(), x, tables_[m.rope],
                            b_.getI64IntegerAttr(m.rotary), b_.getBoolAttr(m.rope_interleaved));
    };
    rotary = rotate(rotary);
    key = rotate(key);
  }

  // What makes a head's keys of a latent makes the latent's query of the head's, the other way
  // round.
  Value keys, values;
  if (m.key_module.empty()) {
    at(m.expand.module);
    Value stored = weight(m.expand.module + ".weight");
    auto of_heads = [&](int64_t offset, int64_t cols) -> Value {
      const Rows rows = {m.heads * (m.plain + m.values), offset, cols, m.plain + m.values};
      Value taken = rows_of(rows, stored, {m.heads * cols, m.latent});
      return WeightReshapeOp::create(b_, loc_, weight_type(taken, {m.heads, cols, m.latent}),
                                     taken);
    };
    keys = of_heads(0, m.plain);
    // Blocks of numbers cannot be transposed, and block-diagonal matrices multiply floats anyway.
    if (const formats::Format *format =
            formats::find_format(cast<WeightType>(keys.getType()).getFormat().getValue());
        format && format->block() > 1)
      keys = map("scale", keys, f32(1));
    keys =
        WeightTransposeOp::create(b_, loc_, weight_type(keys, {m.heads, m.latent, m.plain}), keys);
    values = of_heads(m.plain, m.values);
  } else {
    keys = weight(m.key_module + ".weight");
    values = weight(m.value_module + ".weight");
  }
  Value query = BlockLinearOp::create(b_, loc_, rows_like(plain, m.heads * m.latent), plain, keys,
                                      /*bias=*/Value());
  at(m.module);
  query = concat({query, rotary}, m.heads);
  Value cache = state(m.module + ".kv", StateKind::kv, {1, m.latent + m.rotary, m.latent},
                      /*shared=*/true);
  KvAppendOp::create(b_, loc_, concat({latent, key}, 1), /*values=*/Value(), batch_, cache);
  Value y = AttentionOp::create(b_, loc_, rows_like(query, m.heads * m.latent), query, batch_,
                                cache, /*sinks=*/Value(), b_.getI64IntegerAttr(m.heads),
                                f32(m.scale), b_.getI64IntegerAttr(0), f32(0), DenseF32ArrayAttr(),
                                b_.getBoolAttr(false));
  at(m.expand.module.empty() ? m.value_module : m.expand.module);
  y = BlockLinearOp::create(b_, loc_, rows_like(y, m.heads * m.values), y, values,
                            /*bias=*/Value());
  return linear(m.o, y);
}

} // namespace quern::recipe
