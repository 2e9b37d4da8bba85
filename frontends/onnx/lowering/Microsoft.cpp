// The ops of com.microsoft that exporters and ONNX Runtime's optimizer write for transformers.
#include "frontends/onnx/lowering/Activations.h"
#include "frontends/onnx/lowering/Attention.h"
#include "frontends/onnx/lowering/Gathers.h"
#include "frontends/onnx/lowering/NodeLowering.h"
#include "frontends/onnx/lowering/Norms.h"

#include <cmath>
#include <optional>

namespace quern::onnx {
namespace {

std::optional<Array> input_if(NodeLowering &node, size_t i) {
  return node.has(i) ? std::optional(node.in(i)) : std::nullopt;
}

bool is_half(ElementType type) {
  return type == ElementType::Float16 || type == ElementType::BFloat16;
}

/// Halves are computed with in float32, as ONNX Runtime does: what an op keeps to itself is not
/// rounded.
Array widened(Arrays &a, const Array &x) {
  return is_half(x.type) ? a.cast(x, ElementType::Float32) : x;
}
std::optional<Array> widened(Arrays &a, const std::optional<Array> &x) {
  return x ? std::optional(widened(a, *x)) : std::nullopt;
}

Array sum_of(Arrays &a, const Array &x, std::initializer_list<std::optional<Array>> others) {
  Array sum = widened(a, x);
  for (const auto &other : others)
    if (other)
      sum = a.map({sum, widened(a, *other)}, sum.type, sum.shape,
                  [](const Scalars &e) { return e[0] + e[1]; });
  return sum;
}

void skip_layer_norm(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array sum = sum_of(a, node.in(0), {node.in(1), input_if(node, 4)});
  const Normed normed = layer_norm(a, sum, widened(a, node.in(2)), widened(a, input_if(node, 3)),
                                   sum.rank() - 1, node.number("epsilon", 1e-12F));
  node.set(0, a.cast(normed.y, node.out_type()));
  node.set(1, normed.mean);
  node.set(2, normed.inverse);
  node.set(3, a.cast(sum, node.type(0)));
}

void skip_rms_norm(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array sum = sum_of(a, node.in(0), {node.in(1), input_if(node, 3)});
  const Normed normed =
      rms_norm(a, sum, widened(a, node.in(2)), sum.rank() - 1, node.number("epsilon", 1e-12F));
  node.set(0, a.cast(normed.y, node.out_type()));
  node.set(2, normed.inverse);
  node.set(3, a.cast(sum, node.type(0)));
  if (node.wants(1))
    node.refuse("it is asked for a mean, and has none", "leave its output 1 out");
}

void rms_norm_op(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const size_t axis = node.axis(node.integer("axis", -1), x.rank());
  const Normed normed = rms_norm(a, x, widened(a, node.in(1)), axis, node.number("epsilon", 1e-5F));
  node.set(0, a.cast(normed.y, node.out_type()));
  node.set(1, normed.inverse);
}

/// Words, positions and segments looked up, added and normalized.
void embed_norm(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array ids = node.in(0), positions = node.in(3);
  const Array words = gather(a, node.in(2), ids, 0);
  Array places;
  if (node.has(8)) {
    places = gather(a, positions, node.in(8), 0);
  } else {
    Sizes shape = {ids.shape[1], positions.shape[1]};
    places = a.slice(positions, {0, 0}, shape);
  }
  std::optional<Array> segments;
  if (node.has(1) && node.has(4))
    segments = gather(a, node.in(4), node.in(1), 0);
  const Array sum = sum_of(a, words, {places, segments});
  const Normed normed = layer_norm(a, sum, widened(a, node.in(5)), widened(a, input_if(node, 6)), 2,
                                   node.number("epsilon", 1e-12F));
  node.set(0, a.cast(normed.y, node.out_type()));
  if (node.wants(1)) {
    if (node.has(7))
      node.set(1, a.sum(a.cast(node.in(7), ElementType::Int32), {1}, false));
    else
      node.set(1, a.filled(ElementType::Int32, node.out_shape(1), 0));
  }
  node.set(2, a.cast(sum, words.type));
}

template <Scalar (*function)(const Scalar &)> void biased(NodeLowering &node) {
  Arrays &a = node.arrays();
  std::vector<Array> inputs = {widened(a, node.in(0))};
  if (node.has(1))
    inputs.push_back(widened(a, node.in(1)));
  const Array y = a.map(inputs, inputs[0].type, node.out_shape(), [](const Scalars &e) {
    return function(e.size() > 1 ? e[0] + e[1] : e[0]);
  });
  node.set(a.cast(y, node.out_type()));
}

void quick_gelu(NodeLowering &node) {
  const double alpha = node.number("alpha", 1.702F);
  Arrays &a = node.arrays();
  const Array x = widened(a, node.in(0));
  node.set(a.cast(a.map({x}, x.type, [&](const Scalars &e) { return swish(e[0], alpha); }),
                  node.out_type()));
}

void rotary_embedding(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = widened(a, node.in(0)), ids = node.in(1);
  if (node.number("scale", 1) != 1 || node.integer("is_packed_batching", 0) != 0)
    return node.refuse("its scale is not 1, or its batch is packed");
  Array cos, sin;
  if (ids.rank() == 1) {
    // Where the first token is; the others follow.
    const Dim tokens = x.shape[x.rank() == 4 ? 2 : 1];
    const Array places =
        a.generate(ElementType::Int64, {1, tokens}, [&](Writer &w, const Scalars &at) {
          return Arrays::only(w, ids) + from_index(at[1], ElementType::Int64);
        });
    cos = gather(a, node.in(2), places, 0);
    sin = gather(a, node.in(3), places, 0);
  } else {
    cos = gather(a, node.in(2), ids, 0);
    sin = gather(a, node.in(3), ids, 0);
  }
  const int64_t width = node.integer("rotary_embedding_dim", 0);
  Dim heads = node.integer("num_heads", 0);
  if (heads.is(0) && x.rank() == 3) // a head is as wide as the table turns
    heads = symbols::floordiv(x.shape[2], cos.shape[2] * 2);
  if (heads.is(0) && width != 0)
    return node.refuse("it has no num_heads");
  const Rotation rotation = {
      .heads = heads, .width = width, .interleaved = node.integer("interleaved", 0) != 0};
  const Array turned = rotated(a, x, widened(a, cos), widened(a, sin), rotation);
  node.set(a.cast(turned, node.out_type()));
}

/// How the masks of com.microsoft's attentions come: lengths [b], or 1 where a key is seen,
/// [b, k] or [b, q, k].
Scalar seen_by(const Array &mask, Writer &w, const Scalars &at) {
  if (mask.rank() == 1)
    return less(at[3], to_index(Arrays::element(w, mask, {at[0]})));
  const Scalar e = mask.rank() == 2 ? Arrays::element(w, mask, {at[0], at[3]})
                   : mask.rank() == 3
                       ? Arrays::element(w, mask, {at[0], at[2], at[3]})
                       : Arrays::element(w, mask, {at[0], index(w, 0), at[2], at[3]});
  return not_equal(e, integer_like(e, 0));
}

struct Masks {
  std::optional<Array> mask, bias;
  bool causal = false;
  Dim past = 0;
};

Array attend(NodeLowering &node, const Array &q, const Array &k, const Array &v,
             const Masks &masks) {
  Arrays &a = node.arrays();
  const auto width = q.shape[3].constant();
  double scale = node.number("scale", 0);
  if (scale == 0)
    scale = 1 / std::sqrt(static_cast<double>(width.value_or(1)));
  if (!width && node.number("scale", 0) == 0)
    node.refuse("the width of its heads is not fixed, and it has no scale");
  Array scores = attention_scores(a, q, k, scale);
  if (masks.bias)
    scores = a.map({scores, widened(a, *masks.bias)}, scores.type, scores.shape,
                   [](const Scalars &e) { return e[0] + e[1]; });
  if (masks.mask || masks.causal) {
    const double filtered = node.number("mask_filter_value", -10000);
    const Scalar past = a.size_index(masks.past);
    const Sizes shape = scores.shape;
    scores = a.map({scores}, scores.type, shape, [&](const Scalars &e) {
      Writer &w = a.writer();
      Scalars at;
      for (size_t i = 0; i < 4; ++i)
        at.push_back(Arrays::place(w, i));
      Scalar y = e[0];
      if (masks.causal)
        y = select(less_equal(at[3], at[2] + past), y,
                   number_like(y, std::numeric_limits<float>::lowest()));
      if (masks.mask)
        y = select(seen_by(*masks.mask, w, at), y, y + filtered);
      return y;
    });
  }
  return join_heads(a, attention_values(a, a.softmax(scores, 3), v));
}

Array behind(Arrays &a, const Array &past, const Array &now) {
  Sizes shape = now.shape;
  shape[2] = past.shape[2] + now.shape[2];
  return a.concat({a.cast(past, now.type), now}, 2, shape);
}

void multi_head_attention(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Dim heads = node.integer("num_heads", 1);
  if (node.has(8) || node.has(9))
    return node.refuse("it appends to a buffer in place", "export it without past_sequence_length");
  if (node.rank(0) != 3 || !node.has(1) || !node.has(2))
    return node.refuse("its queries, keys and values are packed",
                       "export it with queries, keys and values apart");
  std::vector<Array> parts;
  for (size_t i = 0; i < 3; ++i)
    parts.push_back(widened(a, node.in(i)));
  if (node.has(3)) {
    const Array bias = widened(a, node.in(3));
    Dim offset = 0;
    for (Array &part : parts) {
      const Dim width = part.rank() == 3 ? part.shape[2] : part.shape[1] * part.shape[3];
      if (part.rank() == 3)
        part = a.add(part, a.part(bias, 0, offset, width));
      offset += width;
    }
  }
  const Array q = split_heads(a, parts[0], heads);
  Array k = split_heads(a, parts[1], heads), v = split_heads(a, parts[2], heads);
  Masks masks = {.mask = input_if(node, 4),
                 .bias = input_if(node, 5),
                 .causal = node.integer("unidirectional", 0) != 0};
  if (masks.mask && masks.mask->rank() == 1 && !(masks.mask->shape[0] == q.shape[0]))
    return node.refuse("its key_padding_mask is a list of lengths and ends");
  if (node.has(6)) {
    k = behind(a, node.in(6), k);
    v = behind(a, node.in(7), v);
    masks.past = node.shape(6)[2];
  }
  node.set(1, a.cast(k, node.type(0)));
  node.set(2, a.cast(v, node.type(0)));
  node.set(0, a.cast(attend(node, q, k, v, masks), node.type(0)));
}

/// Projections of one weight, then attention.
void packed_attention(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Dim heads = node.integer("num_heads", 1);
  if (node.has(6) || node.integer("do_rotary", 0) != 0)
    return node.refuse("it appends to a buffer in place, or turns its heads");
  const Array x = node.in(0);
  const auto projected = node.linear(x, 1, false, std::nullopt);
  Array qkv = projected ? *projected : a.matmul(widened(a, x), widened(a, node.in(1)));
  if (node.has(2))
    qkv = a.add(qkv, widened(a, node.in(2)));
  const auto sizes = node.integers("qkv_hidden_sizes");
  const Dim third = symbols::floordiv(qkv.shape[2], 3);
  const Dim q_width = sizes ? Dim((*sizes)[0]) : third, k_width = sizes ? Dim((*sizes)[1]) : third,
            v_width = sizes ? Dim((*sizes)[2]) : third;
  const Array q = split_heads(a, a.part(qkv, 2, 0, q_width), heads);
  Array k = split_heads(a, a.part(qkv, 2, q_width, k_width), heads);
  Array v = split_heads(a, a.part(qkv, 2, q_width + k_width, v_width), heads);
  Masks masks = {.mask = input_if(node, 3),
                 .bias = input_if(node, 5),
                 .causal = node.integer("unidirectional", 0) != 0};
  if (masks.mask && masks.mask->rank() == 1 && !(masks.mask->shape[0] == q.shape[0]))
    return node.refuse("its mask_index is a list of lengths and ends");
  if (node.has(4)) {
    const Array past = node.in(4); // [2, b, heads, past, d]
    const Shape half = {past.shape[1], past.shape[2], past.shape[3], past.shape[4]};
    k = behind(a, a.reshape(a.part(past, 0, 0, 1), half), k);
    v = behind(a, a.reshape(a.part(past, 0, 1, 1), half), v);
    masks.past = past.shape[3];
  }
  if (node.wants(1)) {
    if (!(k.shape[3] == v.shape[3]))
      return node.refuse("its present has no room for values that are not as wide as keys",
                         "leave its output 1 out");
    const Array present = a.concat({a.unsqueeze(k, 0), a.unsqueeze(v, 0)}, 0, node.out_shape(1));
    node.set(1, a.cast(present, x.type));
  }
  node.set(0, a.cast(attend(node, q, k, v, masks), x.type));
}

/// A weight of 2, 4 or 8 bits a number, in blocks along its inputs with a scale each.
void matmul_nbits(NodeLowering &node) {
  Arrays &a = node.arrays();
  const int64_t bits = node.integer("bits", 4), block = node.integer("block_size", 32),
                inputs = node.integer("K", 0), outputs = node.integer("N", 0);
  if ((bits != 2 && bits != 4 && bits != 8) || block < 1)
    return node.refuse("its bits are none of 2, 4 and 8");
  if (node.has(4))
    return node.refuse("it orders its inputs by a g_idx",
                       "quantize it without an order (desc_act)");
  const Array x = node.in(0), codes = node.in(1);
  const int64_t blocks = (inputs + block - 1) / block, per_byte = 8 / bits;
  const Array packed = a.reshape(codes, {outputs, blocks, (block + per_byte - 1) / per_byte});
  const Array scales = a.reshape(node.in(2), {outputs, blocks});
  std::optional<Array> zeros;
  bool packed_zeros = false;
  if (node.has(3)) {
    zeros = node.in(3);
    packed_zeros = zeros->type == ElementType::Uint8;
    zeros =
        a.reshape(*zeros, {outputs, packed_zeros ? (blocks + per_byte - 1) / per_byte : blocks});
  }
  const auto code = [&](Writer &w, const Array &from, Scalars at) {
    const Scalar which = at.back();
    at.back() = which / static_cast<double>(per_byte);
    const Scalar byte = Arrays::element(w, from, at);
    const Scalar shift =
        from_index(rest(which, index(w, per_byte)) * static_cast<double>(bits), ElementType::Uint8);
    return cast(shift_right(byte, shift) & integer_like(byte, (1 << bits) - 1),
                ElementType::Float32);
  };
  const Array w = a.generate(x.type, {inputs, outputs}, [&](Writer &writer, const Scalars &at) {
    const Scalar group = at[0] / static_cast<double>(block);
    const Scalar number_of =
        code(writer, packed, {at[1], group, rest(at[0], index(writer, block))});
    const Scalar zero =
        !zeros ? number(writer, ElementType::Float32, std::ldexp(1.0, static_cast<int>(bits) - 1))
        : packed_zeros
            ? code(writer, *zeros, {at[1], group})
            : cast(Arrays::element(writer, *zeros, {at[1], group}), ElementType::Float32);
    const Scalar scale =
        cast(Arrays::element(writer, scales, {at[1], group}), ElementType::Float32);
    return cast((number_of - zero) * scale, x.type);
  });
  Array rows = x.rank() == 1 ? a.unsqueeze(x, 0) : x;
  Array y = a.reshape(a.matmul(rows, w), node.out_shape());
  if (node.has(5))
    y = a.add(y, node.in(5));
  node.set(y);
}

constexpr LoweringRow kRows[] = {
    {"SkipLayerNormalization", skip_layer_norm, Takes::Reals, 1},
    {"SkipSimplifiedLayerNormalization", skip_rms_norm, Takes::Reals, 1},
    {"SimplifiedLayerNormalization", rms_norm_op, Takes::Reals, 1},
    {"EmbedLayerNormalization", embed_norm, Takes::Integers, 2},
    {"Gelu", biased<gelu_erf>, Takes::Reals},
    {"BiasGelu", biased<gelu_erf>, Takes::Reals},
    {"FastGelu", biased<gelu_tanh>, Takes::Reals},
    {"QuickGelu", quick_gelu, Takes::Reals},
    {"RotaryEmbedding", rotary_embedding, Takes::Reals, 3},
    {"MultiHeadAttention", multi_head_attention, Takes::Reals, 3},
    {"Attention", packed_attention, Takes::Reals, 3},
    {"MatMulNBits", matmul_nbits, Takes::Reals, 1},
};

} // namespace

std::span<const LoweringRow> microsoft_lowerings() { return kRows; }

} // namespace quern::onnx
