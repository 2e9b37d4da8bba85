// Convolutions, as contractions over windows of the padded input.
#include "frontends/onnx/lowering/Quantization.h"
#include "frontends/onnx/lowering/Windows.h"

namespace quern::onnx {
namespace {

/// Convolves x [n, c, ...] with w [m, c/groups, ...], both of the type that is summed in or halves.
Array convolve(NodeLowering &node, const Array &x, const Array &w, const Shape &out_shape) {
  Arrays &a = node.arrays();
  const int64_t groups = node.integer("group", 1);
  const size_t n = x.rank() - 2;
  const Shape out = spatial(out_shape);
  const Window window = read_window(node, spatial(w.shape), spatial(x.shape), out);
  Array in = padded(a, x, window, out, 0);
  Array kernel = w;
  const bool grouped = groups != 1;
  const Dim channels = w.shape[1], filters = symbols::floordiv(w.shape[0], groups);
  if (grouped) {
    Sizes split = {x.shape[0], groups, channels};
    split.insert(split.end(), in.shape.begin() + 2, in.shape.end());
    in = a.reshape(in, split);
    Sizes kernels = {groups, filters, channels};
    kernels.insert(kernels.end(), w.shape.begin() + 2, w.shape.end());
    kernel = a.reshape(w, kernels);
  }
  // Loops: batch, (group,) filter, places; channel, places of the kernel.
  const size_t group = 1, filter = grouped ? 2 : 1, place = filter + 1, channel = place + n,
               tap = channel + 1;
  std::vector<mlir::AffineExpr> in_map = {a.d(0)}, kernel_map;
  Sizes shape = {x.shape[0]};
  if (grouped) {
    in_map.push_back(a.d(group));
    kernel_map.push_back(a.d(group));
    shape.push_back(groups);
  }
  in_map.push_back(a.d(channel));
  kernel_map.push_back(a.d(filter));
  kernel_map.push_back(a.d(channel));
  shape.push_back(grouped ? filters : w.shape[0]);
  for (size_t i = 0; i < n; ++i) {
    in_map.push_back(place_expr(a, window, i, place + i, tap + i));
    kernel_map.push_back(a.d(tap + i));
    shape.push_back(out[i]);
  }
  const bool half = x.type == ElementType::Float16 || x.type == ElementType::BFloat16;
  const ElementType type = half ? ElementType::Float32 : x.type;
  const Array y = a.contract({in, kernel}, {in_map, kernel_map}, tap + n, type, shape, 0,
                             [&](const Scalar &sum, const Scalars &e) {
                               return sum + cast(e[0], type) * cast(e[1], type);
                             });
  return a.reshape(y, out_shape);
}

/// One number a channel, where it broadcasts with a result [n, channels, ...].
Array by_channel(Arrays &a, const Array &x, size_t rank) {
  if (x.rank() != 1)
    return x;
  if (x.shape[0].is(1))
    return a.reshape(x, {});
  Sizes shape(rank - 1, Dim(1));
  shape[0] = x.shape[0];
  return a.reshape(x, shape);
}

void conv(NodeLowering &node) {
  Arrays &a = node.arrays();
  Array y = convolve(node, node.in(0), node.in(1), node.out_shape());
  if (node.has(2)) {
    const Array bias = by_channel(a, node.in(2), y.rank());
    y = a.map({y, bias}, y.type, y.shape,
              [&](const Scalars &e) { return e[0] + cast(e[1], y.type); });
  }
  node.set(a.cast(y, node.out_type()));
}

/// As int32, less the zero point, which is one for all or one a filter.
Array centred(Arrays &a, const Array &x, const Array *zero) {
  if (zero == nullptr)
    return a.cast(x, ElementType::Int32);
  Array by = *zero;
  if (by.rank() == 1 && by.shape[0].is(1))
    by = a.reshape(by, {});
  if (by.rank() == 1) {
    Sizes shape(x.rank(), Dim(1));
    shape[0] = by.shape[0];
    by = a.reshape(by, shape);
  }
  return a.map({x, by}, ElementType::Int32, x.shape, [](const Scalars &e) {
    return cast(e[0], ElementType::Int32) - cast(e[1], ElementType::Int32);
  });
}

void conv_integer(NodeLowering &node) {
  Arrays &a = node.arrays();
  Array zero_x, zero_w;
  if (node.has(2))
    zero_x = node.in(2);
  if (node.has(3))
    zero_w = node.in(3);
  node.set(convolve(node, centred(a, node.in(0), node.has(2) ? &zero_x : nullptr),
                    centred(a, node.in(1), node.has(3) ? &zero_w : nullptr), node.out_shape()));
}

void qlinear_conv(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0), w = node.in(3), zero_x = node.in(2), zero_w = node.in(5);
  Array sums = convolve(node, centred(a, x, &zero_x), centred(a, w, &zero_w), node.out_shape());
  const size_t rank = sums.rank();
  if (node.has(8))
    sums = a.add(sums, by_channel(a, node.in(8), rank));
  const ElementType to = node.out_type();
  node.set(a.map({sums, by_channel(a, node.in(1), rank), by_channel(a, node.in(4), rank),
                  by_channel(a, node.in(6), rank), by_channel(a, node.in(7), rank)},
                 to, node.out_shape(), [&](const Scalars &e) {
                   const Scalar ratio = cast(e[0], ElementType::Float32) * (e[1] * e[2] / e[3]);
                   return quantized(ratio, cast(e[4], ElementType::Int32), to);
                 }));
}

/// Each place of the result gathers those places whose windows reach it.
void conv_transpose(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0), w = node.in(1);
  const int64_t groups = node.integer("group", 1);
  const size_t n = x.rank() - 2;
  const Shape in = spatial(x.shape), out = spatial(node.out_shape());
  Window window = read_window(node, spatial(w.shape), in, out);
  const auto more = node.integers("output_padding").value_or(std::vector<int64_t>(n, 0));
  const std::string mode = node.string("auto_pad", "NOTSET");
  if (node.has_attribute("output_shape") || mode.starts_with("SAME"))
    for (size_t i = 0; i < n; ++i) {
      const Dim reach = Dim(window.dilations[i]) * (window.kernel[i] - 1) + 1;
      const Dim total = Dim(window.strides[i]) * (in[i] - 1) + Dim(more[i]) + reach - out[i];
      const Dim half = symbols::floordiv(symbols::max(total, 0), 2);
      window.low[i] = mode == "SAME_UPPER" ? half : symbols::max(total, 0) - half;
    }
  const Dim channels = symbols::floordiv(x.shape[1], groups), filters = w.shape[1];
  Sizes split = {x.shape[0], groups, channels}, kernels = {groups, channels, filters},
        shape = {x.shape[0], groups, filters};
  split.insert(split.end(), in.begin(), in.end());
  kernels.insert(kernels.end(), w.shape.begin() + 2, w.shape.end());
  shape.insert(shape.end(), out.begin(), out.end());
  const Array from = a.reshape(x, split), kernel = a.reshape(w, kernels);
  const size_t channel = 3 + n, tap = channel + 1;
  std::vector<mlir::AffineExpr> kernel_map = {a.d(1), a.d(channel), a.d(2)};
  std::vector<Scalar> sizes, lows;
  for (size_t i = 0; i < n; ++i) {
    kernel_map.push_back(a.d(tap + i));
    sizes.push_back(a.size_index(in[i]));
    lows.push_back(a.size_index(window.low[i]));
  }
  const bool half = x.type == ElementType::Float16 || x.type == ElementType::BFloat16;
  const ElementType type = half ? ElementType::Float32 : x.type;
  Array y = a.contract(
      {kernel}, {kernel_map}, tap + n, type, shape, 0, [&](const Scalar &sum, const Scalars &e) {
        Writer &writer = *e[0].w;
        Scalars at = {Arrays::place(writer, 0), Arrays::place(writer, 1),
                      Arrays::place(writer, channel)};
        Scalar reached = number(writer, ElementType::Bool, 1);
        for (size_t i = 0; i < n; ++i) {
          const auto stride = static_cast<double>(window.strides[i]);
          const Scalar far =
              Arrays::place(writer, 3 + i) + lows[i] -
              Arrays::place(writer, tap + i) * static_cast<double>(window.dilations[i]);
          const Scalar place = far / stride;
          reached = reached & equal(place * stride, far) & !less(far, 0.0) & less(place, sizes[i]);
          at.push_back(max(min(place, sizes[i] - 1.0), 0.0));
        }
        const Scalar value = cast(Arrays::element(writer, from, at), type);
        return sum + select(reached, value, number_like(value, 0)) * cast(e[0], type);
      });
  y = a.reshape(y, node.out_shape());
  if (node.has(2)) {
    const Array bias = by_channel(a, node.in(2), y.rank());
    y = a.map({y, bias}, y.type, y.shape,
              [&](const Scalars &e) { return e[0] + cast(e[1], y.type); });
  }
  node.set(a.cast(y, node.out_type()));
}

constexpr LoweringRow kRows[] = {
    {"Conv", conv, Takes::Reals, 3},
    {"ConvInteger", conv_integer, Takes::SmallIntegers, 3},
    {"QLinearConv", qlinear_conv, Takes::SmallIntegers, 3},
    {"ConvTranspose", conv_transpose, Takes::Reals, 3},
};

} // namespace

std::span<const LoweringRow> convolution_lowerings() { return kRows; }

} // namespace quern::onnx
