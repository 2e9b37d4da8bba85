#include "frontends/onnx/shapes/Inferrer.h"

#include "frontends/onnx/OnnxFile.h"
#include "frontends/onnx/shapes/Rules.h"
#include "ir/symbols/Bounds.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace quern::onnx {
namespace {

/// Bindings change shapes, which give rise to others: in real models two rounds do.
constexpr int kMostRounds = 6;

constexpr char kWrongGraph[] = "the model is not as its exporter meant it: export it again";

} // namespace

Inferrer::Inferrer(const Model &model, std::map<std::string, Binding> bindings) : model_(model) {
  result_.bindings = std::move(bindings);
  result_.facts.resize(model.values.size());
}

void Inferrer::problem(const Node &node, std::string what, std::string hint) {
  if (!quiet && problems_.size() < kMostProblems)
    problems_.add(node.name, absl::StrCat(node.qualified_op(), ": ", what),
                  hint.empty() ? kWrongGraph : hint);
}

Dim Inferrer::resolved(const Dim &dim) const {
  if (found_.empty())
    return dim;
  return symbols::substitute(dim, [&](const std::string &name) -> std::optional<Dim> {
    const auto found = found_.find(name);
    return found == found_.end() ? std::nullopt : std::optional(found->second.dim);
  });
}

Dim Inferrer::unify(const Dim &first, const Dim &second, const Node &node, std::string_view what) {
  if (first == second)
    return first;
  const Dim a = resolved(first), b = resolved(second);
  if (a == b)
    return a;
  if (!a.valid() || !b.valid())
    return a.valid() ? a : b;
  if (quiet) // what it demands may never be
    return b.size() < a.size() ? b : a;
  const Dim difference = a - b;
  if (symbols::is_non_negative(difference - 1) || symbols::is_non_negative(-difference - 1)) {
    problem(node, absl::StrCat(std::string(what), " have the sizes ", a.text(), " and ", b.text()),
            "");
    return a;
  }
  // The symbol that gives way: one without a name in the file, or the later of two.
  const auto rank = [&](const Dim &dim) {
    const auto name = dim.symbol_name();
    const auto at = name ? order_.find(*name) : order_.end();
    return at == order_.end() ? size_t{0} : at->second + 1;
  };
  const auto yields = [&](const Dim &dim, const Dim &to) {
    const auto name = dim.symbol_name();
    // What a caller chooses is not what the model computes.
    return name && !to.symbols().contains(*name) && (!is_of_run_time(to) || is_of_run_time(dim));
  };
  const bool a_yields = yields(a, b), b_yields = yields(b, a);
  if (!a_yields && !b_yields) {
    if (result_.checks.size() < kMostProblems)
      result_.checks.push_back({a, b, node.name});
    return b.is_constant() || (!a.is_constant() && b.size() < a.size()) ? b : a;
  }
  const bool take_a = a_yields && (!b_yields || rank(a) > rank(b));
  const Dim &kept = take_a ? b : a;
  const std::string name = *(take_a ? a : b).symbol_name();
  for (auto &[other, binding] : found_)
    binding.dim = symbols::substitute(binding.dim, [&](const std::string &symbol) {
      return symbol == name ? std::optional(kept) : std::nullopt;
    });
  found_.emplace(name, Binding{kept, node.name});
  return kept;
}

Dim Inferrer::symbol(const std::string &name) {
  order_.emplace(name, order_.size());
  if (const auto bound = result_.bindings.find(name); bound != result_.bindings.end())
    return bound->second.dim;
  return Dim::symbol(name);
}

Dim Inferrer::named(const std::string &name) {
  // "past + s" means that sum where past and s are dimensions of the model's; "batch-size" is a
  // name.
  const auto sum = symbols::parse_dim(name);
  if (!sum.ok() || !std::ranges::all_of(sum->symbols(), [&](const std::string &symbol) {
        return input_names_.contains(symbol);
      }))
    return symbol(name);
  return symbols::substitute(*sum, [&](const std::string &part) { return symbol(part); });
}

Fact Inferrer::declared_fact(const Value &value) {
  Fact fact;
  if (!value.declared)
    return fact;
  const Type &type = *value.declared;
  fact.kind = type.kind;
  fact.type = type.element;
  if (type.of) {
    Value of{value.name, *type.of};
    fact.of = std::make_shared<Fact>(declared_fact(of));
  }
  if (!type.shape)
    return fact;
  Shape &shape = fact.shape.emplace();
  for (const DeclaredDim &dim : *type.shape)
    shape.push_back(dim.size >= 0       ? Dim(dim.size)
                    : !dim.name.empty() ? named(dim.name)
                                        : symbol(absl::StrCat(value.name, ".", shape.size())));
  return fact;
}

Dim Inferrer::fresh(ValueId value, size_t axis) {
  const std::string name = absl::StrCat(model_.value(value).name, ".", axis);
  if (!order_.contains(name))
    result_.run_time_sizes.push_back({name, value});
  return symbol(name);
}

Dim Inferrer::counted(ValueId value, size_t axis, const Dim &bound) {
  Dim dim = fresh(value, axis);
  const std::string name = absl::StrCat(model_.value(value).name, ".", axis);
  // One that something else demands to be another size is checked, not counted.
  const auto size = std::ranges::find(result_.run_time_sizes, name, &RunTimeSize::symbol);
  if (dim.symbol_name() == name && size != result_.run_time_sizes.end())
    size->bound = bound;
  return dim;
}

bool Inferrer::is_of_run_time(const Dim &dim) const {
  const std::set<std::string> symbols = dim.symbols();
  return std::ranges::any_of(result_.run_time_sizes, [&](const RunTimeSize &size) {
    return symbols.contains(size.symbol);
  });
}

void Inferrer::take_declared(ValueId id) {
  const Value &value = model_.value(id);
  if (!value.declared)
    return;
  Fact &fact = this->fact(id);
  const Type &type = *value.declared;
  if (fact.type == ElementType::Undefined && !fact.shape && !fact.of)
    fact.kind = type.kind;
  if (fact.type == ElementType::Undefined)
    fact.type = type.element;
  if (type.of && !fact.of)
    fact.of = std::make_shared<Fact>(declared_fact({value.name, *type.of}));
  if (!type.shape)
    return;
  const bool known = fact.shape.has_value();
  if (!known)
    fact.shape.emplace(type.shape->size());
  for (size_t i = 0; i < fact.shape->size() && i < type.shape->size(); ++i) {
    const DeclaredDim &dim = (*type.shape)[i];
    Dim &size = (*fact.shape)[i];
    if (known && size.symbol_name() != absl::StrCat(value.name, ".", i))
      continue;
    // What no rule could tell: a size in the file is believed, and checked when it is there. A name
    // says nothing: exporters make up those of results.
    if (dim.size >= 0 && known)
      result_.checks.push_back({size, dim.size, value.name});
    size = dim.size >= 0 ? Dim(dim.size) : known ? size : fresh(id, i);
  }
}

void Inferrer::set_constant(ValueId id, const Tensor &tensor) {
  Fact &fact = this->fact(id);
  fact.type = tensor.type;
  if (tensor.type == ElementType::Undefined)
    return;
  fact.shape.emplace(tensor.shape.begin(), tensor.shape.end());
  if (tensor.storage == Storage::None || tensor.storage == Storage::Sparse ||
      tensor.storage == Storage::Strings || tensor.elements() > Fact::kMostElements)
    return;
  if (is_integer(tensor.type) || tensor.type == ElementType::Bool) {
    if (const auto integers = read_integers(tensor, model_.files, Fact::kMostElements);
        integers.ok())
      fact.elements.emplace(integers->begin(), integers->end());
  } else if (const auto numbers = read_numbers(tensor, model_.files, Fact::kMostElements);
             numbers.ok()) {
    fact.elements.emplace(numbers->begin(), numbers->end());
  }
}

void Inferrer::run() {
  for (size_t i = 0; i < model_.values.size(); ++i)
    if (const auto &constant = model_.values[i].constant)
      set_constant(static_cast<ValueId>(i), *constant);
  for (const ValueId input : model_.graph.inputs)
    if (const Value &value = model_.value(input); value.declared && value.declared->shape)
      for (const DeclaredDim &dim : *value.declared->shape)
        input_names_.insert(dim.name);
  for (const ValueId input : model_.graph.inputs)
    fact(input) = declared_fact(model_.value(input));
  run(model_.graph);
  // What only a run tells is what the file says of the model's results, if it says a size.
  Node results;
  results.name = "graph output";
  for (const ValueId output : model_.graph.outputs) {
    const auto &declared = model_.value(output).declared;
    const auto shape = fact(output).shape;
    if (!declared || !declared->shape || !shape || declared->shape->size() != shape->size())
      continue;
    for (size_t i = 0; i < shape->size(); ++i)
      if (const auto name = (*shape)[i].symbol_name();
          name && (*declared->shape)[i].size >= 0 &&
          std::ranges::find(result_.run_time_sizes, *name, &RunTimeSize::symbol) !=
              result_.run_time_sizes.end())
        unify((*shape)[i], (*declared->shape)[i].size, results, "a result and what the file says");
  }
}

void Inferrer::run(const Graph &graph) {
  for (const Node &node : graph.nodes)
    run_node(node);
}

void Inferrer::run_node(const Node &node) {
  const Rule *rule = find_rule(node.domain, node.op);
  if (rule == nullptr) {
    result_.unknown_ops.insert(node.qualified_op());
  } else {
    NodeShapes shapes(*this, node);
    bool complete = true, known = true;
    for (size_t i = 0; i < rule->required; ++i) {
      complete &= shapes.has(i);
      known &= shapes.has_shape(i);
    }
    if (!complete)
      problem(node, absl::StrCat("it has too few inputs: ", rule->required, " have to be there"),
              "");
    else if (known || rule->any_rank)
      rule->infer(shapes);
  }
  for (const ValueId output : node.outputs)
    if (output != kNoValue)
      take_declared(output);
}

Inference infer(const Model &model, Problems &problems) {
  std::map<std::string, Binding> bindings;
  for (int round = 1;; ++round) {
    Inferrer inferrer(model, bindings);
    inferrer.run();
    if (inferrer.found().empty() || round == kMostRounds) {
      Inference &result = inferrer.result();
      result.rounds = round;
      bindings.insert(inferrer.found().begin(), inferrer.found().end());
      for (const auto &[name, binding] : bindings)
        result.checks.push_back({Dim::symbol(name), binding.dim, binding.node});
      for (const Problem &problem : inferrer.problems().list())
        if (problems.size() < kMostProblems)
          problems.add(problem.where, problem.what, problem.hint);
      return std::move(result);
    }
    for (const auto &[name, found] : inferrer.found()) {
      for (auto &[other, binding] : bindings)
        binding.dim = symbols::substitute(binding.dim, [&](const std::string &symbol) {
          return symbol == name ? std::optional(found.dim) : std::nullopt;
        });
      bindings.emplace(name, found);
    }
  }
}

} // namespace quern::onnx
