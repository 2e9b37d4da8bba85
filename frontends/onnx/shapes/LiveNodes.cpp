#include "frontends/onnx/shapes/LiveNodes.h"

#include <functional>

namespace quern::onnx {
namespace {

/// Of an op that looks at its first input's shape alone.
bool reads_elements(const Node &node, size_t input) {
  return !node.domain.empty() || input != 0 || (node.op != "Shape" && node.op != "Size");
}

} // namespace

std::vector<bool> live_nodes(const Model &model, const Inference &inference) {
  std::vector<bool> used(model.values.size());
  const std::function<void(ValueId)> use = [&](ValueId value) {
    if (value != kNoValue && !inference.fact(value).is_known())
      used[static_cast<size_t>(value)] = true;
  };
  const std::function<void(const Node &)> use_inputs = [&](const Node &node) {
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (reads_elements(node, i))
        use(node.inputs[i]);
    for (const auto &[name, attribute] : node.attributes)
      for (const auto &graph : attribute.graphs) {
        for (const Node &inner : graph->nodes)
          use_inputs(inner);
        for (const ValueId output : graph->outputs)
          use(output);
      }
  };
  for (const ValueId output : model.graph.outputs)
    use(output);
  std::vector<bool> live(model.graph.nodes.size());
  for (size_t i = live.size(); i-- > 0;) {
    const Node &node = model.graph.nodes[i];
    for (const ValueId output : node.outputs)
      live[i] = live[i] || (output != kNoValue && used[static_cast<size_t>(output)]);
    if (live[i])
      use_inputs(node);
  }
  return live;
}

} // namespace quern::onnx
