#include "frontends/onnx/flatten/Flatten.h"

#include "frontends/onnx/OnnxFile.h"
#include "frontends/onnx/flatten/Rewriting.h"
#include "frontends/onnx/shapes/LiveNodes.h"
#include "frontends/onnx/shapes/Rules.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <unordered_map>

namespace quern::onnx {
namespace {

/// Graphs lie in graphs: each round opens the outermost.
constexpr int kMostDepth = 16;

const Graph *graph_of(const Node &node, std::string_view name) {
  const Attribute *found = node.find(name);
  return found != nullptr && found->kind == AttributeKind::Graph ? found->graphs[0].get() : nullptr;
}

bool is_plain_tensor(const Fact &fact) {
  return fact.kind == Type::Kind::Tensor && fact.shape && fact.type != ElementType::Undefined &&
         fact.type != ElementType::String;
}

} // namespace

Replaced flatten_if(Rewriting &to, const Node &node) {
  const Graph *yes = graph_of(node, "then_branch"), *no = graph_of(node, "else_branch");
  const NotFlat wrong = {"its branches are not as the op has them",
                         "the model is not as its exporter meant it: export it again"};
  if (yes == nullptr || no == nullptr || node.inputs.empty() || node.inputs[0] == kNoValue ||
      yes->outputs.size() < node.outputs.size() || no->outputs.size() < node.outputs.size())
    return wrong;
  if (!to.has_room(1, *yes) || !to.has_room(1, *no))
    return NotFlat{"the graph is too long with its branches written out",
                   "export a smaller part of the model"};
  const Fact &condition = to.fact(node.inputs[0]);
  if (const auto known = known_bool(condition)) {
    const std::vector<ValueId> results = to.put(*known ? *yes : *no, {}, std::nullopt);
    for (size_t i = 0; i < node.outputs.size(); ++i)
      to.stands_for(node.outputs[i], node, results[i]);
    return std::nullopt;
  }
  if (!condition.shape)
    return NotFlat{"what decides between its branches has no known shape",
                   "declare the shape of its condition in the file"};
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] == kNoValue)
      continue;
    const Fact &a = to.fact(yes->outputs[i]), &b = to.fact(no->outputs[i]);
    if (!is_plain_tensor(a) || !is_plain_tensor(b) || a.type != b.type || *a.shape != *b.shape)
      return NotFlat{
          absl::StrCat("only a run tells which of its branches is taken, and they give ",
                       shape_text(a.shape), " and ", shape_text(b.shape)),
          "give the sizes that decide it fixed values when exporting, or export each branch as a "
          "model of its own"};
  }
  ValueId decides = node.inputs[0];
  if (!condition.shape->empty())
    decides = to.add(node, "Reshape", 14, {decides, to.integers({}, {0})});
  const std::vector<ValueId> first = to.put(*yes, {}, std::nullopt),
                             second = to.put(*no, {}, std::nullopt);
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (node.outputs[i] != kNoValue)
      to.add_as(node.outputs[i], node, "Where", 9, {decides, first[i], second[i]});
  return std::nullopt;
}

Replaced flatten_optional(Rewriting &to, const Node &node) {
  const NotFlat open = {"only a run tells what is in its optional",
                        "give the model tensors in the place of optionals"};
  const ValueId given =
      node.inputs.empty() || node.inputs[0] == kNoValue ? kNoValue : node.inputs[0];
  const bool asks = node.op == "OptionalHasElement";
  if (given == kNoValue) {
    if (!asks)
      return open;
    to.stands_for(node.outputs[0], node, to.truth(false));
    return std::nullopt;
  }
  ValueId held = kNoValue;
  if (to.fact(given).kind == Type::Kind::Tensor) {
    held = given;
  } else {
    const Node *producer = to.producer(given);
    if (producer == nullptr || producer->op != "Optional" || !producer->domain.empty())
      return open;
    if (!producer->inputs.empty())
      held = producer->inputs[0];
  }
  if (asks)
    to.stands_for(node.outputs[0], node, to.truth(held != kNoValue));
  else if (held == kNoValue)
    return NotFlat{"its optional is empty", "give the model tensors in the place of optionals"};
  else
    to.stands_for(node.outputs[0], node, held);
  return std::nullopt;
}

Flattener find_flattener(const Node &node) {
  static const std::unordered_map<std::string_view, Flattener> table = {
      {"If", flatten_if},
      {"Loop", flatten_loop},
      {"Scan", flatten_scan},
      {"OptionalGetElement", flatten_optional},
      {"OptionalHasElement", flatten_optional},
  };
  if (node.domain == kPreview && node.op == "FlexAttention")
    return flatten_flex_attention;
  const auto found = node.domain.empty() ? table.find(node.op) : table.end();
  return found == table.end() || node.outputs.empty() ? nullptr : found->second;
}

namespace {

Inference flatten_with(Model &model, Problems &problems, InputElements elements) {
  for (int depth = 0;; ++depth) {
    Problems said;
    Inference inference = infer(model, said, elements);
    if (depth == kMostDepth || !Rewriting(model, inference).run()) {
      for (const Problem &problem : said.list())
        if (problems.size() < kMostProblems)
          problems.add(problem.where, problem.what, problem.hint);
      return inference;
    }
  }
}

/// Whether the shape of everything that is computed is one of the sizes that a call gives.
bool is_sized(const Model &model, const Inference &inference) {
  const std::set<std::string> given = entry_symbols(model, inference);
  const std::vector<bool> live = live_nodes(model, inference);
  for (size_t i = 0; i < live.size(); ++i)
    for (const ValueId output : model.graph.nodes[i].outputs) {
      if (!live[i] || output == kNoValue)
        continue;
      const Fact &fact = inference.fact(output);
      if (!fact.shape || !std::ranges::all_of(*fact.shape, [&](const Dim &dim) {
            return dim.valid() && std::ranges::includes(given, dim.symbols());
          }))
        return false;
    }
  return true;
}

bool has_integers(const Model &model) {
  return std::ranges::any_of(model.graph.inputs, [&](ValueId input) {
    const auto &declared = model.value(input).declared;
    return declared &&
           (declared->element == ElementType::Int64 || declared->element == ElementType::Int32);
  });
}

} // namespace

Inference flatten(Model &model, Problems &problems) {
  std::optional<Model> before;
  if (has_integers(model))
    before = model;
  Problems said;
  Inference inference = flatten_with(model, said, InputElements::Unknown);
  if (before && !is_sized(model, inference)) {
    // What inputs say of sizes may follow from the sizes of the results.
    Model other = *std::move(before);
    Problems none;
    Inference believing = flatten_with(other, none, InputElements::Sizes);
    forget_elements(other, believing);
    if (none.empty() && is_sized(other, believing)) {
      other.notes.push_back("sizes that are an input of the run are taken to be those that the "
                            "file says of the results");
      model = std::move(other);
      return believing;
    }
  }
  for (const Problem &problem : said.list())
    if (problems.size() < kMostProblems)
      problems.add(problem.where, problem.what, problem.hint);
  return inference;
}

std::optional<NotFlat> WhyNotFlat::operator()(const Node &node) {
  const Flattener flatten = find_flattener(node);
  if (flatten == nullptr)
    return std::nullopt;
  if (copies_ < kMostCopies) {
    if (!copy_) {
      copy_ = model_;
      ++copies_;
    }
    Rewriting tried(*copy_, inference_);
    if (auto why = flatten(tried, node))
      return why; // and nothing was written
    copy_.reset();
  }
  return NotFlat{"it lies in a graph that is left", "see what is said of that graph"};
}

} // namespace quern::onnx
