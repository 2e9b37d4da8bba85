// Ops that make tensors of sizes: what shapes are computed with.
#include "frontends/onnx/shapes/Inferrer.h"
#include "frontends/onnx/shapes/Rules.h"

#include <absl/strings/str_cat.h>

#include <cmath>

namespace quern::onnx {
namespace {

void shape_op(NodeShapes &node) {
  if (!node.has_shape(0)) {
    // A vector of a length that is not known.
    return node.set(0, ElementType::Int64, {node.fresh(0, 0)});
  }
  const Shape &in = node.shape(0);
  const auto rank = static_cast<int64_t>(in.size());
  const auto clamp = [&](int64_t at) {
    return std::min(std::max<int64_t>(at < 0 && at >= -rank ? at + rank : at, 0), rank);
  };
  const int64_t begin = clamp(node.integer("start", 0));
  const int64_t end = std::max(begin, clamp(node.integer("end", rank)));
  Elements sizes(in.begin() + begin, in.begin() + end);
  node.set(0, ElementType::Int64, {Dim(end - begin)});
  node.set_elements(0, std::move(sizes));
}

void size_op(NodeShapes &node) {
  const Dim total = product(node.shape(0));
  node.set(0, ElementType::Int64, {});
  node.set_elements(0, {total});
}

void constant_of_shape(NodeShapes &node) {
  ElementType type = ElementType::Float32;
  Element element = 0.0;
  if (const Attribute *value = node.node().find("value");
      value != nullptr && value->kind == AttributeKind::Tensor) {
    const Tensor &tensor = *value->tensors[0];
    const Files &files = node.inferrer().model().files;
    type = tensor.type;
    element = {};
    if (is_integer(type) || type == ElementType::Bool) {
      if (const auto list = read_integers(tensor, files, 1); list.ok() && list->size() == 1)
        element = Dim((*list)[0]);
    } else if (const auto numbers = read_numbers(tensor, files, 1);
               numbers.ok() && numbers->size() == 1) {
      element = (*numbers)[0];
    }
  }
  const auto shape = node.dims(0);
  if (!shape) {
    const auto rank = node.rank(0) == 1 ? node.shape(0)[0].constant() : std::nullopt;
    if (!rank || *rank > Fact::kMostElements)
      return node.set_type(0, type);
    Shape unknown;
    for (size_t i = 0; i < static_cast<size_t>(*rank); ++i)
      unknown.push_back(node.fresh(0, i));
    return node.set(0, type, std::move(unknown));
  }
  node.set(0, type, *shape);
  const auto sizes = constant_shape(*shape);
  if (const auto count = sizes ? count_elements(*sizes) : std::nullopt;
      count && *count <= Fact::kMostElements)
    node.set_elements(0, Elements(static_cast<size_t>(*count), element));
}

void range(NodeShapes &node) {
  const ElementType type = node.type(0);
  const auto element = [&](size_t i) {
    const Fact &in = node.in(i);
    return in.elements && in.elements->size() == 1 ? (*in.elements)[0] : Element();
  };
  Dim count = Dim::invalid();
  const auto start = as_dim(element(0)), limit = as_dim(element(1)), step = as_dim(element(2));
  const auto from = as_number(element(0)), to = as_number(element(1)), by = as_number(element(2));
  if (by == 0)
    return node.fail("its step is 0");
  if (is_float(type) && from && to && by) {
    const double steps = std::ceil((*to - *from) / *by);
    if (std::isfinite(steps) && steps < 1e15)
      count = static_cast<int64_t>(std::max(steps, 0.));
  } else if (start && limit && step && step->is_constant()) {
    count = symbols::max(symbols::ceildiv(*limit - *start, *step), 0);
  }
  if (!count.valid())
    return node.set(0, type, {node.fresh(0, 0)});
  node.set(0, type, {count});
  const auto known = count.constant();
  if (!known || *known > Fact::kMostElements || is_float(type))
    return;
  Elements elements;
  for (int64_t i = 0; i < *known; ++i)
    elements.push_back(*start + Dim(i) * *step);
  node.set_elements(0, std::move(elements));
}

void one_hot(NodeShapes &node) {
  Shape shape = node.shape(0);
  const int64_t rank = static_cast<int64_t>(shape.size()) + 1;
  const size_t axis = node.axis(node.integer("axis", -1), static_cast<size_t>(rank));
  const auto depth = node.dims(1);
  shape.insert(shape.begin() + static_cast<ptrdiff_t>(axis),
               depth && depth->size() == 1 ? (*depth)[0] : node.fresh(0, axis));
  node.set(0, node.type(2), std::move(shape));
}

constexpr Rule kRules[] = {
    {"Shape", shape_op, 1, true}, {"Size", size_op},      {"ConstantOfShape", constant_of_shape},
    {"Range", range, 3},          {"OneHot", one_hot, 3},
};

} // namespace

std::span<const Rule> shape_value_rules() { return kRules; }

} // namespace quern::onnx
