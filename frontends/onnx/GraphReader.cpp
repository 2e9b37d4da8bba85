#include "frontends/onnx/GraphReader.h"

#include "frontends/onnx/OnnxFile.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <onnx-ml.pb.h>

namespace quern::onnx {
namespace {

/// Nodes that calls may come to: some, and so many a node of the graph. A function that calls
/// others twice each, and so on, makes of a small file more than fits in memory.
constexpr int64_t kMostInlined = 50'000, kMostInlinedByNode = 100;
constexpr int kMostCalls = 32;
constexpr size_t kMostNameLength = 200;

constexpr char kExport[] = "export the model again; onnx.checker.check_model says the same of it";

/// A name for a message: what a hostile file has for one may be long.
std::string shown(const std::string &name) {
  return name.size() <= kMostNameLength ? name : name.substr(0, kMostNameLength) + "...";
}

/// The module that a node was exported from: the last but one of the scopes that torch writes, a
/// Python list of strings whose last is the node's own name.
std::string module_of(const ::onnx::NodeProto &proto) {
  for (const auto &entry : proto.metadata_props()) {
    if (entry.key() != "pkg.torch.onnx.name_scopes")
      continue;
    std::string last, before;
    const std::string &list = entry.value();
    for (size_t at = 0; (at = list.find('\'', at)) != list.npos;) {
      const size_t end = list.find('\'', at + 1);
      if (end == list.npos)
        break;
      before = last;
      last = list.substr(at + 1, end - at - 1);
      at = end + 1;
    }
    return before;
  }
  return "";
}

std::string name_of(const ::onnx::NodeProto &proto, const std::string &prefix) {
  if (!proto.name().empty())
    return shown(prefix + proto.name());
  for (const std::string &output : proto.output())
    if (!output.empty())
      return shown(absl::StrCat(proto.op_type(), " producing '", prefix, output, "'"));
  return shown(prefix + proto.op_type());
}

/// Exporters write types that are empty for values that they do not know.
bool says_type(const ::onnx::ValueInfoProto &info) {
  return info.has_type() && info.type().value_case() != ::onnx::TypeProto::VALUE_NOT_SET;
}

bool says_nothing(const std::string &name) {
  return name.empty() || name == "?" || name == "-1" || name.starts_with("unk__");
}

} // namespace

std::string normal_domain(const std::string &domain) { return domain == "ai.onnx" ? "" : domain; }

void GraphReader::problem(std::string where, std::string what, std::string hint) {
  if (problems_.size() < kMostProblems)
    problems_.add(std::move(where), std::move(what), std::move(hint));
}

bool GraphReader::too_large() {
  if (inlined_ <= most_inlined_)
    return false;
  if (inlined_++ == most_inlined_ + 1)
    problem("graph",
            absl::StrCat("the functions that the model calls come to more than ", most_inlined_,
                         " nodes"),
            "functions that call each other many times multiply what they hold: export it without");
  return true;
}

ValueId GraphReader::new_value(const std::string &name) {
  model_.values.push_back({name});
  return static_cast<ValueId>(model_.values.size() - 1);
}

void GraphReader::declare(const std::string &name, ValueId id, Scope &scope,
                          const std::string &what) {
  if (!scope.names.emplace(name, id).second)
    problem(what, absl::StrCat("gives the name '", shown(name), "' to a second value"), kExport);
}

ValueId GraphReader::resolve(const std::string &name, const Scope &scope, const std::string &user) {
  for (const Scope *at = &scope; at != nullptr; at = at->parent)
    if (const auto found = at->names.find(name); found != at->names.end())
      return found->second;
  problem(user, absl::StrCat("uses '", shown(name), "', which nothing computes"), kExport);
  return new_value(name);
}

void GraphReader::read(const ::onnx::ModelProto &proto) {
  for (const ::onnx::FunctionProto &function : proto.functions())
    if (!functions_
             .emplace(
                 std::tuple(normal_domain(function.domain()), function.name(), function.overload()),
                 &function)
             .second)
      problem(function.name(), "two functions of the model have this name", kExport);
  most_inlined_ = kMostInlined + kMostInlinedByNode * proto.graph().node_size();
  Frame frame;
  frame.opsets = &model_.opsets;
  model_.graph = read_graph(proto.graph(), nullptr, frame);
}

Graph GraphReader::read_graph(const ::onnx::GraphProto &proto, const Scope *parent,
                              const Frame &frame) {
  Graph graph;
  graph.name = proto.name();
  Scope scope{parent};
  for (const ::onnx::TensorProto &tensor : proto.initializer())
    declare_initializer(tensor, tensor.name(), scope);
  for (const ::onnx::SparseTensorProto &tensor : proto.sparse_initializer())
    declare_initializer(tensor, tensor.values().name(), scope);
  declare_inputs(proto, scope, graph);
  read_nodes(proto.node(), scope, frame, graph.nodes);
  for (const ::onnx::ValueInfoProto &info : proto.output()) {
    const ValueId id = resolve(info.name(), scope, "graph output");
    if (says_type(info) && !model_.value(id).declared)
      model_.values[static_cast<size_t>(id)].declared = read_type(info.type(), info.name());
    graph.outputs.push_back(id);
  }
  for (const ::onnx::ValueInfoProto &info : proto.value_info())
    if (const auto found = scope.names.find(info.name());
        found != scope.names.end() && says_type(info) && !model_.value(found->second).declared)
      model_.values[static_cast<size_t>(found->second)].declared =
          read_type(info.type(), info.name());
  sort_nodes(graph);
  return graph;
}

template <typename Proto>
void GraphReader::declare_initializer(const Proto &proto, const std::string &name, Scope &scope) {
  const ValueId id = new_value(name);
  if (!scope.names.emplace(name, id).second)
    problem(
        shown(name), "two initializers have this name, of which only one can be meant",
        "give one of them another name, or remove it: ONNX Runtime warns and takes the last one "
        "in the file, onnx.checker refuses the file as Quern does");
  auto read = read_tensor(proto, name);
  model_.values[static_cast<size_t>(id)].constant = std::move(read);
}

void GraphReader::declare_inputs(const ::onnx::GraphProto &proto, Scope &scope, Graph &graph) {
  // Up to version 3 of the format every initializer is an input, too; since then one that is may be
  // overridden by the caller.
  size_t defaults = 0;
  for (const ::onnx::ValueInfoProto &info : proto.input()) {
    if (const auto found = scope.names.find(info.name());
        found != scope.names.end() && model_.value(found->second).constant) {
      ++defaults;
      continue;
    }
    const ValueId id = new_value(info.name());
    if (says_type(info))
      model_.values[static_cast<size_t>(id)].declared = read_type(info.type(), info.name());
    declare(info.name(), id, scope, "graph input");
    graph.inputs.push_back(id);
  }
  if (defaults != 0 && model_.ir_version > 3 && scope.parent == nullptr)
    model_.notes.push_back(
        absl::StrCat(defaults, defaults == 1 ? " input has" : " inputs have",
                     " a value in the file, which is taken: a caller cannot give "
                     "another"));
}

template <typename Nodes>
void GraphReader::read_nodes(const Nodes &protos, Scope &scope, const Frame &frame,
                             std::vector<Node> &nodes) {
  // All results have numbers before any is used: nodes may stand in any order.
  for (const ::onnx::NodeProto &proto : protos) {
    inlined_ += frame.function != nullptr;
    if (too_large())
      return;
    for (const std::string &output : proto.output())
      if (!output.empty()) {
        // A function's results have their numbers from the call.
        if (const auto found = scope.names.find(output);
            frame.function != nullptr && found != scope.names.end() &&
            std::ranges::find(frame.function->output(), output) != frame.function->output().end() &&
            std::ranges::find(frame.function->input(), output) == frame.function->input().end())
          continue;
        declare(output, new_value(frame.prefix + output), scope, name_of(proto, frame.prefix));
      }
  }
  for (const ::onnx::NodeProto &proto : protos) {
    if (too_large())
      return;
    read_node(proto, scope, frame, nodes);
  }
}

void GraphReader::read_node(const ::onnx::NodeProto &proto, Scope &scope, const Frame &frame,
                            std::vector<Node> &nodes) {
  Node node;
  node.name = name_of(proto, frame.prefix);
  node.scope = module_of(proto);
  node.domain = normal_domain(proto.domain());
  node.op = proto.op_type();
  for (const std::string &input : proto.input())
    node.inputs.push_back(input.empty() ? kNoValue : resolve(input, scope, node.name));
  for (const std::string &output : proto.output())
    node.outputs.push_back(output.empty() ? kNoValue : resolve(output, scope, node.name));
  node.attributes = read_attributes(proto, node.name, scope, frame);
  const auto function = functions_.find({node.domain, node.op, proto.overload()});
  if (function != functions_.end())
    return inline_call(*function->second, std::move(node), frame, nodes);
  node.version = version_of(node.domain, node.name, frame);
  if (node.domain.empty() && node.op == "Constant")
    return read_constant(node);
  nodes.push_back(std::move(node));
}

int64_t GraphReader::version_of(const std::string &domain, const std::string &node,
                                const Frame &frame) {
  if (const auto found = frame.opsets->find(domain); found != frame.opsets->end())
    return found->second;
  if (const auto found = model_.opsets.find(domain); found != model_.opsets.end())
    return found->second;
  if (!domain.empty())
    return 1;
  if (!said_unversioned_)
    problem(node, "the model does not say which version of ONNX's operators it is written for",
            kExport);
  said_unversioned_ = true;
  return kNewestOpset;
}

void GraphReader::read_constant(const Node &node) {
  if (node.outputs.size() != 1 || node.outputs[0] == kNoValue || node.attributes.size() != 1)
    return problem(node.name, "this Constant has not one value and one output", kExport);
  const auto &[name, attribute] = *node.attributes.begin();
  Tensor tensor;
  tensor.name = model_.value(node.outputs[0]).name;
  tensor.storage = Storage::Raw;
  const auto set = [&](ElementType type, const auto &elements, bool list) {
    tensor.type = type;
    if (list)
      tensor.shape = {static_cast<int64_t>(elements.size())};
    tensor.bytes.assign(reinterpret_cast<const char *>(elements.data()),
                        elements.size() * sizeof elements[0]);
  };
  std::shared_ptr<const Tensor> constant;
  if ((name == "value" || name == "sparse_value") && attribute.tensors.size() == 1) {
    constant = attribute.tensors[0];
  } else if ((name == "value_int" && attribute.kind == AttributeKind::Int) ||
             (name == "value_ints" && attribute.kind == AttributeKind::Ints)) {
    set(ElementType::Int64, attribute.ints, name == "value_ints");
  } else if ((name == "value_float" && attribute.kind == AttributeKind::Float) ||
             (name == "value_floats" && attribute.kind == AttributeKind::Floats)) {
    set(ElementType::Float32, attribute.floats, name == "value_floats");
  } else if (attribute.kind == AttributeKind::String || attribute.kind == AttributeKind::Strings) {
    tensor.type = ElementType::String;
    tensor.storage = Storage::Strings;
    tensor.strings = attribute.strings;
    if (attribute.kind == AttributeKind::Strings)
      tensor.shape = {static_cast<int64_t>(attribute.strings.size())};
  } else {
    return problem(node.name, absl::StrCat("this Constant's '", shown(name), "' is no value"),
                   kExport);
  }
  if (!constant)
    constant = std::make_shared<Tensor>(std::move(tensor));
  model_.values[static_cast<size_t>(node.outputs[0])].constant = std::move(constant);
}

void GraphReader::inline_call(const ::onnx::FunctionProto &function, Node call, const Frame &frame,
                              std::vector<Node> &nodes) {
  for (const Frame *at = &frame; at != nullptr; at = at->caller)
    if (at->function == &function)
      return problem(call.name, absl::StrCat("the function ", shown(call.op), " calls itself"),
                     kExport);
  if (frame.depth >= kMostCalls)
    return problem(call.name,
                   absl::StrCat("functions call each other more than ", kMostCalls, " deep"),
                   kExport);
  if (call.inputs.size() > static_cast<size_t>(function.input_size()) ||
      call.outputs.size() > static_cast<size_t>(function.output_size()))
    return problem(call.name,
                   absl::StrCat("calls ", shown(call.op), " with ", call.inputs.size(),
                                " inputs and ", call.outputs.size(), " outputs, which has ",
                                function.input_size(), " and ", function.output_size()),
                   kExport);
  for (const ::onnx::AttributeProto &attribute : function.attribute_proto())
    if (!call.attributes.contains(attribute.name()))
      if (auto value = read_attribute(attribute, call.name, nullptr, frame))
        call.attributes.emplace(attribute.name(), *std::move(value));
  std::map<std::string, int64_t, std::less<>> opsets;
  for (const ::onnx::OperatorSetIdProto &opset : function.opset_import())
    opsets.emplace(normal_domain(opset.domain()), opset.version());
  const Frame inner{&frame, &function, &call.attributes, &opsets, call.name + "/", frame.depth + 1};
  Scope scope;
  for (int i = 0; i < function.input_size(); ++i)
    declare(function.input(i),
            static_cast<size_t>(i) < call.inputs.size() ? call.inputs[static_cast<size_t>(i)]
                                                        : kNoValue,
            scope, call.name);
  for (int i = 0; i < function.output_size(); ++i) {
    const bool given = static_cast<size_t>(i) < call.outputs.size() &&
                       call.outputs[static_cast<size_t>(i)] != kNoValue;
    const ValueId output =
        given ? call.outputs[static_cast<size_t>(i)] : new_value(inner.prefix + function.output(i));
    if (const auto input = scope.names.find(function.output(i)); input != scope.names.end()) {
      // An input that is handed through.
      Node identity;
      identity.name = call.name;
      identity.op = "Identity";
      identity.version = kNewestOpset;
      identity.inputs = {input->second};
      identity.outputs = {output};
      nodes.push_back(std::move(identity));
    } else {
      scope.names.emplace(function.output(i), output);
    }
  }
  read_nodes(function.node(), scope, inner, nodes);
}

GraphReader::Attributes GraphReader::read_attributes(const ::onnx::NodeProto &proto,
                                                     const std::string &node, const Scope &scope,
                                                     const Frame &frame) {
  Attributes attributes;
  for (const ::onnx::AttributeProto &attribute : proto.attribute())
    if (auto value = read_attribute(attribute, node, &scope, frame);
        value && !attributes.emplace(attribute.name(), *std::move(value)).second)
      problem(node, absl::StrCat("has the attribute '", shown(attribute.name()), "' twice"),
              kExport);
  return attributes;
}

std::optional<Attribute> GraphReader::read_attribute(const ::onnx::AttributeProto &proto,
                                                     const std::string &node, const Scope *scope,
                                                     const Frame &frame) {
  using Proto = ::onnx::AttributeProto;
  if (!proto.ref_attr_name().empty()) {
    if (frame.attributes == nullptr) {
      problem(node,
              absl::StrCat("the attribute '", shown(proto.name()), "' refers to one of a ",
                           "function's, and is in none"),
              kExport);
      return std::nullopt;
    }
    const auto found = frame.attributes->find(proto.ref_attr_name());
    return found == frame.attributes->end() ? std::nullopt : std::optional(found->second);
  }
  Attribute attribute;
  const std::string where = absl::StrCat(node, ", attribute '", shown(proto.name()), "'");
  const auto add_graph = [&](const ::onnx::GraphProto &graph) {
    attribute.graphs.push_back(std::make_shared<Graph>(read_graph(graph, scope, frame)));
  };
  switch (proto.type()) {
  case Proto::FLOAT:
    attribute.kind = AttributeKind::Float;
    attribute.floats = {proto.f()};
    break;
  case Proto::INT:
    attribute.kind = AttributeKind::Int;
    attribute.ints = {proto.i()};
    break;
  case Proto::STRING:
    attribute.kind = AttributeKind::String;
    attribute.strings = {proto.s()};
    break;
  case Proto::TENSOR:
    attribute.kind = AttributeKind::Tensor;
    attribute.tensors = {read_tensor(proto.t(), where)};
    break;
  case Proto::SPARSE_TENSOR:
    attribute.kind = AttributeKind::Tensor;
    attribute.tensors = {read_tensor(proto.sparse_tensor(), where)};
    break;
  case Proto::GRAPH:
    attribute.kind = AttributeKind::Graph;
    add_graph(proto.g());
    break;
  case Proto::FLOATS:
    attribute.kind = AttributeKind::Floats;
    attribute.floats.assign(proto.floats().begin(), proto.floats().end());
    break;
  case Proto::INTS:
    attribute.kind = AttributeKind::Ints;
    attribute.ints.assign(proto.ints().begin(), proto.ints().end());
    break;
  case Proto::STRINGS:
    attribute.kind = AttributeKind::Strings;
    attribute.strings.assign(proto.strings().begin(), proto.strings().end());
    break;
  case Proto::TENSORS:
    attribute.kind = AttributeKind::Tensors;
    for (const ::onnx::TensorProto &tensor : proto.tensors())
      attribute.tensors.push_back(read_tensor(tensor, where));
    break;
  case Proto::SPARSE_TENSORS:
    attribute.kind = AttributeKind::Tensors;
    for (const ::onnx::SparseTensorProto &tensor : proto.sparse_tensors())
      attribute.tensors.push_back(read_tensor(tensor, where));
    break;
  case Proto::GRAPHS:
    attribute.kind = AttributeKind::Graphs;
    for (const ::onnx::GraphProto &graph : proto.graphs())
      add_graph(graph);
    break;
  case Proto::TYPE_PROTO:
    attribute.kind = AttributeKind::Type;
    attribute.types = {read_type(proto.tp(), where)};
    break;
  case Proto::TYPE_PROTOS:
    attribute.kind = AttributeKind::Types;
    for (const ::onnx::TypeProto &type : proto.type_protos())
      attribute.types.push_back(read_type(type, where));
    break;
  default:
    problem(where, "the attribute does not say what it is", kExport);
    return std::nullopt;
  }
  return attribute;
}

std::shared_ptr<const Tensor> GraphReader::read_tensor(const auto &proto,
                                                       const std::string &where) {
  auto tensor = tensors_.read(proto);
  if (tensor.ok())
    return std::make_shared<Tensor>(*std::move(tensor));
  if (problems_.size() < kMostProblems)
    problems_.add(shown(where), tensor.status());
  return std::make_shared<Tensor>(TensorReader::outline(proto));
}

Type GraphReader::read_type(const ::onnx::TypeProto &proto, const std::string &where) {
  Type type;
  const auto set_tensor = [&](const auto &tensor) {
    if (const auto element = find_element_type(tensor.elem_type()))
      type.element = *element;
    else
      problem(shown(where),
              absl::StrCat("has elements of type ", tensor.elem_type(),
                           ", which ONNX 1.23 does not know"),
              kExport);
    if (!tensor.has_shape())
      return;
    auto &shape = type.shape.emplace();
    for (const auto &dim : tensor.shape().dim()) {
      DeclaredDim &declared = shape.emplace_back();
      if (dim.has_dim_value())
        declared.size = dim.dim_value() < 0 ? -1 : dim.dim_value();
      else if (!says_nothing(dim.dim_param()))
        declared.name = dim.dim_param();
    }
  };
  switch (proto.value_case()) {
  case ::onnx::TypeProto::kTensorType:
    set_tensor(proto.tensor_type());
    break;
  case ::onnx::TypeProto::kSparseTensorType:
    type.kind = Type::Kind::SparseTensor;
    set_tensor(proto.sparse_tensor_type());
    break;
  case ::onnx::TypeProto::kSequenceType:
    type.kind = Type::Kind::Sequence;
    type.of = std::make_shared<Type>(read_type(proto.sequence_type().elem_type(), where));
    break;
  case ::onnx::TypeProto::kOptionalType:
    type.kind = Type::Kind::Optional;
    type.of = std::make_shared<Type>(read_type(proto.optional_type().elem_type(), where));
    break;
  case ::onnx::TypeProto::kMapType:
    type.kind = Type::Kind::Map;
    break;
  default:
    type.kind = Type::Kind::Opaque;
  }
  return type;
}

} // namespace quern::onnx
