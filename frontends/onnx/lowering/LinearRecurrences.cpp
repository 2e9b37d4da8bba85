// Mixers of sequences as ONNX has them for whole layers. A sequence of a fixed length is taken step
// by step.
#include "frontends/onnx/lowering/Attention.h"
#include "frontends/onnx/lowering/NodeLowering.h"

#include <absl/strings/str_cat.h>

#include <cmath>

namespace quern::onnx {
namespace {

/// Longer sequences would make too long a program.
constexpr int64_t kMostSteps = 128;

/// A depthwise convolution over what came before.
void causal_conv(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0), weight = node.in(1);
  if (x.rank() != 3)
    return node.refuse("it is of more than one dimension");
  const std::string activation = node.string("activation", "none");
  if (activation != "none" && activation != "silu" && activation != "swish")
    return node.refuse(absl::StrCat("its activation is '", activation, "'"));
  const Dim before = weight.shape[2] - 1;
  Sizes shape = x.shape;
  shape[2] = x.shape[2] + before;
  const Array padded =
      node.has(3) ? a.concat({node.in(3), x}, 2, shape) : a.pad(x, {0, 0, before}, {0, 0, 0}, 0.0);
  const bool half = x.type == ElementType::Float16 || x.type == ElementType::BFloat16;
  const ElementType type = half ? ElementType::Float32 : x.type;
  const Array taps = a.reshape(weight, {weight.shape[0], weight.shape[2]});
  const Array sums =
      a.contract({padded, taps}, {{a.d(0), a.d(1), a.d(2) + a.d(3)}, {a.d(1), a.d(3)}}, 4, type,
                 x.shape, 0, [&](const Scalar &sum, const Scalars &e) {
                   return sum + cast(e[0], type) * cast(e[1], type);
                 });
  std::vector<Array> inputs = {sums};
  if (node.has(2))
    inputs.push_back(a.reshape(node.in(2), {x.shape[1], 1}));
  node.set(0, a.map(inputs, x.type, x.shape, [&](const Scalars &e) {
    const Scalar y = e.size() > 1 ? e[0] + cast(e[1], type) : e[0];
    if (activation == "none")
      return cast(y, x.type);
    const Scalar wide = cast(cast(y, x.type), type); // rounded in between, as its parts would be
    return cast(wide * sigmoid(wide), x.type);
  }));
  node.set(1, a.part(padded, 2, x.shape[2], before));
}

void linear_attention(NodeLowering &node) {
  Arrays &a = node.arrays();
  const auto steps = node.shape(0)[1].constant();
  if (!steps || *steps > kMostSteps)
    return node.refuse(absl::StrCat("its sequence is not of a fixed length of up to ", kMostSteps),
                       "give the sequence a fixed length when exporting");
  const std::string rule = node.string("update_rule", "gated_delta");
  const bool gated = rule == "gated" || rule == "gated_delta";
  const bool delta = rule == "delta" || rule == "gated_delta";
  if (!gated && !delta && rule != "linear")
    return node.refuse(absl::StrCat("its update_rule is '", rule, "'"));
  const Dim heads = node.integer("q_num_heads", 1), kv_heads = node.integer("kv_num_heads", 1);
  const auto wide = [&](const Array &x, const Dim &count) {
    return a.cast(split_heads(a, x, count), ElementType::Float32);
  };
  const Array q = wide(node.in(0), heads), k = wide(node.in(1), kv_heads),
              v = wide(node.in(2), kv_heads);
  const auto width = q.shape[3].constant();
  if (!width)
    return node.refuse("the width of its heads is not fixed");
  double scale = node.number("scale", 0);
  if (scale == 0)
    scale = 1 / std::sqrt(static_cast<double>(*width));
  const Shape state_shape = {q.shape[0], kv_heads, k.shape[3], v.shape[3]};
  Array state = node.has(3) ? a.cast(node.in(3), ElementType::Float32)
                            : a.filled(ElementType::Float32, state_shape, 0);
  std::optional<Array> decay, beta;
  if (gated)
    decay = wide(node.in(4), kv_heads);
  if (delta)
    beta = wide(node.in(5), node.shape(5)[2]);
  // Of one step: [b, heads, width, 1] where it stands along the state's rows, else
  // [b, heads, 1, width].
  const auto at = [&](const Array &x, int64_t t, bool rows) {
    const Array step = a.part(x, 2, t, 1);
    return rows ? a.reshape(step, {x.shape[0], x.shape[1], x.shape[3], 1}) : step;
  };
  std::vector<Array> outputs;
  for (int64_t t = 0; t < *steps; ++t) {
    const Array key = at(k, t, true);
    Array value = at(v, t, false);
    if (gated)
      state = a.map({state, at(*decay, t, true)}, ElementType::Float32,
                    [](const Scalars &e) { return e[0] * exp(e[1]); });
    if (delta) {
      const Array seen = a.matmul(at(k, t, false), state);
      value = a.map({at(*beta, t, false), value, seen}, ElementType::Float32, value.shape,
                    [](const Scalars &e) { return e[0] * (e[1] - e[2]); });
    }
    state = a.map({state, key, value}, ElementType::Float32, state_shape,
                  [](const Scalars &e) { return e[0] + e[1] * e[2]; });
    outputs.push_back(attention_values(a, at(q, t, false), state));
  }
  const Sizes shape = {q.shape[0], heads, q.shape[2], v.shape[3]};
  const Array y = a.scale(a.concat(outputs, 2, shape), scale);
  node.set(0, a.cast(join_heads(a, y), node.out_type()));
  if (node.wants(1))
    node.set(1, a.cast(state, node.out_type(1)));
}

constexpr LoweringRow kRows[] = {
    {"CausalConvWithState", causal_conv, Takes::Reals, 3},
    {"LinearAttention", linear_attention, Takes::Reals, 3},
};

} // namespace

std::span<const LoweringRow> linear_recurrence_lowerings() { return kRows; }

} // namespace quern::onnx
