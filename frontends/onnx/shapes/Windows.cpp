// Ops over the places of images and signals: convolutions, pools, resampling.
#include "frontends/onnx/shapes/Rules.h"

#include <absl/strings/str_cat.h>

#include <cmath>
#include <numeric>

namespace quern::onnx {
namespace {

/// The attributes that say how a window moves, one a spatial dimension, checked.
struct Window {
  std::vector<Dim> kernel;
  std::vector<int64_t> strides, dilations, pads; ///< pads: all begins, then all ends
  std::string auto_pad;
};

bool read_window(NodeShapes &node, std::vector<Dim> kernel, Window &window) {
  const size_t n = kernel.size();
  window.kernel = std::move(kernel);
  window.strides = node.integers("strides").value_or(std::vector<int64_t>(n, 1));
  window.dilations = node.integers("dilations").value_or(std::vector<int64_t>(n, 1));
  window.pads = node.integers("pads").value_or(std::vector<int64_t>(2 * n, 0));
  window.auto_pad = node.string("auto_pad", "NOTSET");
  const bool sized =
      window.strides.size() == n && window.dilations.size() == n && window.pads.size() == 2 * n;
  bool positive = true;
  for (const auto *list : {&window.strides, &window.dilations})
    for (const int64_t value : *list)
      positive &= value >= 1;
  if (sized && positive)
    return true;
  node.fail(
      absl::StrCat("its strides, dilations and pads are not those of ", n, " spatial dimensions"));
  return false;
}

bool says_same(const std::string &auto_pad) {
  return auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
}

/// The number of places that a window takes along one dimension.
Dim places(const Window &window, size_t i, const Dim &size, bool ceil) {
  const Dim stride = window.strides[i];
  if (says_same(window.auto_pad))
    return symbols::ceildiv(size, stride);
  const bool valid = window.auto_pad == "VALID";
  const size_t n = window.kernel.size();
  const Dim begin = valid ? 0 : window.pads[i], end = valid ? 0 : window.pads[i + n];
  const Dim reach = Dim(window.dilations[i]) * (window.kernel[i] - 1) + 1;
  const Dim room = size + begin + end - reach;
  Dim count = (ceil ? symbols::ceildiv(room, stride) : symbols::floordiv(room, stride)) + 1;
  if (ceil) // a window that would begin in the padding behind is none
    count = count - (Dim(1) - symbols::less((count - 1) * stride, size + begin));
  return count;
}

void set_places(NodeShapes &node, size_t output, ElementType type, const Shape &in,
                const Dim &channels, const Window &window, bool ceil) {
  Shape shape = {in[0], channels};
  for (size_t i = 0; i + 2 < in.size(); ++i)
    shape.push_back(places(window, i, in[i + 2], ceil));
  node.set(output, type, std::move(shape));
}

void convolve(NodeShapes &node, size_t weights, ElementType type) {
  if (!node.has_shape(weights))
    return node.set_type(0, type);
  if (!node.want_rank_at_least(0, 3) || !node.want_rank(weights, node.rank(0)))
    return;
  const Shape in = node.shape(0), w = node.shape(weights);
  const int64_t groups = node.integer("group", 1);
  if (groups < 1)
    return node.fail(absl::StrCat("it has ", groups, " groups"));
  node.unify(in[1], w[1] * Dim(groups), "its input's channels and those of its weight");
  std::vector<Dim> kernel(w.begin() + 2, w.end());
  if (const auto given = node.integers("kernel_shape"); given && given->size() == kernel.size())
    for (size_t i = 0; i < kernel.size(); ++i)
      kernel[i] = node.unify(kernel[i], (*given)[i], "its weight and its kernel_shape");
  Window window;
  if (read_window(node, std::move(kernel), window))
    set_places(node, 0, type, in, w[0], window, false);
}

void conv(NodeShapes &node) { convolve(node, 1, node.type(0)); }
void conv_integer(NodeShapes &node) { convolve(node, 1, ElementType::Int32); }
void qlinear_conv(NodeShapes &node) { convolve(node, 3, node.type(7)); }

void conv_transpose(NodeShapes &node) {
  if (!node.want_rank_at_least(0, 3) || !node.want_rank(1, node.rank(0)))
    return;
  const Shape in = node.shape(0), w = node.shape(1);
  const int64_t groups = node.integer("group", 1);
  node.unify(in[1], w[0], "its input's channels and those of its weight");
  Window window;
  if (!read_window(node, {w.begin() + 2, w.end()}, window))
    return;
  const size_t n = window.kernel.size();
  const auto more = node.integers("output_padding").value_or(std::vector<int64_t>(n, 0));
  const auto given = node.integers("output_shape");
  if (more.size() != n || (given && given->size() != n && given->size() != n + 2))
    return node.fail("its output_padding and output_shape are not those of its input");
  Shape shape = {in[0], w[1] * Dim(groups)};
  for (size_t i = 0; i < n; ++i) {
    const Dim stride = window.strides[i];
    if (given)
      shape.push_back((*given)[given->size() - n + i]);
    else if (says_same(window.auto_pad))
      shape.push_back(in[i + 2] * stride);
    else
      shape.push_back(stride * (in[i + 2] - 1) + Dim(more[i]) +
                      Dim(window.dilations[i]) * (window.kernel[i] - 1) + 1 - Dim(window.pads[i]) -
                      Dim(window.pads[i + n]));
  }
  node.set(0, node.type(0), std::move(shape));
}

void deform_conv(NodeShapes &node) { convolve(node, 1, node.type(0)); }

void pool(NodeShapes &node) {
  if (!node.want_rank_at_least(0, 3))
    return;
  const Shape in = node.shape(0);
  const auto kernel = node.integers("kernel_shape");
  if (!kernel || kernel->size() + 2 != in.size())
    return node.fail(absl::StrCat("its kernel_shape is not of its input ", shape_text(in)));
  Window window;
  if (!read_window(node, {kernel->begin(), kernel->end()}, window))
    return;
  const bool ceil = node.integer("ceil_mode", 0) != 0;
  for (size_t i = 0; i < std::max<size_t>(node.outputs(), 1); ++i)
    set_places(node, i, i == 0 ? node.type(0) : ElementType::Int64, in, in[1], window, ceil);
}

void global_pool(NodeShapes &node) {
  if (!node.want_rank_at_least(0, 2))
    return;
  Shape shape = node.shape(0);
  std::fill(shape.begin() + 2, shape.end(), Dim(1));
  node.set(0, node.type(0), std::move(shape));
}

void max_unpool(NodeShapes &node) {
  if (!node.want_rank_at_least(0, 3))
    return;
  if (node.has(2)) {
    Shape shape = node.shape(0);
    const auto given = node.dims(2);
    if (given && given->size() != shape.size())
      return node.fail("its output_shape has another rank than its input");
    for (size_t i = 0; i < shape.size(); ++i)
      shape[i] = given ? (*given)[i] : node.fresh(0, i);
    return node.set(0, node.type(0), std::move(shape));
  }
  const Shape in = node.shape(0);
  const auto kernel = node.integers("kernel_shape");
  Window window;
  if (!kernel || kernel->size() + 2 != in.size())
    return node.fail("its kernel_shape is not of its input");
  if (!read_window(node, {kernel->begin(), kernel->end()}, window))
    return;
  Shape shape = {in[0], in[1]};
  for (size_t i = 0; i < kernel->size(); ++i)
    shape.push_back((in[i + 2] - 1) * Dim(window.strides[i]) + window.kernel[i] -
                    Dim(window.pads[i]) - Dim(window.pads[i + kernel->size()]));
  node.set(0, node.type(0), std::move(shape));
}

void roi(NodeShapes &node) {
  if (!node.want_rank(0, 4) || !node.want_rank(1, 2))
    return;
  std::vector<int64_t> size = {node.integer("output_height", 1), node.integer("output_width", 1)};
  if (node.node().op == "MaxRoiPool")
    size = node.integers("pooled_shape").value_or(std::vector<int64_t>{});
  if (size.size() != 2)
    return node.fail("its pooled_shape has not two sizes");
  node.set(0, node.type(0), {node.shape(1)[0], node.shape(0)[1], size[0], size[1]});
}

/// floor(size * scale) in float32, as others compute it.
int64_t scaled(int64_t size, double scale) {
  const float product = static_cast<float>(size) * static_cast<float>(scale);
  return static_cast<int64_t>(std::min(std::floor(product), 1e15F));
}

/// The same of a size that a call chooses, where the scale is a fraction of small numbers and gives
/// what the fraction gives, for all sizes that an image may have.
Dim scaled(NodeShapes &node, const Dim &size, double scale, size_t axis) {
  constexpr int64_t kLargestParts = 1024, kLargestImage = 1 << 15;
  if (const auto constant = size.constant())
    return scaled(*constant, scale);
  for (int64_t parts = 1; parts <= kLargestParts && scale < 1e9; ++parts) {
    const auto times = static_cast<int64_t>(std::nearbyint(scale * static_cast<double>(parts)));
    if (times < 1 || static_cast<float>(static_cast<double>(times) / static_cast<double>(parts)) !=
                         static_cast<float>(scale))
      continue;
    for (int64_t image = 0; image <= kLargestImage; ++image)
      if (scaled(image, scale) != image * times / parts)
        return node.fresh(0, axis);
    return symbols::floordiv(size * Dim(times), parts);
  }
  return node.fresh(0, axis);
}

void resize(NodeShapes &node) {
  Shape shape = node.shape(0);
  const Shape in = shape;
  std::vector<size_t> axes(shape.size());
  std::iota(axes.begin(), axes.end(), size_t{0});
  if (const auto given = node.integers("axes"))
    axes = node.axes(*given, shape.size());
  const bool old = node.node().op == "Upsample" || node.version() == 10;
  const size_t scales_at = old ? 1 : 2;
  std::optional<std::vector<double>> scales = node.in(scales_at).numbers();
  if (const Attribute *attribute = node.node().find("scales");
      attribute != nullptr && attribute->kind == AttributeKind::Floats)
    scales.emplace(attribute->floats.begin(), attribute->floats.end());
  const bool sized = !old && node.has(3);
  const auto sizes = sized ? node.dims(3) : std::nullopt;
  if (scales && scales->empty())
    scales.reset();
  if ((sizes && sizes->size() != axes.size()) ||
      (!sized && scales && scales->size() != axes.size()))
    return node.fail(absl::StrCat("its scales or sizes are not of ", axes.size(), " dimensions"));
  if (node.failed())
    return;
  // Sizes may be a frame that the image is to fill, or to fit in, with its sides as they are.
  const std::string policy = node.string("keep_aspect_ratio_policy", "stretch");
  std::optional<double> common;
  bool unknown = !sizes && !scales;
  if (sizes && policy != "stretch")
    for (size_t i = 0; i < axes.size(); ++i) {
      const auto to = (*sizes)[i].constant(), from = in[axes[i]].constant();
      unknown |= !to || !from || *from == 0;
      if (unknown)
        break;
      const double scale = static_cast<double>(*to) / static_cast<double>(*from);
      common = !common                  ? scale
               : policy == "not_larger" ? std::min(*common, scale)
                                        : std::max(*common, scale);
    }
  for (size_t i = 0; i < axes.size(); ++i) {
    const size_t axis = axes[i];
    if (unknown)
      shape[axis] = node.fresh(0, axis);
    else if (common)
      shape[axis] = static_cast<int64_t>(
          std::floor(*common * static_cast<double>(*in[axis].constant()) + 0.5));
    else if (sizes)
      shape[axis] = (*sizes)[i];
    else if (!((*scales)[i] > 0))
      return node.fail("its scales are not above 0");
    else
      shape[axis] = scaled(node, in[axis], (*scales)[i], axis);
  }
  node.set(0, node.type(0), std::move(shape));
}

void grid_sample(NodeShapes &node) {
  if (!node.want_rank_at_least(0, 3) || !node.want_rank(1, node.rank(0)))
    return;
  const Shape &in = node.shape(0), &grid = node.shape(1);
  Shape shape = {node.unify(in[0], grid[0], "its batches"), in[1]};
  shape.insert(shape.end(), grid.begin() + 1, grid.end() - 1);
  node.set(0, node.type(0), std::move(shape));
}

void affine_grid(NodeShapes &node) {
  const auto size = node.dims(1);
  const Dim rank = node.rank(1) == 1 ? node.shape(1)[0] : Dim::invalid();
  if (!size) {
    if (!rank.is(4) && !rank.is(5))
      return node.set_type(0, node.type(0));
    Shape shape;
    for (size_t i = 0; i < static_cast<size_t>(*rank.constant()) - 1; ++i)
      shape.push_back(node.fresh(0, i));
    shape.push_back(rank - 2);
    return node.set(0, node.type(0), std::move(shape));
  }
  if (size->size() != 4 && size->size() != 5)
    return node.fail("its size has not 4 or 5 dimensions");
  Shape shape = {(*size)[0]};
  shape.insert(shape.end(), size->begin() + 2, size->end());
  shape.push_back(static_cast<int64_t>(size->size()) - 2);
  node.set(0, node.type(0), std::move(shape));
}

void col2im(NodeShapes &node) {
  if (!node.want_rank(0, 3))
    return;
  const auto image = node.dims(1), block = node.dims(2);
  const Shape in = node.shape(0);
  if (!image || !block)
    return node.set_type(0, node.type(0));
  Dim area = 1;
  for (const Dim &side : *block)
    area *= side;
  if (area.is(0))
    return node.fail("its blocks are empty");
  Shape shape = {in[0], symbols::floordiv(in[1], area)};
  shape.insert(shape.end(), image->begin(), image->end());
  node.set(0, node.type(0), std::move(shape));
}

constexpr Rule kRules[] = {
    {"Conv", conv, 2},
    {"ConvInteger", conv_integer, 2},
    {"QLinearConv", qlinear_conv, 8},
    {"ConvTranspose", conv_transpose, 2},
    {"DeformConv", deform_conv, 3},
    {"AveragePool", pool},
    {"MaxPool", pool},
    {"LpPool", pool},
    {"GlobalAveragePool", global_pool},
    {"GlobalMaxPool", global_pool},
    {"GlobalLpPool", global_pool},
    {"MaxUnpool", max_unpool, 2},
    {"MaxRoiPool", roi, 2},
    {"RoiAlign", roi, 3},
    {"Resize", resize},
    {"Upsample", resize},
    {"GridSample", grid_sample, 2},
    {"AffineGrid", affine_grid, 2},
    {"Col2Im", col2im, 3},
};

} // namespace

std::span<const Rule> window_rules() { return kRules; }

} // namespace quern::onnx
