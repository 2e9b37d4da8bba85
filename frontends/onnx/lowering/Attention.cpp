#include "frontends/onnx/lowering/Attention.h"

#include "frontends/onnx/lowering/Gathers.h"
#include "frontends/onnx/lowering/NodeLowering.h"

#include <cmath>

namespace quern::onnx {

Array split_heads(Arrays &a, const Array &x, const Dim &heads) {
  if (x.rank() == 4)
    return x;
  const Dim width = symbols::floordiv(x.shape[2], heads);
  return a.transpose(a.reshape(x, {x.shape[0], x.shape[1], heads, width}), {0, 2, 1, 3});
}

Array join_heads(Arrays &a, const Array &x) {
  const Shape &s = x.shape;
  return a.reshape(a.transpose(x, {0, 2, 1, 3}), {s[0], s[2], s[1] * s[3]});
}

namespace {

/// [b, kv heads, ...] as so many heads, each kv head several times in a row.
Array repeated(Arrays &a, const Array &y, const Dim &heads) {
  if (y.shape[1] == heads)
    return y;
  const Dim each = symbols::floordiv(heads, y.shape[1]);
  const Array grouped =
      a.broadcast(a.unsqueeze(y, 2), {y.shape[0], y.shape[1], each, y.shape[2], y.shape[3]});
  return a.reshape(grouped, {y.shape[0], heads, y.shape[2], y.shape[3]});
}

/// The product of [b, heads, m, c] and [b, kv heads, ...].
Array grouped_product(Arrays &a, const Array &x, const Array &given, bool y_is_turned) {
  const Array y = repeated(a, given, x.shape[1]);
  const Dim n = y.shape[y_is_turned ? 2 : 3];
  const bool half = x.type == ElementType::Float16 || x.type == ElementType::BFloat16;
  const ElementType type = half ? ElementType::Float32 : x.type;
  const auto next = [&](const Scalar &sum, const Scalars &e) {
    return sum + cast(e[0], type) * cast(e[1], type);
  };
  // Loops: batch, head, m, n; c.
  const std::vector<mlir::AffineExpr> right =
      y_is_turned ? std::vector<mlir::AffineExpr>{a.d(0), a.d(1), a.d(3), a.d(4)}
                  : std::vector<mlir::AffineExpr>{a.d(0), a.d(1), a.d(4), a.d(3)};
  return a.cast(a.contract({x, y}, {{a.d(0), a.d(1), a.d(2), a.d(4)}, right}, 5, type,
                           {x.shape[0], x.shape[1], x.shape[2], n}, 0, next),
                x.type);
}

} // namespace

Array attention_scores(Arrays &a, const Array &q, const Array &k, double scale) {
  const Array products = grouped_product(a, q, k, true);
  return scale == 1 ? products : a.scale(products, scale);
}

Array attention_values(Arrays &a, const Array &p, const Array &v) {
  return grouped_product(a, p, v, false);
}

Array rotated(Arrays &a, const Array &x, const Array &cos, const Array &sin,
              const Rotation &rotation) {
  const Array heads = split_heads(a, x, rotation.heads);
  const Dim whole = heads.shape[3];
  const Dim width = rotation.width != 0 ? Dim(rotation.width) : whole;
  const Dim half = symbols::floordiv(width, 2);
  const Array c = a.unsqueeze(cos, 1), s = a.unsqueeze(sin, 1);
  Sizes shape = heads.shape;
  shape[3] = half;
  const auto every = [&](int64_t first) { // first, first + 2, ...
    return a.slice(heads, {0, 0, 0, first}, shape, {1, 1, 1, 2});
  };
  const Array x1 = rotation.interleaved ? every(0) : a.part(heads, 3, 0, half);
  const Array x2 = rotation.interleaved ? every(1) : a.part(heads, 3, half, half);
  const Array real = a.map({x1, c, x2, s}, x.type, shape,
                           [](const Scalars &e) { return e[0] * e[1] - e[2] * e[3]; });
  const Array imaginary = a.map({x1, s, x2, c}, x.type, shape,
                                [](const Scalars &e) { return e[0] * e[1] + e[2] * e[3]; });
  Sizes turned = heads.shape;
  turned[3] = width;
  Array y;
  if (rotation.interleaved) {
    Sizes pairs = shape;
    pairs.push_back(2);
    y = a.reshape(a.concat({a.unsqueeze(real, 4), a.unsqueeze(imaginary, 4)}, 4, pairs), turned);
  } else {
    y = a.concat({real, imaginary}, 3, turned);
  }
  if (width != whole)
    y = a.concat({y, a.part(heads, 3, width, whole - width)}, 3, heads.shape);
  return x.rank() == 4 ? y : join_heads(a, y);
}

namespace {

void rotary_embedding(NodeLowering &node) {
  Arrays &a = node.arrays();
  Array cos = node.in(1), sin = node.in(2);
  if (node.has(3)) {
    const Array ids = node.in(3);
    cos = gather(a, cos, ids, 0);
    sin = gather(a, sin, ids, 0);
  }
  const Rotation rotation = {.heads = node.integer("num_heads", 0),
                             .width = node.integer("rotary_embedding_dim", 0),
                             .interleaved = node.integer("interleaved", 0) != 0};
  node.set(rotated(a, node.in(0), cos, sin, rotation));
}

/// What is added to scores, -inf where a query sees no key; null where all see all.
std::optional<Array> bias_of(NodeLowering &node, ElementType type, const Shape &scores,
                             bool &masks_rows) {
  Arrays &a = node.arrays();
  const bool causal = node.integer("is_causal", 0) != 0;
  const int64_t left = node.integer("left_window_size", -1),
                right = node.integer("right_window_size", -1);
  const bool windowed = left >= 0 || right >= 0;
  const bool lengths = node.has(6);
  masks_rows = node.has(3) || lengths || windowed;
  if (!masks_rows && !causal)
    return std::nullopt;
  std::vector<Array> inputs;
  Sizes shape = {scores[2], scores[3]};
  if (node.has(3)) {
    Array mask = node.in(3);
    if (mask.rank() == 0) {
      node.refuse("its mask has no dimensions");
      return std::nullopt;
    }
    const Dim missing = scores[3] - mask.shape.back();
    if (!missing.is(0)) {
      std::vector<Dim> low(mask.rank(), Dim(0)), high(mask.rank(), Dim(0));
      high.back() = missing;
      mask = a.pad(mask, low, high, mask.type == ElementType::Bool ? 0 : -HUGE_VAL);
    }
    inputs.push_back(mask);
    shape = Arrays::broadcast_shape(shape, mask.shape);
  }
  if (lengths) {
    inputs.push_back(a.reshape(node.in(6), {scores[0], 1, 1, 1}));
    shape = Arrays::broadcast_shape(shape, inputs.back().shape);
  }
  const Dim past = node.has(4) ? node.shape(4)[2] : Dim(0);
  const Scalar before = a.size_index(past), queries = a.size_index(scores[2]);
  const size_t rank = shape.size();
  return a.map(inputs, type, shape, [&](const Scalars &e) {
    Writer &w = a.writer();
    const Scalar none = number(w, type, -HUGE_VAL), zero = number(w, type, 0);
    const Scalar i = Arrays::place(w, rank - 2), j = Arrays::place(w, rank - 1);
    Scalar bias = zero;
    if (node.has(3))
      bias = e[0].type == ElementType::Bool ? select(e[0], zero, none) : cast(e[0], type);
    std::optional<Scalar> length;
    if (lengths)
      length = to_index(e.back());
    // How many keys stand before the first query.
    const Scalar offset = node.has(4) || !lengths ? before : *length - queries;
    const Scalar at = i + offset;
    Scalar seen = number(w, ElementType::Bool, 1);
    if (causal)
      seen = seen & less_equal(j, at);
    if (left >= 0)
      seen = seen & less_equal(at - j, static_cast<double>(left));
    if (right >= 0)
      seen = seen & less_equal(j - at, static_cast<double>(right));
    if (lengths)
      seen = seen & less(j, *length);
    return select(seen, bias, none);
  });
}

void attention(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array q = split_heads(a, node.in(0), node.integer("q_num_heads", 0));
  Array k = split_heads(a, node.in(1), node.integer("kv_num_heads", 0));
  Array v = split_heads(a, node.in(2), node.integer("kv_num_heads", 0));
  const ElementType type = q.type;
  if (node.has(4)) {
    const auto behind = [&](const Array &past, const Array &now) {
      Sizes shape = now.shape;
      shape[2] = past.shape[2] + now.shape[2];
      return a.concat({past, now}, 2, shape);
    };
    k = behind(node.in(4), k);
    v = behind(node.in(5), v);
  }
  node.set(1, k);
  node.set(2, v);
  const auto width = q.shape[3].constant();
  if (!width && !node.has_attribute("scale"))
    return node.refuse("the width of its heads is not fixed, and it has no scale");
  const double scale = node.number("scale", 1 / std::sqrt(static_cast<double>(width.value_or(1))));
  const bool half = type == ElementType::Float16 || type == ElementType::BFloat16;
  // Halves are scaled on both sides before they are multiplied, which is where they would overflow.
  Array scores =
      half ? attention_scores(a, a.scale(q, std::sqrt(scale)), a.scale(k, std::sqrt(scale)), 1)
           : attention_scores(a, q, k, scale);
  const double cap = node.number("softcap", 0);
  if (cap > 0)
    scores = a.map({scores}, type, [&](const Scalars &e) { return tanh(e[0] / cap) * cap; });
  const int64_t mode = node.integer("qk_matmul_output_mode", 0);
  if (mode == 0 || mode == 1)
    node.set(3, scores);
  bool masks_rows = false;
  const auto bias = bias_of(node, type, scores.shape, masks_rows);
  if (node.refused())
    return;
  if (bias)
    scores = a.add(scores, *bias);
  if (mode == 2)
    node.set(3, scores);
  const ElementType precision = node.type_attribute("softmax_precision", type);
  Array p = a.softmax(a.cast(scores, precision), 3);
  if (masks_rows) {
    // A query that sees no key has no probabilities.
    const Array best = a.largest(scores, {3}, true);
    p = a.map({best, p}, precision, p.shape, [](const Scalars &e) {
      return select(equal(e[0], -HUGE_VAL), number_like(e[1], 0), e[1]);
    });
  }
  p = a.cast(p, type);
  if (mode == 3)
    node.set(3, p);
  const Array y = attention_values(a, p, a.cast(v, type));
  node.set(0, node.rank(0) == 4 ? y : join_heads(a, y));
}

constexpr LoweringRow kRows[] = {
    {"Attention", attention, Takes::Reals, 3},
    {"RotaryEmbedding", rotary_embedding, Takes::Reals, 3},
};

} // namespace

std::span<const LoweringRow> attention_lowerings() { return kRows; }

} // namespace quern::onnx
