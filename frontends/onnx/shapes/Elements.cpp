#include "frontends/onnx/shapes/Elements.h"

#include <cmath>

namespace quern::onnx {
namespace {

bool is_folded(ElementType type) {
  return type == ElementType::Int64 || type == ElementType::Int32 || type == ElementType::Bool ||
         type == ElementType::Float32 || type == ElementType::Float64;
}

/// An int32 that is constant and does not fit has wrapped: what it is then is not computed here.
Element checked(ElementType type, Element element) {
  if (type == ElementType::Int32)
    if (const auto number = as_number(element); number && std::fabs(*number) > INT32_MAX)
      return {};
  return element;
}

} // namespace

Element rounded(ElementType type, double value) {
  if (type == ElementType::Float64)
    return value;
  if (type == ElementType::Float32)
    return static_cast<double>(static_cast<float>(value));
  return {};
}

Element cast(const Element &element, ElementType from, ElementType to) {
  if (std::holds_alternative<std::monostate>(element))
    return {};
  const Dim *dim = std::get_if<Dim>(&element);
  const auto number = as_number(element);
  if (to == ElementType::Bool) {
    if (number)
      return Dim(*number != 0);
    return from == ElementType::Bool ? element : Element(Dim(1) - symbols::equal(*dim, 0));
  }
  if (to == ElementType::Int64 || to == ElementType::Int32) {
    if (dim != nullptr)
      return checked(to, element);
    if (!number || !std::isfinite(*number))
      return {};
    const auto integer = as_dim(std::trunc(*number));
    return integer ? checked(to, *integer) : Element();
  }
  if (is_float(to) && number)
    return rounded(to, *number);
  return to == ElementType::Float32 || to == ElementType::Float64 ? element : Element();
}

void for_each_index(const std::vector<int64_t> &shape,
                    const std::function<void(const std::vector<int64_t> &)> &visit) {
  const auto count = count_elements(shape);
  if (!count || *count == 0)
    return;
  std::vector<int64_t> indices(shape.size());
  for (int64_t n = 0; n < *count; ++n) {
    visit(indices);
    for (size_t axis = shape.size(); axis-- > 0;) {
      if (++indices[axis] < shape[axis])
        break;
      indices[axis] = 0;
    }
  }
}

size_t broadcast_offset(const std::vector<int64_t> &indices, const std::vector<int64_t> &shape) {
  const size_t skip = indices.size() - shape.size();
  size_t offset = 0;
  for (size_t i = 0; i < shape.size(); ++i)
    offset = offset * static_cast<size_t>(shape[i]) +
             static_cast<size_t>(shape[i] == 1 ? 0 : indices[skip + i]);
  return offset;
}

void fold_elements(NodeShapes &node, ElementType type,
                   const std::function<Element(const std::vector<Element> &)> &op) {
  if (node.failed() || !is_folded(type) || !node.wants(0) || node.inputs() == 0)
    return;
  std::vector<std::vector<int64_t>> shapes;
  Shape broadcast;
  for (size_t i = 0; i < node.inputs(); ++i) {
    const Fact &in = node.in(i);
    const auto sizes = in.elements && in.shape ? constant_shape(*in.shape) : std::nullopt;
    if (!sizes)
      return;
    shapes.push_back(*sizes);
    broadcast = node.broadcast(broadcast, *in.shape);
  }
  const auto sizes = constant_shape(broadcast);
  if (node.failed() || !sizes || count_elements(*sizes).value_or(INT64_MAX) > Fact::kMostElements)
    return;
  // In a graph that may never run nothing is said of sizes that do not fit.
  for (const std::vector<int64_t> &shape : shapes)
    for (size_t i = 0; i < shape.size(); ++i)
      if (shape[i] != 1 && shape[i] != (*sizes)[sizes->size() - shape.size() + i])
        return;
  Elements out;
  for_each_index(*sizes, [&](const std::vector<int64_t> &indices) {
    std::vector<Element> args;
    for (size_t i = 0; i < shapes.size(); ++i)
      args.push_back((*node.in(i).elements)[broadcast_offset(indices, shapes[i])]);
    out.push_back(checked(type, op(args)));
  });
  node.set_elements(0, std::move(out));
}

void fold_many(NodeShapes &node, ElementType type,
               const std::function<Element(const Element &, const Element &)> &op) {
  fold_elements(node, type, [&](const std::vector<Element> &args) {
    Element all = args[0];
    for (size_t i = 1; i < args.size(); ++i)
      all = op(all, args[i]);
    return all;
  });
}

} // namespace quern::onnx
