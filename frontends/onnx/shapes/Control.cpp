// Graphs within graphs, sequences and optionals.
#include "frontends/onnx/shapes/Inferrer.h"
#include "frontends/onnx/shapes/Rules.h"

#include <absl/strings/str_cat.h>

namespace quern::onnx {
namespace {

/// What holds of a value that is one or the other. A dimension in which they differ is `other`'s.
Fact either(const Fact &a, const Fact &b, const std::function<Dim(size_t)> &other) {
  Fact fact;
  fact.kind = a.kind;
  fact.type = a.type == b.type ? a.type : ElementType::Undefined;
  fact.of = a.of ? a.of : b.of;
  if (a.shape && b.shape && a.shape->size() == b.shape->size()) {
    fact.shape = a.shape;
    for (size_t i = 0; i < fact.shape->size(); ++i)
      if (!((*a.shape)[i] == (*b.shape)[i]))
        (*fact.shape)[i] = other(i);
  }
  return fact;
}

std::shared_ptr<const Fact> shared(Fact fact) { return std::make_shared<Fact>(std::move(fact)); }

std::optional<bool> known_bool(const Fact &fact) {
  const auto value =
      fact.elements && fact.elements->size() == 1 ? as_dim((*fact.elements)[0]) : std::nullopt;
  return value && value->is_constant() ? std::optional(!value->is(0)) : std::nullopt;
}

void if_op(NodeShapes &node) {
  const Graph *yes = node.graph("then_branch"), *no = node.graph("else_branch");
  if (yes == nullptr || no == nullptr)
    return;
  if (yes->outputs.size() < node.outputs() || no->outputs.size() < node.outputs())
    return node.fail("its branches have fewer results than it");
  Inferrer &inferrer = node.inferrer();
  const auto condition = known_bool(node.in(0));
  // Of a branch that is never taken the shapes need not fit.
  const bool was_quiet = inferrer.quiet;
  inferrer.quiet |= !condition;
  if (condition != false)
    inferrer.run(*yes);
  if (condition != true)
    inferrer.run(*no);
  inferrer.quiet = was_quiet;
  for (size_t i = 0; i < node.outputs(); ++i) {
    const Fact &then = inferrer.fact(yes->outputs[i]), &otherwise = inferrer.fact(no->outputs[i]);
    node.set(i, condition
                    ? (*condition ? then : otherwise)
                    : either(then, otherwise, [&](size_t axis) { return node.fresh(i, axis); }));
  }
}

/// Runs the body of a loop until what is known of the carried values holds before and after it.
void settle(NodeShapes &node, const Graph &body, size_t first_input, size_t first_output,
            size_t carried) {
  Inferrer &inferrer = node.inferrer();
  constexpr int kMostPasses = 3, kMostDepth = 3;
  const bool was_quiet = inferrer.quiet;
  ++inferrer.loop_depth;
  for (int pass = 0;; ++pass) {
    const bool last = pass == kMostPasses || inferrer.loop_depth > kMostDepth;
    if (last)
      for (size_t i = 0; i < carried; ++i)
        inferrer.fact(body.inputs[first_input + i]).shape.reset();
    inferrer.quiet = true;
    if (!last)
      inferrer.run(body);
    bool settled = true;
    for (size_t i = 0; i < carried && !last; ++i) {
      const ValueId value = body.inputs[first_input + i];
      Fact &before = inferrer.fact(value);
      const Fact &after = inferrer.fact(body.outputs[first_output + i]);
      Fact both = either(before, after, [&](size_t axis) { return inferrer.fresh(value, axis); });
      settled &= shape_text(both.shape) == shape_text(before.shape);
      before = std::move(both);
    }
    if (settled || last)
      break;
  }
  inferrer.quiet = was_quiet;
  inferrer.run(body);
  --inferrer.loop_depth;
}

void loop(NodeShapes &node) {
  const Graph *body = node.graph("body");
  if (body == nullptr)
    return;
  const size_t carried = node.inputs() > 2 ? node.inputs() - 2 : 0;
  if (body->inputs.size() != carried + 2 || body->outputs.size() < carried + 1 ||
      node.outputs() > body->outputs.size() - 1)
    return node.fail("its body has not its inputs and results");
  Inferrer &inferrer = node.inferrer();
  Fact count{.type = ElementType::Int64, .shape = Shape{}};
  inferrer.fact(body->inputs[0]) = count;
  count.type = ElementType::Bool;
  inferrer.fact(body->inputs[1]) = count;
  for (size_t i = 0; i < carried; ++i) {
    Fact initial = node.in(i + 2);
    initial.elements.reset(); // they change from turn to turn
    inferrer.fact(body->inputs[i + 2]) = std::move(initial);
  }
  settle(node, *body, 2, 1, carried);
  const auto turns = node.dims(0);
  const bool counts = turns && turns->size() == 1 &&
                      (!node.has(1) || known_bool(node.in(1)) == true) &&
                      known_bool(inferrer.fact(body->outputs[0])) == true;
  for (size_t i = 0; i < node.outputs(); ++i) {
    const Fact &result = inferrer.fact(body->outputs[i + 1]);
    if (i < carried) {
      node.set(i, either(node.in(i + 2), result, [&](size_t axis) { return node.fresh(i, axis); }));
    } else if (result.shape) {
      Shape shape = *result.shape;
      shape.insert(shape.begin(), counts ? symbols::max((*turns)[0], 0) : node.fresh(i, 0));
      node.set(i, result.type, std::move(shape));
    } else {
      node.set_type(i, result.type);
    }
  }
}

void scan(NodeShapes &node) {
  const Graph *body = node.graph("body");
  const int64_t scanned = node.integer("num_scan_inputs", -1);
  if (body == nullptr || node.version() < 9) // version 8 has batches, which no exporter writes
    return;
  if (scanned < 1 || scanned > static_cast<int64_t>(node.inputs()) ||
      body->inputs.size() != node.inputs() || node.outputs() > body->outputs.size())
    return node.fail("its body has not its inputs and results");
  const size_t states = node.inputs() - static_cast<size_t>(scanned);
  if (body->outputs.size() < states)
    return node.fail("its body has fewer results than it has states");
  Inferrer &inferrer = node.inferrer();
  const auto in_axes = node.integers("scan_input_axes");
  const auto out_axes = node.integers("scan_output_axes");
  Dim length = Dim::invalid();
  for (size_t i = 0; i < node.inputs(); ++i) {
    Fact fact = node.in(i);
    fact.elements.reset();
    if (i >= states && fact.shape) {
      const size_t number = i - states;
      const size_t axis = node.axis(in_axes && number < in_axes->size() ? (*in_axes)[number] : 0,
                                    fact.shape->size());
      if (node.failed())
        return;
      const Dim size = (*fact.shape)[axis];
      length = length.valid() ? node.unify(length, size, "the lengths of what it scans") : size;
      fact.shape->erase(fact.shape->begin() + static_cast<ptrdiff_t>(axis));
    }
    inferrer.fact(body->inputs[i]) = std::move(fact);
  }
  settle(node, *body, 0, 0, states);
  for (size_t i = 0; i < node.outputs(); ++i) {
    const Fact &result = inferrer.fact(body->outputs[i]);
    if (i < states) {
      node.set(i, either(node.in(i), result, [&](size_t axis) { return node.fresh(i, axis); }));
    } else if (result.shape) {
      Shape shape = *result.shape;
      const size_t number = i - states;
      const size_t axis = node.axis(out_axes && number < out_axes->size() ? (*out_axes)[number] : 0,
                                    shape.size() + 1);
      shape.insert(shape.begin() + static_cast<ptrdiff_t>(axis),
                   length.valid() ? length : node.fresh(i, axis));
      node.set(i, result.type, std::move(shape));
    } else {
      node.set_type(i, result.type);
    }
  }
}

Fact sequence_of(Fact element) {
  Fact fact;
  fact.kind = Type::Kind::Sequence;
  fact.type = element.type;
  element.elements.reset();
  fact.of = shared(std::move(element));
  return fact;
}

/// The elements of a sequence, as one fact; sizes in which they differ are known when it runs.
Fact element_of(const Fact &sequence) { return sequence.of ? *sequence.of : Fact{}; }

void sequence_construct(NodeShapes &node) {
  Fact all = node.in(0);
  for (size_t i = 1; i < node.inputs(); ++i)
    all = either(all, node.in(i), [&](size_t axis) { return node.fresh(0, axis); });
  node.set(0, sequence_of(std::move(all)));
}

void sequence_empty(NodeShapes &node) {
  Fact element;
  element.type = node.type_attribute("dtype", ElementType::Float32);
  node.set(0, sequence_of(std::move(element)));
}

void sequence_at(NodeShapes &node) { node.set(0, element_of(node.in(0))); }
void sequence_erase(NodeShapes &node) { node.copy(0, 0); }

void sequence_insert(NodeShapes &node) {
  node.set(0, sequence_of(either(element_of(node.in(0)), node.in(1),
                                 [&](size_t axis) { return node.fresh(0, axis); })));
}

void sequence_length(NodeShapes &node) { node.set(0, ElementType::Int64, {}); }

void split_to_sequence(NodeShapes &node) {
  Fact element = node.in(0);
  const size_t axis = node.axis(node.integer("axis", 0), node.rank(0));
  if (node.failed())
    return;
  const auto parts = node.dims(1);
  Dim size = node.fresh(0, axis);
  if (!node.has(1))
    size = 1;
  else if (parts && parts->size() == 1 && node.rank(1) == 0 &&
           symbols::mod((*element.shape)[axis], (*parts)[0]).is(0))
    size = (*parts)[0];
  (*element.shape)[axis] = size;
  if (!node.has(1) && node.integer("keepdims", 1) == 0)
    element.shape->erase(element.shape->begin() + static_cast<ptrdiff_t>(axis));
  node.set(0, sequence_of(std::move(element)));
}

void concat_from_sequence(NodeShapes &node) {
  const Fact element = element_of(node.in(0));
  if (!element.shape)
    return node.set_type(0, element.type);
  Shape shape = *element.shape;
  const bool stacked = node.integer("new_axis", 0) != 0;
  const size_t axis = node.axis(node.integer("axis", 0), shape.size() + stacked);
  if (node.failed())
    return;
  if (stacked)
    shape.insert(shape.begin() + static_cast<ptrdiff_t>(axis), node.fresh(0, axis));
  else
    shape[axis] = node.fresh(0, axis);
  node.set(0, element.type, std::move(shape));
}

void sequence_map(NodeShapes &node) {
  const Graph *body = node.graph("body");
  if (body == nullptr)
    return;
  if (body->inputs.size() != node.inputs() || body->outputs.size() < node.outputs())
    return node.fail("its body has not its inputs and results");
  Inferrer &inferrer = node.inferrer();
  for (size_t i = 0; i < node.inputs(); ++i) {
    Fact fact = node.in(i).kind == Type::Kind::Sequence ? element_of(node.in(i)) : node.in(i);
    inferrer.fact(body->inputs[i]) = std::move(fact);
  }
  inferrer.run(*body);
  for (size_t i = 0; i < node.outputs(); ++i)
    node.set(i, sequence_of(inferrer.fact(body->outputs[i])));
}

void optional(NodeShapes &node) {
  Fact fact;
  fact.kind = Type::Kind::Optional;
  if (node.has(0))
    fact.of = shared(node.in(0));
  node.set(0, std::move(fact));
}

void optional_get(NodeShapes &node) {
  node.set(0, node.in(0).kind == Type::Kind::Optional ? element_of(node.in(0)) : node.in(0));
}

void optional_has(NodeShapes &node) {
  node.set(0, ElementType::Bool, {});
  if (!node.has(0))
    node.set_elements(0, {Dim(0)});
}

constexpr Rule kRules[] = {
    {"If", if_op, 1, true},
    {"Loop", loop, 0},
    {"Scan", scan, 0},
    {"SequenceConstruct", sequence_construct, 1, true},
    {"SequenceEmpty", sequence_empty, 0},
    {"SequenceAt", sequence_at, 1, true},
    {"SequenceErase", sequence_erase, 1, true},
    {"SequenceInsert", sequence_insert, 2, true},
    {"SequenceLength", sequence_length, 1, true},
    {"SplitToSequence", split_to_sequence},
    {"ConcatFromSequence", concat_from_sequence, 1, true},
    {"SequenceMap", sequence_map, 1, true},
    {"Optional", optional, 0},
    {"OptionalGetElement", optional_get, 1, true},
    {"OptionalHasElement", optional_has, 0},
};

} // namespace

std::span<const Rule> control_rules() { return kRules; }

} // namespace quern::onnx
