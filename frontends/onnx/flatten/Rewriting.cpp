#include "frontends/onnx/flatten/Rewriting.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstring>

namespace quern::onnx {

const Fact &Rewriting::fact(ValueId id) const {
  static const Fact nothing;
  return id == kNoValue || static_cast<size_t>(id) >= inference_.facts.size() ? nothing
                                                                              : inference_.fact(id);
}

ValueId Rewriting::fresh(std::string name) {
  model_.values.push_back({std::move(name)});
  return static_cast<ValueId>(model_.values.size() - 1);
}

ValueId Rewriting::add(const Node &from, std::string_view op, int64_t version,
                       std::vector<ValueId> inputs, Attributes attributes) {
  const ValueId result = fresh(absl::StrCat(from.name, "#", model_.values.size()));
  add_as(result, from, op, version, std::move(inputs), attributes);
  return result;
}

void Rewriting::add_as(ValueId result, const Node &from, std::string_view op, int64_t version,
                       std::vector<ValueId> inputs, Attributes attributes) {
  Node node;
  node.name = from.name;
  node.scope = from.scope;
  node.op = op;
  node.version = version;
  node.inputs = std::move(inputs);
  node.outputs = {result};
  for (const auto &[name, value] : attributes) {
    Attribute attribute;
    if (const auto *one = std::get_if<int64_t>(&value)) {
      attribute.kind = AttributeKind::Int;
      attribute.ints = {*one};
    } else {
      attribute.kind = AttributeKind::Ints;
      attribute.ints = std::get<std::vector<int64_t>>(value);
    }
    node.attributes.emplace(name, std::move(attribute));
  }
  nodes_.push_back(std::move(node));
}

void Rewriting::stands_for(ValueId result, const Node &from, ValueId value) {
  if (result != kNoValue)
    add_as(result, from, "Identity", 13, {value});
}

ValueId Rewriting::constant(ElementType type, std::vector<int64_t> shape, std::string bytes) {
  auto tensor = std::make_shared<Tensor>();
  tensor->type = type;
  tensor->shape = std::move(shape);
  tensor->storage = Storage::Raw;
  tensor->size = bytes.size();
  tensor->bytes = std::move(bytes);
  const ValueId id = fresh(absl::StrCat("constant#", model_.values.size()));
  model_.values.back().constant = std::move(tensor);
  return id;
}

ValueId Rewriting::integers(const std::vector<int64_t> &values, std::vector<int64_t> shape) {
  std::string bytes(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(int64_t));
  return constant(ElementType::Int64, std::move(shape), std::move(bytes));
}

ValueId Rewriting::truth(bool value) {
  return constant(ElementType::Bool, {}, std::string(1, value ? '\1' : '\0'));
}

ValueId Rewriting::number(float value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return constant(ElementType::Float32, {}, std::move(bytes));
}

ValueId Rewriting::nothing(ElementType type, std::vector<int64_t> shape) {
  return constant(type, std::move(shape), "");
}

Node Rewriting::copy(const Node &node, Map &map, const std::string &suffix,
                     const std::string &turn) {
  Node copied = node;
  copied.name += turn;
  for (ValueId &id : copied.inputs)
    if (const auto found = map.find(id); found != map.end())
      id = found->second;
  for (auto &[name, attribute] : copied.attributes)
    for (auto &graph : attribute.graphs)
      graph = copy(*graph, map, suffix, turn);
  if (!suffix.empty())
    for (ValueId &id : copied.outputs)
      if (id != kNoValue) {
        Value value = model_.value(id);
        value.name += suffix;
        model_.values.push_back(std::move(value));
        const auto to = static_cast<ValueId>(model_.values.size() - 1);
        map[id] = to;
        id = to;
      }
  return copied;
}

std::shared_ptr<const Graph> Rewriting::copy(const Graph &graph, Map &map,
                                             const std::string &suffix, const std::string &turn) {
  auto copied = std::make_shared<Graph>();
  copied->name = graph.name;
  copied->inputs = graph.inputs;
  if (!suffix.empty())
    for (ValueId &id : copied->inputs) {
      Value value = model_.value(id);
      value.name += suffix;
      model_.values.push_back(std::move(value));
      const auto to = static_cast<ValueId>(model_.values.size() - 1);
      map[id] = to;
      id = to;
    }
  for (const Node &node : graph.nodes)
    copied->nodes.push_back(copy(node, map, suffix, turn));
  copied->outputs = graph.outputs;
  for (ValueId &id : copied->outputs)
    if (const auto found = map.find(id); found != map.end())
      id = found->second;
  return copied;
}

std::vector<ValueId> Rewriting::put(const Graph &graph, const std::vector<ValueId> &inputs,
                                    std::optional<int64_t> turn) {
  // No other copy has this name: values are only ever added.
  const std::string suffix = turn ? absl::StrCat("#", model_.values.size()) : "";
  const std::string name = turn ? absl::StrCat(" in turn ", *turn) : "";
  Map map;
  for (size_t i = 0; i < graph.inputs.size() && i < inputs.size(); ++i)
    map[graph.inputs[i]] = inputs[i];
  for (const Node &node : graph.nodes)
    nodes_.push_back(copy(node, map, suffix, name));
  std::vector<ValueId> results = graph.outputs;
  for (ValueId &id : results)
    if (const auto found = map.find(id); found != map.end())
      id = found->second;
  return results;
}

const Node *Rewriting::producer(ValueId value) const {
  for (size_t i = nodes_.size(); i-- > 0;) {
    const Node &node = nodes_[i];
    if (std::ranges::find(node.outputs, value) == node.outputs.end())
      continue;
    if (!node.domain.empty() || node.op != "Identity" || node.inputs.empty())
      return &node;
    value = node.inputs[0];
  }
  return nullptr;
}

namespace {

int64_t count_nodes(const Graph &graph) {
  int64_t count = 0;
  for (const Node &node : graph.nodes) {
    ++count;
    for (const auto &[name, attribute] : node.attributes)
      for (const auto &inner : attribute.graphs)
        count += count_nodes(*inner);
  }
  return count;
}

} // namespace

bool Rewriting::has_room(int64_t times, const Graph &graph) const {
  const int64_t each = count_nodes(graph) + 4;
  const auto left = static_cast<int64_t>(kMostFlatNodes) -
                    static_cast<int64_t>(nodes_.size() + model_.graph.nodes.size());
  return times >= 0 && times <= left / each;
}

bool Rewriting::run() {
  bool any = false;
  // What is put is not looked at again in this round: nothing is known of it yet.
  const std::vector<Node> before = std::move(model_.graph.nodes);
  for (const Node &node : before) {
    const Flattener flatten = find_flattener(node);
    if (flatten != nullptr && !flatten(*this, node))
      any = true;
    else
      nodes_.push_back(node);
  }
  model_.graph.nodes = std::move(nodes_);
  return any;
}

std::optional<bool> known_bool(const Fact &fact) {
  const auto value =
      fact.elements && fact.elements->size() == 1 ? as_dim((*fact.elements)[0]) : std::nullopt;
  return value && value->is_constant() ? std::optional(!value->is(0)) : std::nullopt;
}

} // namespace quern::onnx
