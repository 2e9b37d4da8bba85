// Softmax and its kin.
#include "frontends/onnx/lowering/NodeLowering.h"
#include "frontends/onnx/lowering/Reductions.h"

namespace quern::onnx {
namespace {

/// Before version 13 the axis and all behind it are one.
struct Along {
  Array x;
  size_t axis;
};

Along along(NodeLowering &node) {
  const Array x = node.in(0);
  if (node.version() >= 13)
    return {x, node.axis(node.integer("axis", -1), x.rank())};
  const size_t axis = node.axis(node.integer("axis", 1), x.rank());
  Dim rows = 1, columns = 1;
  for (size_t i = 0; i < x.rank(); ++i)
    (i < axis ? rows : columns) *= x.shape[i];
  return {node.arrays().reshape(x, {rows, columns}), 1};
}

void set_back(NodeLowering &node, const Array &y) {
  node.set(node.arrays().reshape(y, node.out_shape()));
}

void softmax(NodeLowering &node) {
  const Along in = along(node);
  set_back(node, node.arrays().softmax(in.x, in.axis));
}

void log_softmax(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Along in = along(node);
  const Array top = a.largest(in.x, {in.axis}, true);
  const Array below = a.sub(in.x, top);
  const Array powers = a.map({below}, in.x.type, [](const Scalars &e) { return exp(e[0]); });
  set_back(node, a.map({below, a.sum(powers, {in.axis}, true)}, in.x.type,
                       [](const Scalars &e) { return e[0] - log(e[1]); }));
}

void hardmax(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Along in = along(node);
  const Array first = a.unsqueeze(place_of_extreme(a, in.x, in.axis, true, false), in.axis);
  set_back(node, a.map({first}, in.x.type, in.x.shape, [&](const Scalars &e) {
    const Scalar here = from_index(Arrays::place(*e[0].w, in.axis), ElementType::Int64);
    return cast(equal(here, e[0]), in.x.type);
  }));
}

constexpr LoweringRow kRows[] = {
    {"Softmax", softmax, Takes::Reals},
    {"LogSoftmax", log_softmax, Takes::Reals},
    {"Hardmax", hardmax, Takes::Reals},
};

} // namespace

std::span<const LoweringRow> softmax_lowerings() { return kRows; }

} // namespace quern::onnx
