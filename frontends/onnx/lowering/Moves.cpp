// Elements under other shapes and in another order.
#include "frontends/onnx/lowering/NodeLowering.h"

#include <absl/strings/str_cat.h>

#include <numeric>

namespace quern::onnx {
namespace {

/// The result has the shape that was inferred, or that the file says.
void reshape(NodeLowering &node) {
  if (node.inputs() > 1 && node.has(1) && !node.dims(1))
    node.note(absl::StrCat("its shape or axes are an input of the run; its result is taken to be ",
                           shape_text(node.out_shape()), ", as the file says"));
  node.set(node.arrays().reshape(node.in(0), node.out_shape()));
}

void transpose(NodeLowering &node) {
  std::vector<size_t> from(node.rank(0));
  std::iota(from.rbegin(), from.rend(), size_t{0});
  if (const auto given = node.integers("perm"))
    for (size_t i = 0; i < given->size(); ++i)
      from[i] = node.axis((*given)[i], from.size());
  node.set(node.arrays().transpose(node.in(0), from));
}

void expand(NodeLowering &node) {
  if (!node.dims(1))
    node.note(absl::StrCat("its shape is an input of the run; its result is taken to be ",
                           shape_text(node.out_shape()), ", as the file says"));
  // A dimension of 1 that is wanted as 1 stays, so that the result may be of fewer dimensions only
  // where the input is.
  node.set(node.arrays().broadcast(node.in(0), node.out_shape()));
}

void concat(NodeLowering &node) {
  const size_t axis = node.axis(node.integer("axis", 1), node.rank(0));
  node.set(node.arrays().concat(node.all(), axis, node.out_shape()));
}

void tile(NodeLowering &node) {
  const Array x = node.in(0);
  const Sizes shape = node.out_shape();
  if (!node.dims(1))
    node.note(absl::StrCat("how often it repeats is an input of the run; its result is taken to "
                           "be ",
                           shape_text(shape), ", as the file says"));
  std::vector<Scalar> sizes;
  for (const Dim &dim : x.shape)
    sizes.push_back(node.arrays().size_index(dim));
  node.set(node.arrays().generate(x.type, shape, [&](Writer &w, const Scalars &at) {
    Scalars from = at;
    for (size_t i = 0; i < at.size(); ++i)
      if (x.shape[i].is(1))
        from[i] = index(w, 0);
      else if (x.shape[i] != shape[i])
        from[i] = rest(at[i], sizes[i]);
    return Arrays::element(w, x, from);
  }));
}

void depth_to_space(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const Dim block = node.integer("blocksize", 1);
  const std::string mode = node.string("mode", "DCR");
  const Dim depth = symbols::floordiv(x.shape[1], block * block);
  const Shape &s = x.shape;
  if (mode == "DCR")
    return node.set(a.reshape(
        a.transpose(a.reshape(x, {s[0], block, block, depth, s[2], s[3]}), {0, 3, 4, 1, 5, 2}),
        node.out_shape()));
  if (mode != "CRD")
    return node.refuse("its mode is neither DCR nor CRD");
  node.set(a.reshape(
      a.transpose(a.reshape(x, {s[0], depth, block, block, s[2], s[3]}), {0, 1, 4, 2, 5, 3}),
      node.out_shape()));
}

void space_to_depth(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const Dim block = node.integer("blocksize", 1);
  const Shape &s = x.shape;
  const Array blocks = a.reshape(x, {s[0], s[1], symbols::floordiv(s[2], block), block,
                                     symbols::floordiv(s[3], block), block});
  const std::string mode = node.string("mode", "DCR");
  if (mode != "DCR" && mode != "CRD")
    return node.refuse("its mode is neither DCR nor CRD");
  const std::vector<size_t> order =
      mode == "DCR" ? std::vector<size_t>{0, 3, 5, 1, 2, 4} : std::vector<size_t>{0, 1, 3, 5, 2, 4};
  node.set(a.reshape(a.transpose(blocks, order), node.out_shape()));
}

/// The first elements of a sequence backwards, the rest as they are.
void reverse_sequence(NodeLowering &node) {
  const Array x = node.in(0), lengths = node.in(1);
  const size_t batch = node.axis(node.integer("batch_axis", 1), x.rank());
  const size_t time = node.axis(node.integer("time_axis", 0), x.rank());
  node.arrays().demand(lengths.shape[0], x.shape[batch]);
  const Scalar lengths_there_are = node.arrays().size_index(x.shape[time] + 1);
  node.set(node.arrays().generate(x.type, x.shape, [&](Writer &w, const Scalars &at) {
    const Scalar length =
        check_index(Arrays::element(w, lengths, {at[batch]}), lengths_there_are, false);
    Scalars from = at;
    const Scalar back = max(length - at[time] - 1.0, 0.0);
    from[time] = select(less(at[time], length), back, at[time]);
    return Arrays::element(w, x, from);
  }));
}

void trilu(NodeLowering &node) {
  Arrays &a = node.arrays();
  const bool upper = node.integer("upper", 1) != 0;
  const Array x = node.in(0);
  std::vector<Array> shift;
  if (node.has(1))
    shift.push_back(node.in(1));
  node.set(a.generate(x.type, x.shape, [&](Writer &w, const Scalars &at) {
    const Scalar row = at[at.size() - 2], column = at.back();
    const Scalar k = shift.empty() ? index(w, 0) : to_index(Arrays::only(w, shift[0]));
    const Scalar diagonal = row + k;
    const Scalar kept = upper ? less_equal(diagonal, column) : less_equal(column, diagonal);
    const Scalar e = Arrays::element(w, x, at);
    return select(kept, e, number_like(e, 0));
  }));
}

constexpr LoweringRow kRows[] = {
    {"Reshape", reshape},
    {"Flatten", reshape},
    {"Squeeze", reshape},
    {"Unsqueeze", reshape},
    {"Transpose", transpose},
    {"Expand", expand},
    {"Concat", concat, Takes::Any, 1},
    {"Tile", tile},
    {"DepthToSpace", depth_to_space, Takes::Any, 4},
    {"SpaceToDepth", space_to_depth, Takes::Any, 4},
    {"ReverseSequence", reverse_sequence, Takes::Any, 2},
    {"Trilu", trilu, Takes::Any, 2},
};

} // namespace

std::span<const LoweringRow> move_lowerings() { return kRows; }

} // namespace quern::onnx
