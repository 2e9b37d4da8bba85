#include "frontends/onnx/lowering/Windows.h"

namespace quern::onnx {

Window read_window(const NodeLowering &node, const std::vector<Dim> &kernel, const Shape &in,
                   const Shape &out) {
  const size_t n = kernel.size();
  Window window;
  window.kernel = kernel;
  window.strides = node.integers("strides").value_or(std::vector<int64_t>(n, 1));
  window.dilations = node.integers("dilations").value_or(std::vector<int64_t>(n, 1));
  const auto pads = node.integers("pads").value_or(std::vector<int64_t>(2 * n, 0));
  const std::string mode = node.string("auto_pad", "NOTSET");
  for (size_t i = 0; i < n; ++i) {
    if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
      const Dim reach = Dim(window.dilations[i]) * (kernel[i] - 1) + 1;
      const Dim total = symbols::max((out[i] - 1) * Dim(window.strides[i]) + reach - in[i], 0);
      const Dim less = symbols::floordiv(total, 2);
      window.low.push_back(mode == "SAME_UPPER" ? less : total - less);
      window.high.push_back(mode == "SAME_UPPER" ? total - less : less);
    } else if (mode == "VALID") {
      window.low.push_back(0);
      window.high.push_back(0);
    } else {
      window.low.push_back(pads[i]);
      window.high.push_back(pads[i + n]);
    }
  }
  return window;
}

Array padded(Arrays &arrays, const Array &x, const Window &window, const Shape &out, double value) {
  std::vector<Dim> low(x.rank(), Dim(0)), high(x.rank(), Dim(0));
  std::vector<Dim> offsets(x.rank(), Dim(0));
  Sizes kept = x.shape;
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    const Dim reach = Dim(window.dilations[i]) * (window.kernel[i] - 1) + 1;
    low[i + 2] = symbols::max(window.low[i], 0);
    offsets[i + 2] = symbols::max(-window.low[i], 0);
    const Dim last = (out[i] - 1) * Dim(window.strides[i]) + reach;
    high[i + 2] = symbols::max(last - window.low[i] - x.shape[i + 2], 0);
    kept[i + 2] = x.shape[i + 2] - offsets[i + 2];
  }
  return arrays.pad(arrays.slice(x, offsets, kept), low, high, value);
}

mlir::AffineExpr place_expr(Arrays &arrays, const Window &window, size_t axis, size_t out_loop,
                            size_t kernel_loop) {
  mlir::AffineExpr out = arrays.d(out_loop), in = arrays.d(kernel_loop);
  if (window.strides[axis] != 1)
    out = out * window.strides[axis];
  if (window.dilations[axis] != 1)
    in = in * window.dilations[axis];
  return out + in;
}

} // namespace quern::onnx
