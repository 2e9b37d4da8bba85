// The ops of com.microsoft that exporters and ONNX Runtime's optimizer write for transformers.
#include "frontends/onnx/shapes/Rules.h"

namespace quern::onnx {
namespace {

void as_first(NodeShapes &node) { node.set(0, node.type(0), node.shape(0)); }

void skip_norm(NodeShapes &node) {
  const Shape in = node.shape(0);
  node.set(0, node.type(0), in);
  Shape statistics = in;
  if (!statistics.empty())
    statistics.back() = 1;
  node.set(1, ElementType::Float32, statistics);
  node.set(2, ElementType::Float32, statistics);
  node.set(3, node.type(0), in);
}

void simplified_norm(NodeShapes &node) {
  const Shape in = node.shape(0);
  node.set(0, node.type(1) == ElementType::Undefined ? node.type(0) : node.type(1), in);
  Shape statistics = in;
  if (!statistics.empty())
    statistics.back() = 1;
  node.set(1, ElementType::Float32, statistics);
}

void embed_norm(NodeShapes &node) {
  if (!node.has_shape(2))
    return node.set_type(0, node.type(2));
  if (!node.want_rank(0, 2) || !node.want_rank(2, 2))
    return;
  const Shape ids = node.shape(0);
  const Shape rows = {ids[0], ids[1], node.shape(2)[1]};
  node.set(0, node.type(2), rows);
  node.set(1, ElementType::Int32, {ids[0]});
  node.set(2, node.type(2), rows);
}

void packed_attention(NodeShapes &node) {
  if (!node.want_rank(0, 3) || !node.want_rank(1, 2))
    return;
  const Shape in = node.shape(0);
  const int64_t heads = node.integer("num_heads", 0);
  const auto sizes = node.integers("qkv_hidden_sizes");
  if (heads < 1 || (sizes && sizes->size() != 3))
    return node.fail("its num_heads and qkv_hidden_sizes say no heads");
  node.unify(in[2], node.shape(1)[0], "its rows and its weight");
  const Dim key = sizes ? Dim((*sizes)[1]) : symbols::floordiv(node.shape(1)[1], 3);
  const Dim value = sizes ? Dim((*sizes)[2]) : key;
  node.set(0, node.type(0), {in[0], in[1], value});
  Dim rows = in[1];
  if (node.has(4))
    rows = node.has_shape(4) && node.rank(4) == 5 ? node.shape(4)[3] + rows : node.fresh(1, 3);
  node.set(1, node.type(0), {2, in[0], heads, rows, symbols::floordiv(key, heads)});
}

void multi_head_attention(NodeShapes &node) {
  const int64_t heads = node.integer("num_heads", 0);
  if (heads < 1)
    return node.fail("it does not say how many heads it has");
  const Shape q = node.shape(0);
  Dim rows, width, value_width;
  if (q.size() == 5) { // [b, s, heads, 3, width]: all three in one
    rows = q[1];
    width = value_width = q[4];
  } else if (!node.want_rank(0, 3)) {
    return;
  } else if (node.has_shape(1) && node.rank(1) == 5) { // keys and values in one
    rows = node.shape(1)[1];
    width = value_width = node.shape(1)[4];
  } else if (node.has_shape(1) && node.has_shape(2)) {
    const Shape &k = node.shape(1), &v = node.shape(2);
    if ((k.size() != 3 && k.size() != 4) || (v.size() != 3 && v.size() != 4))
      return node.fail("its keys or values have neither three dimensions nor four");
    rows = k.size() == 3 ? k[1] : k[2];
    width = k.size() == 3 ? symbols::floordiv(k[2], heads) : k[3];
    value_width = v.size() == 3 ? symbols::floordiv(v[2], heads) : v[3];
  } else {
    return node.set_type(0, node.type(0));
  }
  node.set(0, node.type(0), {q[0], q[1], value_width * Dim(heads)});
  if (node.has(6) && !node.has(8))
    rows = node.has_shape(6) && node.rank(6) == 4 ? node.shape(6)[2] + rows : node.fresh(1, 2);
  else if (node.has(6))
    rows = node.has_shape(6) && node.rank(6) == 4 ? node.shape(6)[2] : node.fresh(1, 2);
  node.set(1, node.type(0), {q[0], heads, rows, width});
  node.set(2, node.type(0), {q[0], heads, rows, value_width});
}

void group_query_attention(NodeShapes &node) {
  const int64_t heads = node.integer("num_heads", 0), kv_heads = node.integer("kv_num_heads", 0);
  if (heads < 1 || kv_heads < 1)
    return node.fail("it does not say how many heads it has");
  if (!node.want_rank(0, 3))
    return;
  const Shape q = node.shape(0);
  // Without keys they stand behind the queries, in the same rows.
  const Dim width = symbols::floordiv(q[2], node.has(1) ? heads : heads + 2 * kv_heads);
  node.set(0, node.type(0), {q[0], q[1], width * Dim(heads)});
  for (size_t i = 1; i < 3; ++i)
    node.set(i, node.type(0), {q[0], kv_heads, node.fresh(i, 2), width});
}

void matmul_nbits(NodeShapes &node) {
  const int64_t inputs = node.integer("K", 0), outputs = node.integer("N", 0);
  if (inputs < 1 || outputs < 1)
    return node.fail("it does not say K and N");
  if (!node.want_rank_at_least(0, 1))
    return;
  Shape shape = node.shape(0);
  node.unify(shape.back(), inputs, "its rows and K");
  shape.back() = outputs;
  node.set(0, node.type(0), std::move(shape));
}

constexpr Rule kRules[] = {
    {"SkipLayerNormalization", skip_norm, 3},
    {"SkipSimplifiedLayerNormalization", skip_norm, 3},
    {"SimplifiedLayerNormalization", simplified_norm, 2},
    {"RotaryEmbedding", as_first, 4},
    {"MultiHeadAttention", multi_head_attention},
    {"Attention", packed_attention, 2},
    {"GroupQueryAttention", group_query_attention},
    {"FastGelu", as_first},
    {"BiasGelu", as_first, 2},
    {"QuickGelu", as_first},
    {"Gelu", as_first},
    {"EmbedLayerNormalization", embed_norm},
    {"MatMulNBits", matmul_nbits, 3},
};

} // namespace

std::span<const Rule> microsoft_rules() { return kRules; }

} // namespace quern::onnx
