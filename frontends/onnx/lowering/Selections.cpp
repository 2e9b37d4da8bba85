// Elements that a mask chooses. How many there are the model counts.
#include "frontends/onnx/lowering/NodeLowering.h"
#include "ir/symbols/Dim.h"

namespace quern::onnx {
namespace {

/// Each element that is not zero, by its index in every dimension.
void non_zero(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const Array mask =
      x.type == ElementType::Bool ? x : a.map({x}, ElementType::Bool, [](const Scalars &e) {
        return not_equal(e[0], number_like(e[0], 0));
      });
  const Array places = a.where_true(mask, node.out_shape()[1]);
  const std::vector<Dim> strides = strides_of(x.shape);
  std::vector<Scalar> steps, sizes;
  for (size_t i = 0; i < x.rank(); ++i) {
    steps.push_back(a.size_index(strides[i]));
    sizes.push_back(a.size_index(x.shape[i]));
  }
  node.set(a.generate(ElementType::Int64, node.out_shape(), [&](Writer &w, const Scalars &at) {
    const Scalar place = to_index(Arrays::element(w, places, {at[1]}));
    Scalar chosen = index(w, 0);
    for (size_t i = 0; i < x.rank(); ++i)
      chosen =
          select(equal(at[0], static_cast<double>(i)), rest(place / steps[i], sizes[i]), chosen);
    return from_index(chosen, ElementType::Int64);
  }));
}

/// The elements, or the parts of an axis, where a condition holds.
void compress(NodeLowering &node) {
  Arrays &a = node.arrays();
  Array x = node.in(0);
  size_t axis = 0;
  if (node.has_attribute("axis")) {
    axis = node.axis(node.integer("axis", 0), x.rank());
  } else {
    Dim all = 1;
    for (const Dim &dim : x.shape)
      all *= dim;
    x = a.reshape(x, {all});
  }
  Dim conditions = 1;
  for (const Dim &dim : node.shape(1))
    conditions *= dim;
  const Array given = a.reshape(node.in(1), {conditions});
  const Dim asked = symbols::min(conditions, x.shape[axis]);
  const Array mask = asked == conditions ? given : a.part(given, 0, 0, asked);
  const Array places = a.where_true(mask, node.out_shape()[axis]);
  node.set(a.generate(x.type, node.out_shape(), [&](Writer &w, const Scalars &at) {
    Scalars from = at;
    from[axis] = to_index(Arrays::element(w, places, {at[axis]}));
    return Arrays::element(w, x, from);
  }));
}

constexpr LoweringRow kRows[] = {
    {"NonZero", non_zero, Takes::Any},
    {"Compress", compress, Takes::Any},
};

} // namespace

std::span<const LoweringRow> selection_lowerings() { return kRows; }

} // namespace quern::onnx
