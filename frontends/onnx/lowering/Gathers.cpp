// Elements chosen by indices. One outside of its axis fails the call.
#include "frontends/onnx/lowering/Gathers.h"

#include "frontends/onnx/lowering/NodeLowering.h"
#include "ir/symbols/Bounds.h"

#include <absl/strings/str_cat.h>

namespace quern::onnx {

Array gather(Arrays &arrays, const Array &x, const Array &indices, size_t axis) {
  Sizes shape(x.shape.begin(), x.shape.begin() + static_cast<ptrdiff_t>(axis));
  shape.insert(shape.end(), indices.shape.begin(), indices.shape.end());
  shape.insert(shape.end(), x.shape.begin() + static_cast<ptrdiff_t>(axis) + 1, x.shape.end());
  const Scalar size = arrays.size_index(x.shape[axis]);
  const size_t depth = indices.rank();
  return arrays.generate(x.type, shape, [&](Writer &w, const Scalars &at) {
    const auto begin = at.begin() + static_cast<ptrdiff_t>(axis);
    const auto end = begin + static_cast<ptrdiff_t>(depth);
    Scalars from(at.begin(), begin);
    from.push_back(check_index(Arrays::element(w, indices, {begin, end}), size));
    from.insert(from.end(), end, at.end());
    return Arrays::element(w, x, from);
  });
}

namespace {

void gather_op(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const size_t axis = node.axis(node.integer("axis", 0), x.rank());
  const auto which = node.dims(1);
  if (which && which->size() == 1) {
    // One that is known is a part.
    const Dim at = (*which)[0], size = x.shape[axis];
    const Dim offset = symbols::choose(symbols::less(at, 0), at + size, at);
    if (offset.valid() && symbols::is_non_negative(offset) &&
        symbols::is_non_negative(size - offset - 1))
      return node.set(a.reshape(a.part(x, axis, offset, 1), node.out_shape()));
  }
  node.set(gather(a, x, node.in(1), axis));
}

void gather_elements(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0), indices = node.in(1);
  const size_t axis = node.axis(node.integer("axis", 0), x.rank());
  const Scalar size = a.size_index(x.shape[axis]);
  // The other dimensions may have fewer indices than elements. Where that is not known before a
  // call, what is beyond is a fault of it.
  std::vector<std::pair<size_t, Scalar>> open;
  for (size_t i = 0; i < x.rank(); ++i)
    if (i != axis && !symbols::is_non_negative(x.shape[i] - indices.shape[i]))
      open.emplace_back(i, a.size_index(x.shape[i]));
  node.set(a.generate(x.type, node.out_shape(), [&](Writer &w, const Scalars &at) {
    Scalars from = at;
    for (const auto &[i, most] : open)
      from[i] = check_index(at[i], most);
    from[axis] = check_index(Arrays::element(w, indices, at), size);
    return Arrays::element(w, x, from);
  }));
}

void gather_nd(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0), indices = node.in(1);
  const auto batch = static_cast<size_t>(node.integer("batch_dims", 0));
  const auto depth = indices.shape.back().constant();
  if (!depth)
    return node.refuse("how many indices an element has is known only when the model runs");
  std::vector<Scalar> sizes;
  for (const Dim &dim : x.shape)
    sizes.push_back(a.size_index(dim));
  const size_t lead = indices.rank() - 1;
  node.set(a.generate(x.type, node.out_shape(), [&](Writer &w, const Scalars &at) {
    Scalars from(at.begin(), at.begin() + static_cast<ptrdiff_t>(batch));
    Scalars which(at.begin(), at.begin() + static_cast<ptrdiff_t>(lead));
    which.push_back(index(w, 0));
    for (int64_t i = 0; i < *depth; ++i) {
      which.back() = index(w, i);
      from.push_back(check_index(Arrays::element(w, indices, which), sizes[from.size()]));
    }
    from.insert(from.end(), at.begin() + static_cast<ptrdiff_t>(lead), at.end());
    return Arrays::element(w, x, from);
  }));
}

constexpr LoweringRow kRows[] = {
    {"Gather", gather_op, Takes::Any, 1},
    {"GatherElements", gather_elements, Takes::Any, 1},
    {"GatherND", gather_nd, Takes::Any, 1},
};

} // namespace

std::span<const LoweringRow> gather_lowerings() { return kRows; }

} // namespace quern::onnx
