// Nodes in an order in which each stands behind those whose results it uses.
#include "frontends/onnx/GraphReader.h"

#include <absl/strings/str_cat.h>

#include <functional>
#include <queue>
#include <unordered_map>

namespace quern::onnx {
namespace {

/// Calls `use` with every value that the node uses, in its subgraphs too.
void for_each_use(const Node &node, const std::function<void(ValueId)> &use) {
  for (const ValueId input : node.inputs)
    if (input != kNoValue)
      use(input);
  for (const auto &[name, attribute] : node.attributes)
    for (const auto &graph : attribute.graphs) {
      for (const Node &inner : graph->nodes)
        for_each_use(inner, use);
      for (const ValueId output : graph->outputs)
        use(output);
    }
}

} // namespace

void GraphReader::sort_nodes(Graph &graph) {
  std::unordered_map<ValueId, size_t> producers;
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    for (const ValueId output : graph.nodes[i].outputs)
      if (output != kNoValue)
        producers.emplace(output, i);
  std::vector<std::vector<size_t>> users(graph.nodes.size());
  std::vector<size_t> waits(graph.nodes.size());
  bool sorted = true;
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    for_each_use(graph.nodes[i], [&](ValueId value) {
      const auto producer = producers.find(value);
      if (producer == producers.end())
        return;
      users[producer->second].push_back(i);
      ++waits[i];
      sorted &= producer->second < i;
    });
  if (sorted)
    return;
  // The first that can come does, so that the file's order stays where it can.
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t i = 0; i < waits.size(); ++i)
    if (waits[i] == 0)
      ready.push(i);
  std::vector<Node> ordered;
  ordered.reserve(graph.nodes.size());
  while (!ready.empty()) {
    const size_t next = ready.top();
    ready.pop();
    ordered.push_back(std::move(graph.nodes[next]));
    for (const size_t user : users[next])
      if (--waits[user] == 0)
        ready.push(user);
  }
  for (size_t i = 0; i < waits.size(); ++i)
    if (waits[i] != 0) {
      problem(graph.nodes[i].name, "it needs its own result: the graph has a cycle through it",
              "export the model again; a loop is written as a Loop or Scan");
      break;
    }
  graph.nodes = std::move(ordered);
}

} // namespace quern::onnx
