// Loop and Scan, written out turn by turn.
#include "frontends/onnx/flatten/Rewriting.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace quern::onnx {
namespace {

constexpr char kWrongGraph[] = "the model is not as its exporter meant it: export it again";
const NotFlat kWrongBody = {"its body has not its inputs and results", kWrongGraph};

const Graph *body_of(const Node &node) {
  const Attribute *found = node.find("body");
  return found != nullptr && found->kind == AttributeKind::Graph ? found->graphs[0].get() : nullptr;
}

int64_t integer(const Node &node, std::string_view name, int64_t otherwise) {
  const Attribute *found = node.find(name);
  return found != nullptr && found->kind == AttributeKind::Int ? found->ints[0] : otherwise;
}

std::vector<int64_t> integers(const Node &node, std::string_view name) {
  const Attribute *found = node.find(name);
  return found != nullptr && found->kind == AttributeKind::Ints ? found->ints
                                                                : std::vector<int64_t>{};
}

std::optional<int64_t> known_integer(const Fact &fact) {
  const auto dims = fact.integers();
  return dims && dims->size() == 1 ? (*dims)[0].constant() : std::nullopt;
}

NotFlat too_long(int64_t turns) {
  return {absl::StrCat("its ", turns, " turns are more than can be written out (", kMostFlatNodes,
                       " nodes in all)"),
          "export it with fewer turns, or with an op for the whole of it (LSTM, Attention, "
          "LinearAttention)"};
}

/// The value that passes through Identities to a result of the body.
ValueId origin_of(const Graph &body, ValueId value) {
  for (size_t i = body.nodes.size(); i-- > 0;) {
    const Node &node = body.nodes[i];
    if (node.domain.empty() && node.op == "Identity" && !node.inputs.empty() &&
        node.outputs == std::vector{value})
      value = node.inputs[0];
  }
  return value;
}

/// What a Loop is known to do.
struct Turns {
  int64_t count = 0;
  bool all = true;       ///< each of them is made
  bool believed = false; ///< because the file says so of the results
};

std::optional<Turns> turns_of(const Rewriting &to, const Node &node, const Graph &body,
                              size_t carried) {
  const auto input = [&](size_t i) { return i < node.inputs.size() ? node.inputs[i] : kNoValue; };
  const auto first = input(1) == kNoValue ? std::optional(true) : known_bool(to.fact(input(1)));
  if (first == false)
    return Turns{};
  const ValueId origin = origin_of(body, body.outputs[0]);
  const auto next = origin == body.inputs[1] ? first : known_bool(to.fact(origin));
  const auto most = input(0) == kNoValue ? std::nullopt : known_integer(to.fact(input(0)));
  if (first && next == false)
    return Turns{.count = most ? std::min<int64_t>(1, std::max<int64_t>(*most, 0)) : 1,
                 .all = true,
                 .believed = false};
  const bool all = first == true && next == true;
  if (most && all)
    return Turns{.count = std::max<int64_t>(*most, 0)};
  // Results that are stacked, a turn each, may say how many there are.
  std::optional<int64_t> stacked;
  bool stacks = false;
  for (size_t i = carried; i < node.outputs.size(); ++i)
    if (node.outputs[i] != kNoValue) {
      stacks = true;
      const Fact &fact = to.fact(node.outputs[i]);
      if (fact.shape && !fact.shape->empty())
        stacked = (*fact.shape)[0].constant();
    }
  if (stacked && *stacked >= 0)
    return Turns{.count = *stacked, .all = true, .believed = true};
  if (most && !stacks)
    return Turns{.count = std::max<int64_t>(*most, 0), .all = false, .believed = false};
  return std::nullopt;
}

/// One result of rows that are stacked along a new axis.
ValueId stacked(Rewriting &to, const Node &node, const std::vector<ValueId> &rows, int64_t axis) {
  std::vector<ValueId> parts;
  for (const ValueId row : rows)
    parts.push_back(to.add(node, "Unsqueeze", 11, {row}, {{"axes", std::vector{axis}}}));
  return to.add(node, "Concat", 13, std::move(parts), {{"axis", axis}});
}

} // namespace

Replaced flatten_loop(Rewriting &to, const Node &node) {
  const Graph *body = body_of(node);
  const size_t carried = node.inputs.size() > 2 ? node.inputs.size() - 2 : 0;
  if (body == nullptr || body->inputs.size() != carried + 2 || body->outputs.size() < carried + 1 ||
      node.outputs.size() > body->outputs.size() - 1)
    return kWrongBody;
  const auto turns = turns_of(to, node, *body, carried);
  if (!turns)
    return NotFlat{"only a run tells how often it turns",
                   "give the loop a constant trip count, or its stacked results a fixed size"};
  if (!to.has_room(turns->count, *body))
    return too_long(turns->count);
  const auto wanted = [&](size_t i) {
    return i < node.outputs.size() && node.outputs[i] != kNoValue;
  };
  for (size_t i = 0; i < carried && !turns->all; ++i) {
    // Turns that are not made leave values as they are, which takes values of one shape.
    const Fact &before = to.fact(node.inputs[i + 2]), &after = to.fact(body->outputs[i + 1]);
    if (!before.shape || !after.shape || *before.shape != *after.shape ||
        before.kind != Type::Kind::Tensor)
      return NotFlat{absl::StrCat("only a run tells how often it turns, and what it carries is of "
                                  "the shape ",
                                  shape_text(before.shape), " before a turn and ",
                                  shape_text(after.shape), " after it"),
                     "give the loop a condition that is constant, or values of a fixed shape"};
  }
  for (size_t i = carried; i < node.outputs.size() && turns->count == 0; ++i)
    if (const Fact &fact = to.fact(node.outputs[i]);
        wanted(i) && (!fact.shape || !constant_shape(*fact.shape)))
      return NotFlat{"it does not turn, and the shape of its stacked results is not fixed",
                     "declare the shape of the result in the file"};
  if (turns->believed)
    to.note(absl::StrCat(node.name,
                         ": how often it turns is computed by the model, and is taken "
                         "to be ",
                         turns->count, ", as the file says of its results"));
  std::vector<ValueId> values(node.inputs.begin() + std::min<ptrdiff_t>(2, std::ssize(node.inputs)),
                              node.inputs.end());
  std::vector<std::vector<ValueId>> rows(body->outputs.size() - 1 - carried);
  ValueId goes_on = turns->all || node.inputs.size() < 2 || node.inputs[1] == kNoValue
                        ? to.truth(true)
                        : node.inputs[1];
  if (!turns->all)
    goes_on = to.add(node, "Reshape", 14, {goes_on, to.integers({}, {0})});
  for (int64_t turn = 0; turn < turns->count; ++turn) {
    std::vector<ValueId> inputs = {to.integer(turn), goes_on};
    inputs.insert(inputs.end(), values.begin(), values.end());
    const std::vector<ValueId> results = to.put(*body, inputs, turn);
    for (size_t i = 0; i < carried; ++i)
      values[i] = turns->all ? results[i + 1]
                             : to.add(node, "Where", 9, {goes_on, results[i + 1], values[i]});
    for (size_t i = 0; i < rows.size(); ++i)
      rows[i].push_back(results[1 + carried + i]);
    if (!turns->all) {
      const ValueId next = to.add(node, "Reshape", 14, {results[0], to.integers({}, {0})});
      goes_on = to.add(node, "And", 7, {goes_on, next});
    }
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (!wanted(i))
      continue;
    const Fact &fact = to.fact(node.outputs[i]);
    const ValueId value = i < carried        ? values[i]
                          : turns->count > 0 ? stacked(to, node, rows[i - carried], 0)
                                             : to.nothing(fact.type, *constant_shape(*fact.shape));
    to.stands_for(node.outputs[i], node, value);
  }
  return std::nullopt;
}

namespace {

/// What one sequence of a Scan goes through.
struct Scanned {
  size_t states = 0;
  int64_t length = 0;
  std::vector<int64_t> in_axes, in_back, out_axes, out_back;
};

int64_t at(const std::vector<int64_t> &list, size_t i) { return i < list.size() ? list[i] : 0; }

/// The results of the body's states, and of what it stacks.
std::vector<ValueId> scan_one(Rewriting &to, const Node &node, const Graph &body,
                              const Scanned &scan, std::vector<ValueId> states,
                              const std::vector<ValueId> &sequences) {
  std::vector<std::vector<ValueId>> rows(body.outputs.size() - scan.states);
  for (int64_t turn = 0; turn < scan.length; ++turn) {
    std::vector<ValueId> inputs = states;
    for (size_t i = 0; i < sequences.size(); ++i) {
      const int64_t place = at(scan.in_back, i) != 0 ? scan.length - 1 - turn : turn;
      inputs.push_back(to.add(node, "Gather", 13, {sequences[i], to.integer(place)},
                              {{"axis", at(scan.in_axes, i)}}));
    }
    const std::vector<ValueId> results = to.put(body, inputs, turn);
    std::copy_n(results.begin(), scan.states, states.begin());
    for (size_t i = 0; i < rows.size(); ++i)
      rows[i].push_back(results[scan.states + i]);
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    if (at(scan.out_back, i) != 0)
      std::ranges::reverse(rows[i]);
    states.push_back(stacked(to, node, rows[i], at(scan.out_axes, i)));
  }
  return states;
}

} // namespace

Replaced flatten_scan(Rewriting &to, const Node &node) {
  const Graph *body = body_of(node);
  const int64_t scanned = integer(node, "num_scan_inputs", -1);
  // Version 8 has batches, and the lengths of their sequences as its first input.
  const bool batched = node.version < 9;
  const std::vector<ValueId> inputs(node.inputs.begin() + (batched && !node.inputs.empty() ? 1 : 0),
                                    node.inputs.end());
  if (body == nullptr || scanned < 1 || scanned > std::ssize(inputs) ||
      body->inputs.size() != inputs.size() || node.outputs.size() > body->outputs.size())
    return kWrongBody;
  Scanned scan;
  scan.states = inputs.size() - static_cast<size_t>(scanned);
  if (body->outputs.size() < scan.states)
    return kWrongBody;
  if (batched && node.inputs[0] != kNoValue)
    return NotFlat{"the lengths of its sequences are an input",
                   "export it with operators of version 9 or more"};
  scan.in_axes = integers(node, "scan_input_axes");
  scan.in_back = integers(node, batched ? "directions" : "scan_input_directions");
  scan.out_axes = integers(node, "scan_output_axes");
  scan.out_back = integers(node, "scan_output_directions");
  std::optional<int64_t> length, batch;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Fact &fact = to.fact(inputs[i]);
    if (!fact.shape || fact.kind != Type::Kind::Tensor)
      return NotFlat{absl::StrCat("the shape of its input ", i, " is known only when it runs"),
                     "declare the shape in the file"};
    if (batched && !fact.shape->empty())
      batch = (*fact.shape)[0].constant();
    if (i < scan.states)
      continue;
    const auto rank = std::ssize(*fact.shape);
    int64_t axis = batched ? 1 : at(scan.in_axes, i - scan.states);
    axis = axis < 0 ? axis + rank : axis;
    if (axis < 0 || axis >= rank)
      return kWrongBody;
    length = (*fact.shape)[static_cast<size_t>(axis)].constant();
    if (!length)
      return NotFlat{absl::StrCat("how long its sequences are, ",
                                  (*fact.shape)[static_cast<size_t>(axis)].text(),
                                  ", is chosen by a call"),
                     "give the sequence a fixed length when exporting, or export with an op for "
                     "the whole of it (LSTM, LinearAttention)"};
  }
  if (batched && !batch)
    return NotFlat{"how many sequences it has is chosen by a call",
                   "give the batch a fixed size when exporting"};
  const bool stacks = node.outputs.size() > scan.states;
  if (*length == 0 && stacks)
    return NotFlat{"its sequences are empty", "give the sequence a fixed length above 0"};
  if (!to.has_room(*length, *body) || (batch && *batch > static_cast<int64_t>(kMostFlatNodes)) ||
      !to.has_room(*length * batch.value_or(1), *body))
    return too_long(*length);
  scan.length = *length;
  if (!batched) {
    const auto results =
        scan_one(to, node, *body, scan,
                 {inputs.begin(), inputs.begin() + static_cast<ptrdiff_t>(scan.states)},
                 {inputs.begin() + static_cast<ptrdiff_t>(scan.states), inputs.end()});
    for (size_t i = 0; i < node.outputs.size(); ++i)
      to.stands_for(node.outputs[i], node, results[i]);
    return std::nullopt;
  }
  std::vector<std::vector<ValueId>> rows(node.outputs.size());
  for (int64_t row = 0; row < *batch; ++row) {
    std::vector<ValueId> one;
    for (const ValueId input : inputs)
      one.push_back(to.add(node, "Gather", 13, {input, to.integer(row)}, {{"axis", int64_t{0}}}));
    const auto results = scan_one(to, node, *body, scan,
                                  {one.begin(), one.begin() + static_cast<ptrdiff_t>(scan.states)},
                                  {one.begin() + static_cast<ptrdiff_t>(scan.states), one.end()});
    for (size_t i = 0; i < rows.size(); ++i)
      rows[i].push_back(results[i]);
  }
  for (size_t i = 0; i < node.outputs.size(); ++i)
    to.stands_for(node.outputs[i], node, stacked(to, node, rows[i], 0));
  return std::nullopt;
}

} // namespace quern::onnx
