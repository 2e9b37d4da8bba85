// The largest, the mean and the norm of what a window sees.
#include "frontends/onnx/lowering/Windows.h"

#include <cmath>

namespace quern::onnx {
namespace {

/// next(accumulated, element) over each window of `in`, which is padded.
Array over_windows(Arrays &a, const Array &in, const Window &window, const Shape &shape,
                   ElementType type, double start,
                   llvm::function_ref<Scalar(const Scalar &, const Scalar &)> next) {
  const size_t n = window.kernel.size();
  // A tensor of the kernel's shape says how far the window's loops go; nothing reads it.
  const Array taps = a.empty(ElementType::Float32, window.kernel);
  std::vector<mlir::AffineExpr> map = {a.d(0), a.d(1)}, tap_map;
  for (size_t i = 0; i < n; ++i) {
    map.push_back(place_expr(a, window, i, 2 + i, 2 + n + i));
    tap_map.push_back(a.d(2 + n + i));
  }
  return a.contract({in, taps}, {map, tap_map}, 2 + 2 * n, type, shape, start,
                    [&](const Scalar &all, const Scalars &e) { return next(all, e[0]); });
}

std::optional<Window> window_of(NodeLowering &node) {
  const auto kernel = node.integers("kernel_shape");
  if (!kernel) {
    node.refuse("it has no kernel_shape");
    return std::nullopt;
  }
  return read_window(node, {kernel->begin(), kernel->end()}, spatial(node.shape(0)),
                     spatial(node.out_shape(node.wants(0) ? 0 : 1)));
}

double least_of(ElementType type) {
  return is_float(type)    ? -HUGE_VAL
         : is_signed(type) ? -std::ldexp(1.0, element_bits(type) - 1)
                           : 0.0;
}

/// Where in the input each window's largest element is, counted in rows or columns.
Array places_of(NodeLowering &node, const Array &x, const Array &in, const Array &most,
                const Window &window) {
  Arrays &a = node.arrays();
  const size_t n = window.kernel.size();
  const Array taps = a.empty(ElementType::Float32, window.kernel);
  std::vector<mlir::AffineExpr> map = {a.d(0), a.d(1)}, tap_map, out_map = {a.d(0), a.d(1)};
  for (size_t i = 0; i < n; ++i) {
    map.push_back(place_expr(a, window, i, 2 + i, 2 + n + i));
    tap_map.push_back(a.d(2 + n + i));
    out_map.push_back(a.d(2 + i));
  }
  std::vector<Scalar> sizes, lows;
  for (const Dim &dim : x.shape)
    sizes.push_back(a.size_index(dim));
  for (const Dim &low : window.low)
    lows.push_back(a.size_index(low));
  const bool columns = node.integer("storage_order", 0) != 0;
  // Rows first finds the first of equal ones; which it is in columns is told from that.
  const Array rows =
      a.contract({in, most, taps}, {map, out_map, tap_map}, 2 + 2 * n, ElementType::Int64,
                 most.shape, 0x1p62, [&](const Scalar &found, const Scalars &e) {
                   Writer &w = *e[0].w;
                   Scalar flat = Arrays::place(w, 0) * sizes[1] + Arrays::place(w, 1);
                   Scalar inside = number(w, ElementType::Bool, 1);
                   for (size_t i = 0; i < n; ++i) {
                     const Scalar at =
                         Arrays::place(w, 2 + i) * static_cast<double>(window.strides[i]) +
                         Arrays::place(w, 2 + n + i) * static_cast<double>(window.dilations[i]) -
                         lows[i];
                     inside = inside & !less(at, 0.0) & less(at, sizes[2 + i]);
                     flat = flat * sizes[2 + i] + at;
                   }
                   Scalar is_it = equal(e[0], e[1]);
                   if (is_real(x.type))
                     is_it = is_it | is_nan(e[0]);
                   const Scalar here = from_index(flat, ElementType::Int64);
                   return min(found, select(is_it & inside, here, number_like(here, 0x1p62)));
                 });
  if (!columns)
    return rows;
  return a.map({rows}, ElementType::Int64, [&](const Scalars &e) {
    Scalar left = to_index(e[0]);
    Scalars at(x.rank());
    for (size_t i = x.rank(); i-- > 1;) {
      at[i] = rest(left, sizes[i]);
      left = left / sizes[i];
    }
    at[0] = left;
    Scalar flat = at[x.rank() - 1];
    for (size_t i = x.rank() - 1; i-- > 2;)
      flat = flat * sizes[i] + at[i];
    Scalar plane = sizes[2];
    for (size_t i = 3; i < x.rank(); ++i)
      plane = plane * sizes[i];
    return from_index((at[0] * sizes[1] + at[1]) * plane + flat, ElementType::Int64);
  });
}

void max_pool(NodeLowering &node) {
  Arrays &a = node.arrays();
  const auto window = window_of(node);
  if (!window)
    return;
  const Array x = node.in(0);
  const Sizes shape = node.out_shape(node.wants(0) ? 0 : 1);
  const double least = least_of(x.type);
  const Array in = padded(a, x, *window, spatial(shape), least);
  const Array most = over_windows(a, in, *window, shape, x.type, least,
                                  [](const Scalar &all, const Scalar &e) { return max(all, e); });
  node.set(0, most);
  if (node.wants(1))
    node.set(1, places_of(node, x, in, most, *window));
}

void average_pool(NodeLowering &node) {
  Arrays &a = node.arrays();
  const auto window = window_of(node);
  if (!window)
    return;
  const Array x = node.in(0);
  const Sizes shape = node.out_shape();
  const bool half = x.type == ElementType::Float16 || x.type == ElementType::BFloat16;
  const ElementType type = half ? ElementType::Float32 : x.type;
  const Array sums =
      over_windows(a, padded(a, x, *window, spatial(shape), 0), *window, shape, type, 0,
                   [&](const Scalar &all, const Scalar &e) { return all + cast(e, type); });
  // How many places a window has inside of the input, or of its border where that counts, too.
  const bool border = node.integer("count_include_pad", 0) != 0;
  std::vector<Scalar> ends, lows, kernels;
  for (size_t i = 0; i < window->kernel.size(); ++i) {
    ends.push_back(a.size_index(border ? x.shape[2 + i] + window->high[i] : x.shape[2 + i]));
    lows.push_back(a.size_index(window->low[i]));
    kernels.push_back(a.size_index(window->kernel[i]));
  }
  node.set(a.map({sums}, x.type, shape, [&](const Scalars &e) {
    Writer &w = *e[0].w;
    Scalar count = index(w, 1);
    for (size_t i = 0; i < window->kernel.size(); ++i) {
      const auto dilation = static_cast<double>(window->dilations[i]);
      const Scalar begin =
          Arrays::place(w, 2 + i) * static_cast<double>(window->strides[i]) - lows[i];
      const auto steps_to = [&](const Scalar &far) { // the first tap that is not before
        return max(far + (dilation - 1.0), 0.0) / dilation;
      };
      const Scalar last = min(steps_to(ends[i] - begin), kernels[i]);
      count = count * (border ? last : last - steps_to(index(w, 0) - begin));
    }
    return cast(e[0] / from_index(count, type), x.type);
  }));
}

void lp_pool(NodeLowering &node) {
  Arrays &a = node.arrays();
  const auto window = window_of(node);
  if (!window)
    return;
  const Array x = node.in(0);
  const Sizes shape = node.out_shape();
  const auto p = static_cast<double>(node.integer("p", 2));
  const Array sums = over_windows(
      a, padded(a, x, *window, spatial(shape), 0), *window, shape, x.type, 0,
      [&](const Scalar &all, const Scalar &e) {
        const Scalar size = abs(e);
        return all + (p == 1 ? size : p == 2 ? size * size : pow(size, number_like(size, p)));
      });
  node.set(a.map({sums}, x.type, [&](const Scalars &e) {
    return p == 1 ? e[0] : p == 2 ? sqrt(e[0]) : pow(e[0], number_like(e[0], 1 / p));
  }));
}

std::vector<size_t> places(const Array &x) {
  std::vector<size_t> axes;
  for (size_t i = 2; i < x.rank(); ++i)
    axes.push_back(i);
  return axes;
}

void global_average(NodeLowering &node) {
  const Array x = node.in(0);
  node.set(node.arrays().mean(x, places(x), true));
}

void global_max(NodeLowering &node) {
  const Array x = node.in(0);
  node.set(node.arrays().largest(x, places(x), true));
}

void global_lp(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const auto p = static_cast<double>(node.integer("p", 2));
  const Array powers =
      a.map({x}, x.type, [&](const Scalars &e) { return pow(abs(e[0]), number_like(e[0], p)); });
  node.set(a.map({a.sum(powers, places(x), true)}, x.type,
                 [&](const Scalars &e) { return pow(e[0], number_like(e[0], 1 / p)); }));
}

constexpr LoweringRow kRows[] = {
    {"MaxPool", max_pool, Takes::Numbers, 3},
    {"AveragePool", average_pool, Takes::Reals, 3},
    {"LpPool", lp_pool, Takes::Reals, 3},
    {"GlobalAveragePool", global_average, Takes::Reals, 2},
    {"GlobalMaxPool", global_max, Takes::Reals, 2},
    {"GlobalLpPool", global_lp, Takes::Reals, 2},
};

} // namespace

std::span<const LoweringRow> pool_lowerings() { return kRows; }

} // namespace quern::onnx
