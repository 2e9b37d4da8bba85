// How a window moves over the places of an image, for convolutions and pools.
#ifndef QUERN_FRONTENDS_ONNX_LOWERING_WINDOWS_H
#define QUERN_FRONTENDS_ONNX_LOWERING_WINDOWS_H

#include "frontends/onnx/lowering/NodeLowering.h"

#include <cstdint>
#include <vector>

namespace quern::onnx {

struct Window {
  std::vector<Dim> kernel;
  std::vector<int64_t> strides, dilations;
  std::vector<Dim> low, high; ///< how much is added before and behind
};

/// Of the node's attributes, for an input and a result with these spatial sizes.
Window read_window(const NodeLowering &node, const std::vector<Dim> &kernel, const Shape &in,
                   const Shape &out);

/// The sizes behind the first two.
inline Shape spatial(const Shape &shape) { return {shape.begin() + 2, shape.end()}; }

/// x padded with `value` so that every place of the window is inside, whatever the high border is:
/// where sizes are rounded up, windows may reach beyond it.
Array padded(Arrays &arrays, const Array &x, const Window &window, const Shape &out, double value);

/// o*stride + k*dilation, of loop dimensions.
mlir::AffineExpr place_expr(Arrays &arrays, const Window &window, size_t axis, size_t out_loop,
                            size_t kernel_loop);

} // namespace quern::onnx

#endif // QUERN_FRONTENDS_ONNX_LOWERING_WINDOWS_H
