// Attention and recurrences, as ONNX has them for whole layers.
#include "frontends/onnx/shapes/Rules.h"

#include <absl/strings/str_cat.h>

namespace quern::onnx {
namespace {

void recurrent(NodeShapes &node) {
  if (!node.want_rank(0, 3))
    return;
  const Shape in = node.shape(0);
  const bool batch_first = node.integer("layout", 0) != 0;
  const Dim steps = in[batch_first ? 1 : 0], batch = in[batch_first ? 0 : 1];
  const Dim directions = node.string("direction", "forward") == "bidirectional" ? 2 : 1;
  Dim hidden = node.integer("hidden_size", -1);
  if (hidden.is(-1))
    hidden = node.dim(2, 2);
  node.set(0, node.type(0),
           batch_first ? Shape{batch, steps, directions, hidden}
                       : Shape{steps, directions, batch, hidden});
  for (size_t i = 1; i < node.outputs(); ++i)
    node.set(i, node.type(0),
             batch_first ? Shape{batch, directions, hidden} : Shape{directions, batch, hidden});
}

/// An operand of attention, [batch, heads, rows, width], from three or four dimensions.
std::optional<Shape> heads_of(NodeShapes &node, size_t input, const char *heads_attribute) {
  const Shape &in = node.shape(input);
  if (in.size() == 4)
    return in;
  if (!node.want_rank(input, 3))
    return std::nullopt;
  const int64_t heads = node.integer(heads_attribute, 0);
  if (heads < 1) {
    node.fail(absl::StrCat("its input ", input, " has three dimensions, and it has no ",
                           heads_attribute));
    return std::nullopt;
  }
  const Dim width = symbols::floordiv(in[2], heads);
  node.unify(in[2], width * Dim(heads), "its rows, and heads of equal size,");
  return Shape{in[0], heads, in[1], width};
}

void attention(NodeShapes &node) {
  const auto q = heads_of(node, 0, "q_num_heads"), k = heads_of(node, 1, "kv_num_heads"),
             v = heads_of(node, 2, "kv_num_heads");
  if (!q || !k || !v)
    return;
  node.unify((*q)[0], (*k)[0], "the batches of its queries and keys");
  node.unify((*k)[0], (*v)[0], "the batches of its keys and values");
  node.unify((*q)[3], (*k)[3], "the widths of its queries and keys");
  node.unify((*k)[2], (*v)[2], "the rows of its keys and values");
  Shape present_k = *k, present_v = *v;
  if (node.has(4)) {
    present_k[2] =
        node.has_shape(4) && node.want_rank(4, 4) ? node.shape(4)[2] + (*k)[2] : node.fresh(1, 2);
    present_v[2] = present_k[2];
  }
  const Dim rows = (*q)[2];
  node.set(0, node.type(0),
           node.rank(0) == 4 ? Shape{(*q)[0], (*q)[1], rows, (*v)[3]}
                             : Shape{(*q)[0], rows, (*q)[1] * (*v)[3]});
  node.set(1, node.type(1), present_k);
  node.set(2, node.type(2), present_v);
  node.set(3, node.type(0), {(*q)[0], (*q)[1], rows, present_k[2]});
}

void as_first(NodeShapes &node) { node.set(0, node.type(0), node.shape(0)); }

void linear_attention(NodeShapes &node) {
  if (!node.want_rank(0, 3) || !node.want_rank(1, 3) || !node.want_rank(2, 3))
    return;
  const Shape q = node.shape(0), k = node.shape(1), v = node.shape(2);
  const int64_t q_heads = node.integer("q_num_heads", 0),
                kv_heads = node.integer("kv_num_heads", 0);
  if (q_heads < 1 || kv_heads < 1)
    return node.fail("it does not say how many heads it has");
  const Dim key_width = symbols::floordiv(k[2], kv_heads);
  const Dim value_width = symbols::floordiv(v[2], kv_heads);
  node.set(0, node.type(0), {q[0], q[1], Dim(q_heads) * value_width});
  if (node.has_shape(3))
    return node.set(1, node.type(3), node.shape(3));
  node.set(1, node.type(0), {q[0], kv_heads, key_width, value_width});
}

void causal_conv(NodeShapes &node) {
  if (!node.want_rank_at_least(0, 3) || !node.want_rank_at_least(1, 3))
    return;
  const Shape in = node.shape(0);
  node.set(0, node.type(0), in);
  Shape state = in;
  state.back() = node.shape(1).back() - 1;
  node.set(1, node.type(0), std::move(state));
}

/// Its modifiers of scores and probabilities are graphs of one score, which change no shape.
void flex_attention(NodeShapes &node) {
  if (!node.want_rank(0, 4) || !node.want_rank(1, 4) || !node.want_rank(2, 4))
    return;
  const Shape &q = node.shape(0), &k = node.shape(1), &v = node.shape(2);
  node.unify(q[3], k[3], "the widths of its queries and keys");
  node.unify(k[2], v[2], "the rows of its keys and values");
  node.set(0, node.type(0), {q[0], q[1], q[2], v[3]});
}

constexpr Rule kPreviewRules[] = {{"FlexAttention", flex_attention, 3}};

constexpr Rule kRules[] = {
    {"RNN", recurrent, 3},
    {"GRU", recurrent, 3},
    {"LSTM", recurrent, 3},
    {"Attention", attention, 3},
    {"RotaryEmbedding", as_first, 3},
    {"LinearAttention", linear_attention, 3},
    {"CausalConvWithState", causal_conv, 2},
};

} // namespace

std::span<const Rule> sequence_model_rules() { return kRules; }
std::span<const Rule> preview_rules() { return kPreviewRules; }

} // namespace quern::onnx
