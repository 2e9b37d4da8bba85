#include "frontends/onnx/shapes/NodeShapes.h"

#include "frontends/onnx/shapes/Inferrer.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace quern::onnx {
namespace {

const Fact kNothing;
const Shape kNoShape;

} // namespace

const Fact &NodeShapes::in(size_t i) const {
  return has(i) ? inferrer_.fact(node_.inputs[i]) : kNothing;
}

const Shape &NodeShapes::shape(size_t i) const {
  const Fact &fact = in(i);
  return fact.shape ? *fact.shape : kNoShape;
}

Dim NodeShapes::dim(size_t i, size_t axis) {
  return axis < rank(i) ? shape(i)[axis] : fresh(0, axis);
}

std::optional<std::vector<int64_t>> NodeShapes::constants(size_t i) const {
  const auto list = dims(i);
  if (!list)
    return std::nullopt;
  return constant_shape(*list);
}

const Attribute *NodeShapes::attribute(std::string_view name, AttributeKind kind) {
  const Attribute *found = node_.find(name);
  if (found != nullptr && found->kind != kind) {
    fail(absl::StrCat("its attribute '", std::string(name), "' is of another kind than the op's"));
    return nullptr;
  }
  return found;
}

int64_t NodeShapes::integer(std::string_view name, int64_t otherwise) {
  const Attribute *found = attribute(name, AttributeKind::Int);
  return found != nullptr ? found->ints[0] : otherwise;
}

float NodeShapes::number(std::string_view name, float otherwise) {
  const Attribute *found = attribute(name, AttributeKind::Float);
  return found != nullptr ? found->floats[0] : otherwise;
}

std::optional<std::vector<int64_t>> NodeShapes::integers(std::string_view name) {
  const Attribute *found = attribute(name, AttributeKind::Ints);
  return found != nullptr ? std::optional(found->ints) : std::nullopt;
}

std::string NodeShapes::string(std::string_view name, std::string otherwise) {
  const Attribute *found = attribute(name, AttributeKind::String);
  return found != nullptr ? found->strings[0] : otherwise;
}

const Graph *NodeShapes::graph(std::string_view name) {
  const Attribute *found = attribute(name, AttributeKind::Graph);
  if (found == nullptr)
    fail(absl::StrCat("it has no graph '", std::string(name), "'"));
  return found != nullptr ? found->graphs[0].get() : nullptr;
}

ElementType NodeShapes::type_attribute(std::string_view name, ElementType otherwise) {
  if (!has_attribute(name))
    return otherwise;
  const auto type = find_element_type(integer(name, 0));
  if (!type || *type == ElementType::Undefined) {
    fail(absl::StrCat("its attribute '", std::string(name), "' names no type of ONNX 1.23"));
    return otherwise;
  }
  return *type;
}

std::optional<std::vector<int64_t>> NodeShapes::attribute_or_input(std::string_view name,
                                                                   size_t input, bool &known) {
  known = true;
  if (has_attribute(name))
    return integers(name);
  if (!has(input))
    return std::nullopt;
  auto list = constants(input);
  known = list.has_value();
  return list;
}

const Fact &NodeShapes::output_fact(size_t i) const { return inferrer_.fact(node_.outputs[i]); }

void NodeShapes::set(size_t i, Fact fact) {
  if (wants(i))
    inferrer_.fact(node_.outputs[i]) = std::move(fact);
}

void NodeShapes::set(size_t i, ElementType type, Shape shape) {
  for (Dim &dim : shape)
    if (const auto size = dim.constant(); !dim.valid() || (size && *size < 0)) {
      fail(dim.valid() ? absl::StrCat("its result would have a size of ", *size)
                       : "its result would have a size that does not fit, or too long a formula",
           "give inputs of shapes that the op takes");
      dim = fresh(i, static_cast<size_t>(&dim - shape.data()));
    }
  Fact fact;
  fact.type = type;
  fact.shape = std::move(shape);
  set(i, std::move(fact));
}

void NodeShapes::set_type(size_t i, ElementType type) {
  Fact fact;
  fact.type = type;
  set(i, std::move(fact));
}

void NodeShapes::set_elements(size_t i, Elements elements) {
  if (!wants(i))
    return;
  Fact &fact = inferrer_.fact(node_.outputs[i]);
  const auto sizes = fact.shape ? constant_shape(*fact.shape) : std::nullopt;
  if (!sizes || count_elements(*sizes) != static_cast<int64_t>(elements.size()) ||
      elements.size() > static_cast<size_t>(Fact::kMostElements))
    return;
  for (Element &element : elements)
    if (const Dim *dim = std::get_if<Dim>(&element); dim != nullptr && !dim->valid())
      element = {};
  fact.elements = std::move(elements);
}

void NodeShapes::fail(std::string what, std::string hint) {
  failed_ = true;
  inferrer_.problem(node_, std::move(what), std::move(hint));
}

bool NodeShapes::want_rank(size_t input, size_t wanted) {
  if (rank(input) == wanted)
    return true;
  fail(absl::StrCat("its input ", input, " has the shape ", shape_text(in(input).shape), ", where ",
                    wanted, " dimensions are wanted"));
  return false;
}

bool NodeShapes::want_rank_at_least(size_t input, size_t wanted) {
  if (rank(input) >= wanted)
    return true;
  fail(absl::StrCat("its input ", input, " has the shape ", shape_text(in(input).shape),
                    ", where at least ", wanted, " dimensions are wanted"));
  return false;
}

bool NodeShapes::want_same_type(size_t a, size_t b) {
  const ElementType x = type(a), y = type(b);
  if (x == y || x == ElementType::Undefined || y == ElementType::Undefined)
    return true;
  fail(absl::StrCat("its inputs ", a, " and ", b, " have elements of ",
                    std::string(element_type_name(x)), " and ", std::string(element_type_name(y))),
       "put a Cast before one of them");
  return false;
}

size_t NodeShapes::axis(int64_t value, size_t rank) {
  const auto count = static_cast<int64_t>(rank);
  if (value < -count || value >= count) {
    fail(absl::StrCat("it names axis ", value, " of ", rank));
    return 0;
  }
  return static_cast<size_t>(value < 0 ? value + count : value);
}

std::vector<size_t> NodeShapes::axes(const std::vector<int64_t> &values, size_t rank) {
  std::vector<size_t> list;
  for (const int64_t value : values) {
    if (const auto count = static_cast<int64_t>(rank); value < -count || value >= count) {
      axis(value, rank);
      continue;
    }
    const size_t found = axis(value, rank);
    if (std::ranges::find(list, found) != list.end())
      fail(absl::StrCat("it names axis ", value, " twice"));
    else
      list.push_back(found);
  }
  return list;
}

Dim NodeShapes::unify(const Dim &a, const Dim &b, std::string_view what) {
  return inferrer_.unify(a, b, node_, what);
}

Shape NodeShapes::broadcast(const Shape &a, const Shape &b) {
  const Shape &longer = a.size() >= b.size() ? a : b, &shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  const size_t skip = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    Dim &dim = out[skip + i];
    if (dim.is(1))
      dim = shorter[i];
    else if (!shorter[i].is(1))
      dim = unify(a.size() >= b.size() ? dim : shorter[i], a.size() >= b.size() ? shorter[i] : dim,
                  "dimensions that are broadcast to each other");
  }
  return out;
}

Dim NodeShapes::fresh(size_t output, size_t axis) {
  return wants(output) ? inferrer_.fresh(node_.outputs[output], axis)
                       : Dim::symbol(absl::StrCat(node_.name, ".", axis));
}

Dim NodeShapes::counted(size_t output, size_t axis, const Dim &bound) {
  return wants(output) ? inferrer_.counted(node_.outputs[output], axis, bound)
                       : fresh(output, axis);
}

Dim product(const Shape &shape, size_t begin, size_t end) {
  Dim total = 1;
  for (size_t i = begin; i < end && i < shape.size(); ++i)
    total *= shape[i];
  return total;
}

} // namespace quern::onnx
