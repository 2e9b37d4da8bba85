// FlexAttention as its definition has it, with the graphs that modify its scores.
#include "frontends/onnx/flatten/Rewriting.h"

#include <absl/strings/str_cat.h>

#include <cmath>

namespace quern::onnx {
namespace {

const Graph *graph_of(const Node &node, std::string_view name) {
  const Attribute *found = node.find(name);
  return found != nullptr && found->kind == AttributeKind::Graph ? found->graphs[0].get() : nullptr;
}

} // namespace

Replaced flatten_flex_attention(Rewriting &to, const Node &node) {
  const NotFlat wrong = {"its inputs are not queries, keys and values of four dimensions",
                         "the model is not as its exporter meant it: export it again"};
  if (node.inputs.size() < 3 || node.outputs.size() != 1 || node.outputs[0] == kNoValue)
    return wrong;
  for (size_t i = 0; i < 3; ++i)
    if (!to.fact(node.inputs[i]).shape || to.fact(node.inputs[i]).shape->size() != 4)
      return wrong;
  const Shape &q = *to.fact(node.inputs[0]).shape, &k = *to.fact(node.inputs[1]).shape,
              &v = *to.fact(node.inputs[2]).shape;
  const auto heads = q[1].constant(), shared = k[1].constant(), width = q[3].constant(),
             value_width = v[3].constant();
  if (!heads || !shared || !width || !value_width || *shared < 1 || *heads % *shared != 0 ||
      *width < 1)
    return NotFlat{"its heads are not of a fixed number and width",
                   "give the heads a fixed number and width when exporting"};
  const ElementType type = to.fact(node.inputs[0]).type;
  ElementType inner = type == ElementType::Float64 ? type : ElementType::Float32;
  if (const Attribute *given = node.find("softmax_precision");
      given != nullptr && given->kind == AttributeKind::Int) {
    const auto asked = find_element_type(given->ints[0]);
    if (!asked || !is_float(*asked))
      return NotFlat{"its softmax_precision is no type of floats",
                     "use float32, float16, bfloat16 or float64"};
    inner = *asked;
  }
  const Graph *scores_by = graph_of(node, "score_mod"), *weights_by = graph_of(node, "prob_mod");
  for (const Graph *graph : {scores_by, weights_by}) {
    if (graph != nullptr && (graph->inputs.size() != 1 || graph->outputs.size() != 1))
      return NotFlat{"a graph that modifies its scores has not one input and one result",
                     "the model is not as its exporter meant it: export it again"};
    if (graph != nullptr && !to.has_room(1, *graph))
      return NotFlat{"the graph is too long with what modifies its scores written out",
                     "export a smaller part of the model"};
  }
  double scale = 1 / std::sqrt(static_cast<double>(*width));
  if (const Attribute *given = node.find("scale");
      given != nullptr && given->kind == AttributeKind::Float)
    scale = static_cast<double>(given->floats[0]);
  const auto cast = [&](ValueId x, ElementType from, ElementType as) {
    return from == as ? x : to.add(node, "Cast", 13, {x}, {{"to", static_cast<int64_t>(as)}});
  };
  const auto of_heads = [&](ValueId x, int64_t columns) {
    if (*heads == *shared)
      return x;
    const ValueId apart = to.add(node, "Unsqueeze", 11, {x}, {{"axes", std::vector<int64_t>{2}}});
    const ValueId many =
        to.add(node, "Expand", 13, {apart, to.integers({1, 1, *heads / *shared, 1, 1}, {5})});
    return to.add(node, "Reshape", 14, {many, to.integers({0, *heads, -1, columns}, {4})});
  };
  // Half of the scale on each side, in the type of the inputs.
  const ValueId half = cast(to.number(static_cast<float>(std::sqrt(static_cast<float>(scale)))),
                            ElementType::Float32, type);
  const ValueId queries = to.add(node, "Mul", 14, {node.inputs[0], half});
  const ValueId keys = to.add(node, "Mul", 14, {of_heads(node.inputs[1], *width), half});
  const ValueId turned =
      to.add(node, "Transpose", 13, {keys}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}}});
  ValueId x = cast(to.add(node, "MatMul", 13, {queries, turned}), type, inner);
  if (scores_by != nullptr)
    x = to.put(*scores_by, {x}, std::nullopt)[0];
  x = to.add(node, "Softmax", 13, {x}, {{"axis", int64_t{-1}}});
  if (weights_by != nullptr)
    x = to.put(*weights_by, {x}, std::nullopt)[0];
  const ValueId values =
      cast(of_heads(node.inputs[2], *value_width), to.fact(node.inputs[2]).type, inner);
  if (inner == type) {
    to.add_as(node.outputs[0], node, "MatMul", 13, {x, values});
    return std::nullopt;
  }
  const ValueId y = to.add(node, "MatMul", 13, {x, values});
  to.add_as(node.outputs[0], node, "Cast", 13, {y}, {{"to", static_cast<int64_t>(type)}});
  return std::nullopt;
}

} // namespace quern::onnx
