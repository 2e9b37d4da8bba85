// Images looked at where a grid says.
#include "frontends/onnx/lowering/NodeLowering.h"

#include <absl/strings/str_cat.h>

namespace quern::onnx {
namespace {

enum class Border : uint8_t { Zeros, Clamp, Reflect };

Scalar real(const Scalar &index) { return from_index(index, ElementType::Float32); }

/// A place brought between low and high by reflecting it at both.
Scalar reflected(const Scalar &x, const Scalar &low, const Scalar &high) {
  const Scalar span = high - low;
  const Scalar safe = select(equal(span, 0.0), number_like(span, 1), span);
  const Scalar beyond = select(less(x, low), low - x, max(x - high, 0.0));
  const Scalar times = floor(beyond / safe);
  const Scalar left = beyond - times * safe;
  const Scalar odd = not_equal(times - floor(times * 0.5) * 2.0, number_like(times, 0));
  const Scalar from_low = low + left, from_high = high - left;
  const Scalar under = select(odd, from_high, from_low), over = select(odd, from_low, from_high);
  return select(less(x, low), under, select(less(high, x), over, x));
}

struct Sampling {
  std::vector<Scalar> sizes; ///< of the image's axes
  Border border = Border::Zeros;
  bool corners = false;
};

/// The image's number at whole places, floats; outside as the border says.
Scalar pixel(Writer &w, const Array &x, const Sampling &how, const Scalars &lead,
             const Scalars &places) {
  Scalars from = lead;
  Scalar inside = number(w, ElementType::Bool, 1);
  for (size_t i = 0; i < places.size(); ++i) {
    const Scalar size = real(how.sizes[i]);
    Scalar place = places[i];
    if (how.border == Border::Reflect)
      place = reflected(place, number_like(place, how.corners ? 0 : -0.5),
                        size - (how.corners ? 1.0 : 0.5));
    else if (how.border == Border::Zeros)
      inside = inside & greater_equal(place, 0.0) & less(place, size);
    const Scalar index = to_index(cast(place, ElementType::Int64));
    from.push_back(max(min(index, how.sizes[i] - 1.0), 0.0));
  }
  const Scalar e = Arrays::element(w, x, from);
  return how.border == Border::Zeros ? select(inside, e, number_like(e, 0)) : e;
}

/// Keys' weights of the taps -1, 0, 1 and 2.
Scalars cubic_weights(const Scalar &x) {
  constexpr double a = -0.75;
  const auto far = [&](const Scalar &d) { return ((d * a - 5 * a) * d + 8 * a) * d - 4 * a; };
  const auto near = [&](const Scalar &d) { return (d * (a + 2) - (a + 3)) * d * d + 1.0; };
  return {far(x + 1.0), near(x), near(1.0 - x), far(2.0 - x)};
}

/// Sums over the taps of each axis in turn, weights multiplied.
Scalar interpolated(Writer &w, const Array &x, const Sampling &how, const Scalars &lead,
                    const Scalars &places, bool cubic, size_t axis, Scalars &taps) {
  if (axis == places.size())
    return pixel(w, x, how, lead, taps);
  const Scalar base = floor(places[axis]), ratio = places[axis] - base;
  const Scalars weights = cubic ? cubic_weights(ratio) : Scalars{1.0 - ratio, ratio};
  std::optional<Scalar> sum;
  for (size_t i = 0; i < weights.size(); ++i) {
    taps.push_back(base + (static_cast<double>(i) - (cubic ? 1.0 : 0.0)));
    const Scalar part =
        interpolated(w, x, how, lead, places, cubic, axis + 1, taps) * cast(weights[i], x.type);
    sum = sum ? *sum + part : part;
    taps.pop_back();
  }
  return *sum;
}

void grid_sample(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0), grid = node.in(1);
  const std::string mode = node.string("mode", node.version() >= 20 ? "linear" : "bilinear");
  const std::string padding = node.string("padding_mode", "zeros");
  const bool nearest = mode == "nearest", cubic = mode == "cubic" || mode == "bicubic";
  if (!nearest && !cubic && mode != "linear" && mode != "bilinear")
    return node.refuse(absl::StrCat("its mode is '", mode, "'"));
  Sampling how;
  how.border = padding == "border"       ? Border::Clamp
               : padding == "reflection" ? Border::Reflect
                                         : Border::Zeros;
  if (how.border == Border::Zeros && padding != "zeros")
    return node.refuse(absl::StrCat("its padding_mode is '", padding, "'"));
  how.corners = node.integer("align_corners", 0) != 0;
  const size_t n = x.rank() - 2;
  if (n > 3)
    return node.refuse("its images are of more than three dimensions");
  a.demand(grid.shape.back(), static_cast<int64_t>(n));
  a.demand(grid.shape[0], x.shape[0]);
  for (size_t i = 0; i < n; ++i)
    how.sizes.push_back(a.size_index(x.shape[2 + i]));
  node.set(a.generate(x.type, node.out_shape(), [&](Writer &w, const Scalars &at) {
    Scalars where = {at[0]};
    where.insert(where.end(), at.begin() + 2, at.end());
    where.push_back(index(w, 0));
    Scalars places;
    for (size_t i = 0; i < n; ++i) {
      // The grid has the last axis first.
      where.back() = index(w, static_cast<int64_t>(n - 1 - i));
      const Scalar at_grid = cast(Arrays::element(w, grid, where), ElementType::Float32);
      const Scalar size = real(how.sizes[i]);
      Scalar place =
          how.corners ? (at_grid + 1.0) * 0.5 * (size - 1.0) : ((at_grid + 1.0) * size - 1.0) * 0.5;
      if (nearest)
        place = round_even(place);
      const Scalar low = number_like(place, how.corners ? 0 : -0.5);
      const Scalar high = size - (how.corners ? 1.0 : 0.5);
      if (how.border == Border::Clamp)
        place = max(min(place, size - 1.0), 0.0);
      else if (how.border == Border::Reflect)
        place = reflected(place, low, high);
      places.push_back(place);
    }
    const Scalars lead = {at[0], at[1]};
    if (nearest)
      return pixel(w, x, how, lead, places);
    Scalars taps;
    return interpolated(w, x, how, lead, places, cubic, 0, taps);
  }));
}

void affine_grid(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array theta = node.in(0);
  const Sizes shape = node.out_shape();
  const bool corners = node.integer("align_corners", 0) != 0;
  const size_t n = shape.size() - 2;
  a.demand(theta.shape[1], static_cast<int64_t>(n));
  a.demand(theta.shape[2], static_cast<int64_t>(n) + 1);
  std::vector<Scalar> sizes;
  for (size_t i = 0; i < n; ++i)
    sizes.push_back(a.size_index(shape[1 + i]));
  node.set(a.generate(theta.type, shape, [&](Writer &w, const Scalars &at) {
    Scalars where = {at[0], at.back(), index(w, static_cast<int64_t>(n))};
    Scalar sum = Arrays::element(w, theta, where);
    for (size_t i = 0; i < n; ++i) {
      // From -1 to 1, of the corners or of the edges; the last axis is the first coordinate.
      const Scalar place = real(at[1 + i]), size = real(sizes[i]);
      const Scalar x =
          corners ? place * 2.0 / max(size - 1.0, 1.0) - 1.0 : (place * 2.0 + 1.0) / size - 1.0;
      where.back() = index(w, static_cast<int64_t>(n - 1 - i));
      sum = sum + Arrays::element(w, theta, where) * cast(x, theta.type);
    }
    return sum;
  }));
}

constexpr LoweringRow kRows[] = {
    {"GridSample", grid_sample, Takes::Reals, 3},
    {"AffineGrid", affine_grid, Takes::Reals, 3},
};

} // namespace

std::span<const LoweringRow> grid_lowerings() { return kRows; }

} // namespace quern::onnx
