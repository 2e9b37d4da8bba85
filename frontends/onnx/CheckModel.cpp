#include "frontends/onnx/CheckModel.h"

#include "frontends/onnx/OnnxFile.h"
#include "frontends/onnx/flatten/Flatten.h"
#include "frontends/onnx/shapes/LiveNodes.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <functional>

namespace quern::onnx {
namespace {

using CanLower = bool (*)(std::string_view domain, std::string_view op);

constexpr char kCutOff[] = "cut this part off before exporting and do it outside the model, or "
                           "export it with other operators";

/// Some of what one problem is about: the first names and how many there are.
struct Found {
  std::vector<std::string> names;
  size_t count = 0;
  std::string hint;

  void add(const std::string &name) {
    constexpr size_t kFew = 3;
    if (++count <= kFew)
      names.push_back(name);
  }
  std::string where() const {
    return count == 1 ? names[0] : absl::StrCat(names[0], " and ", count - 1, " more");
  }
  std::string others() const {
    return names.size() < 2 ? ""
                            : absl::StrCat(" (", absl::StrJoin(names, ", "),
                                           count > names.size() ? ", ..." : "", ")");
  }
};

using ByWhat = std::map<std::string, Found>;

/// Every node that would have to be computed, in subgraphs too.
void for_each_live(const Model &model, const std::vector<bool> &live,
                   const std::function<void(const Node &)> &visit) {
  const std::function<void(const Node &)> walk = [&](const Node &node) {
    visit(node);
    for (const auto &[name, attribute] : node.attributes)
      for (const auto &graph : attribute.graphs)
        std::ranges::for_each(graph->nodes, walk);
  };
  for (size_t i = 0; i < live.size(); ++i)
    if (live[i])
      walk(model.graph.nodes[i]);
}

std::string hint_for(const Node &node) {
  if (has_rule(node.domain, node.op))
    return kCutOff;
  if (node.domain.empty())
    return absl::StrCat("ONNX 1.23 has no op of this name: look for it in the exporter's settings, "
                        "or export with operators of version ",
                        kNewestOpset, " or less");
  return absl::StrCat("the domain ", node.domain,
                      " is not ONNX's own: export without custom "
                      "operators, or replace it by a function of the "
                      "model");
}

void check_ops(const Model &model, const Inference &inference, const std::vector<bool> &live,
               CanLower can_lower, Problems &problems) {
  ByWhat ops;
  WhyNotFlat why_not_flat(model, inference);
  for_each_live(model, live, [&](const Node &node) {
    if (can_lower(node.domain, node.op))
      return;
    const auto why = why_not_flat(node);
    Found &found = ops[absl::StrCat(node.qualified_op(), ": ",
                                    why ? why->what : "Quern makes no code for this op")];
    if (found.hint.empty())
      found.hint = why ? why->hint : hint_for(node);
    found.add(node.name);
  });
  for (const auto &[op, found] : ops)
    if (problems.size() < kMostProblems)
      problems.add(found.where(), absl::StrCat(op, found.others()), found.hint);
}

/// What a value's type is called where no code takes it; nothing where it is fine.
std::optional<std::string> unsupported_type(const Fact &fact) {
  switch (fact.kind) {
  case Type::Kind::Tensor:
    break;
  case Type::Kind::SparseTensor:
    return "a sparse tensor";
  case Type::Kind::Sequence:
    return "a sequence of tensors";
  case Type::Kind::Optional:
    return "an optional";
  case Type::Kind::Map:
    return "a map";
  case Type::Kind::Opaque:
    return "no tensor";
  }
  if (fact.type == ElementType::String || fact.type == ElementType::Complex64 ||
      fact.type == ElementType::Complex128)
    return absl::StrCat("of ", std::string(element_type_name(fact.type)));
  return std::nullopt;
}

void check_types(const Model &model, const Inference &inference, const std::vector<bool> &live,
                 Problems &problems) {
  ByWhat types;
  const auto look = [&](ValueId value) {
    if (value != kNoValue)
      if (const auto type = unsupported_type(inference.fact(value)))
        types[*type].add(model.value(value).name);
  };
  std::ranges::for_each(model.graph.inputs, look);
  for_each_live(model, live, [&](const Node &node) { std::ranges::for_each(node.outputs, look); });
  for (const auto &[type, found] : types)
    if (problems.size() < kMostProblems)
      problems.add(
          found.where(), absl::StrCat("is ", type, found.others()),
          "Quern computes with tensors of numbers: cut this part off before exporting, and "
          "do it outside the model");
}

std::vector<std::string> notes_of(const Model &model, const std::vector<bool> &live,
                                  const std::vector<SizeBound> &bounds) {
  std::vector<std::string> notes = model.notes;
  const auto left = std::ranges::count(live, true);
  notes.push_back(absl::StrCat(model.producer.empty() ? "an unknown exporter" : model.producer,
                               " wrote it: ", model.graph.nodes.size(), " nodes, of which ", left,
                               " compute what is not known before"));
  for (const SizeBound &bound : bounds)
    notes.push_back(
        absl::StrCat(bound.symbol, " is at most ", bound.most,
                     bound.origin == BoundOrigin::Model ? ", where a table of the model ends"
                     : bound.origin == BoundOrigin::Default
                         ? absl::StrCat(" unless --dim ", bound.symbol, "=MAX says otherwise")
                     : bound.origin == BoundOrigin::Counted
                         ? absl::StrCat(", which the model counts; --dim ", bound.symbol,
                                        "=MAX reserves less for it")
                         : ""));
  return notes;
}

} // namespace

std::optional<CheckedModel> check_model(const std::string &path,
                                        const std::map<std::string, int64_t> &dims,
                                        CanLower can_lower, Problems &problems) {
  std::optional<Model> model = read_model(path, problems);
  if (!model)
    return std::nullopt;
  CheckedModel checked{.model = *std::move(model), .inference = {}, .bounds = {}, .notes = {}};
  checked.inference = flatten(checked.model, problems);
  checked.bounds = size_bounds(checked.model, checked.inference, dims, problems);
  const std::vector<bool> live = live_nodes(checked.model, checked.inference);
  check_types(checked.model, checked.inference, live, problems);
  check_ops(checked.model, checked.inference, live, can_lower, problems);
  checked.notes = notes_of(checked.model, live, checked.bounds);
  return checked;
}

} // namespace quern::onnx
