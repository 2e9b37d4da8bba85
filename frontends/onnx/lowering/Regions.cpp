// Images looked at between their places: regions of interest, and windows whose taps are moved.
#include "frontends/onnx/lowering/Windows.h"

#include <absl/strings/str_cat.h>

namespace quern::onnx {
namespace {

/// The type that places and sums are computed in.
ElementType real_type(ElementType type) {
  return type == ElementType::Float64 ? type : ElementType::Float32;
}

Scalar whole(const Scalar &place) { return to_index(cast(place, ElementType::Int64)); }

/// The corners of the place that a point falls in, and their weights.
struct Corners {
  Scalar y_low, y_high, x_low, x_high;
  Scalars weights; ///< of low low, low high, high low and high high
};

/// As regions are sampled: a little outside counts as on the border, farther is 0.
Corners corners_of(Scalar y, Scalar x, const Scalar &height, const Scalar &width) {
  const auto real = [&](const Scalar &size) { return from_index(size, y.type); };
  const Scalar outside = less(y, -1.0) | less(real(height), y) | less(x, -1.0) |
                         less(real(width), x) | is_nan(y) | is_nan(x);
  const auto axis = [&](const Scalar &at, const Scalar &size, Scalar &low, Scalar &high) {
    const Scalar place = select(outside, number_like(at, 0), max(at, 0.0));
    const Scalar last = max(size - 1.0, 0.0);
    low = min(whole(place), last);
    high = min(low + 1.0, last);
    return select(less_equal(last, low), number_like(place, 0), place - real(low));
  };
  Corners c;
  const Scalar dy = axis(y, height, c.y_low, c.y_high), dx = axis(x, width, c.x_low, c.x_high);
  for (const Scalar &weight : {(1.0 - dy) * (1.0 - dx), (1.0 - dy) * dx, dy * (1.0 - dx), dy * dx})
    c.weights.push_back(select(outside, number_like(weight, 0), weight));
  return c;
}

void roi_align(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0), rois = node.in(1), batch = node.in(2);
  const std::string mode = node.string("mode", "avg");
  // Before version 16 there was one way, which has this name since.
  const std::string places = node.string("coordinate_transformation_mode",
                                         node.version() < 16 ? "output_half_pixel" : "half_pixel");
  if (mode != "avg" && mode != "max")
    return node.refuse(absl::StrCat("its mode is '", mode, "'"), "use avg or max");
  if (places != "half_pixel" && places != "output_half_pixel")
    return node.refuse(absl::StrCat("its coordinate_transformation_mode is '", places, "'"),
                       "use half_pixel or output_half_pixel");
  const bool half = places == "half_pixel", largest = mode == "max";
  const double scale = node.number("spatial_scale", 1);
  const int64_t ratio = node.integer("sampling_ratio", 0);
  const ElementType type = real_type(x.type);
  const Sizes shape = node.out_shape();
  a.demand(rois.shape[1], 4);
  a.demand(batch.shape[0], rois.shape[0]);
  const Scalar images = a.size_index(x.shape[0]), height = a.size_index(x.shape[2]),
               width = a.size_index(x.shape[3]), bins_high = a.size_index(shape[2]),
               bins_wide = a.size_index(shape[3]);
  node.set(a.generate(x.type, shape, [&](Writer &w, const Scalars &at) {
    const auto edge = [&](int64_t which) {
      const Scalar e = cast(Arrays::element(w, rois, {at[0], index(w, which)}), type);
      return half ? e * scale - 0.5 : e * scale;
    };
    const Scalar image = check_index(Arrays::element(w, batch, {at[0]}), images, false);
    // Of one axis: where the bin begins, how far apart its samples are, and how many there are.
    const auto axis = [&](int64_t first, const Scalar &bins, const Scalar &bin, Scalar &begin,
                          Scalar &apart) {
      const Scalar low = edge(first), high = edge(first + 2);
      const Scalar size = half ? high - low : max(high - low, 1.0);
      const Scalar step = size / from_index(bins, type);
      const Scalar count = ratio > 0 ? index(w, ratio) : max(whole(ceil(step)), 0.0);
      begin = low + from_index(bin, type) * step;
      apart = step / max(from_index(count, type), 1.0);
      return count;
    };
    Scalar y, x_at, dy, dx;
    const Scalar high = axis(1, bins_high, at[2], y, dy),
                 wide = axis(0, bins_wide, at[3], x_at, dx);
    const Scalar none = number(w, type, 0), no = number(w, ElementType::Bool, 0);
    const Scalars sum =
        loop(w, index(w, 0), high, {none, no}, [&](const Scalar &i, const Scalars &rows) {
          return loop(*i.w, index(*i.w, 0), wide, rows, [&](const Scalar &j, const Scalars &now) {
            Writer &inner = *j.w;
            const auto middle = [&](const Scalar &place) { return from_index(place, type) + 0.5; };
            const Corners c = corners_of(y + middle(i) * dy, x_at + middle(j) * dx, height, width);
            const auto part = [&](const Scalar &row, const Scalar &column, size_t weight) {
              return cast(Arrays::element(inner, x, {image, at[1], row, column}), type) *
                     c.weights[weight];
            };
            const Scalar ll = part(c.y_low, c.x_low, 0), lh = part(c.y_low, c.x_high, 1),
                         hl = part(c.y_high, c.x_low, 2), hh = part(c.y_high, c.x_high, 3);
            // The largest is that of weighted corners, as the op's reference has it.
            const Scalar value = largest ? max(max(ll, lh), max(hl, hh)) : ll + lh + hl + hh;
            const Scalar next =
                largest ? select(now[1], max(now[0], value), value) : now[0] + value;
            return Scalars{next, number(inner, ElementType::Bool, 1)};
          });
        });
    if (largest)
      return cast(sum[0], x.type);
    return cast(sum[0] / max(from_index(high * wide, type), 1.0), x.type);
  }));
}

/// x at a point between its places, linear along each axis; 0 outside.
Scalar between(Writer &w, const Array &x, const Scalars &lead, const Scalars &point,
               const std::vector<Scalar> &sizes) {
  const ElementType type = point[0].type;
  Scalars low, beyond;
  for (const Scalar &place : point) {
    low.push_back(floor(place));
    beyond.push_back(place - low.back());
  }
  std::optional<Scalar> sum;
  for (size_t corner = 0; corner < size_t{1} << point.size(); ++corner) {
    Scalars from = lead;
    Scalar weight = number(w, type, 1), inside = number(w, ElementType::Bool, 1);
    for (size_t i = 0; i < point.size(); ++i) {
      const bool high = (corner >> i & 1) != 0;
      const Scalar place = high ? low[i] + 1.0 : low[i];
      inside = inside & greater_equal(place, 0.0) & less(place, from_index(sizes[i], type));
      weight = weight * (high ? beyond[i] : 1.0 - beyond[i]);
      from.push_back(max(min(whole(place), sizes[i] - 1.0), 0.0));
    }
    const Scalar e = cast(Arrays::element(w, x, from), type);
    const Scalar part = select(inside, e * weight, number_like(e, 0));
    sum = sum ? *sum + part : part;
  }
  return *sum;
}

/// The taps of every window, moved by their offsets and weighted, and then a product.
void deform_conv(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0), weight = node.in(1), offset = node.in(2);
  const Sizes shape = node.out_shape();
  const size_t n = x.rank() - 2;
  constexpr size_t kMostAxes = 3;
  if (n > kMostAxes)
    return node.refuse("its images are of more than three dimensions");
  const std::vector<Dim> kernel(weight.shape.begin() + 2, weight.shape.end());
  const Window window = read_window(node, kernel, spatial(x.shape), spatial(shape));
  const int64_t groups = node.integer("group", 1), offset_groups = node.integer("offset_group", 1);
  const auto channels = x.shape[1].constant();
  if (groups < 1 || offset_groups < 1 || !channels || *channels % groups != 0 ||
      *channels % offset_groups != 0)
    return node.refuse("its channels are not a fixed multiple of its groups",
                       "give the channels a fixed size when exporting");
  Dim taps = 1;
  for (const Dim &size : kernel)
    taps *= size;
  // [batch, groups, taps ..., (axis), places ...]
  const auto split = [&](const Array &whole_array, bool by_axis) {
    Sizes sizes = {x.shape[0], offset_groups};
    sizes.insert(sizes.end(), kernel.begin(), kernel.end());
    if (by_axis)
      sizes.push_back(static_cast<int64_t>(n));
    sizes.insert(sizes.end(), shape.begin() + 2, shape.end());
    a.demand(whole_array.shape[1],
             Dim(offset_groups) * taps * Dim(by_axis ? static_cast<int64_t>(n) : 1));
    for (size_t i = 0; i < n; ++i)
      a.demand(whole_array.shape[2 + i], shape[2 + i]);
    return a.reshape(whole_array, sizes);
  };
  const Array moves = split(offset, true);
  std::optional<Array> mask;
  if (node.has(4))
    mask = split(node.in(4), false);
  std::vector<Scalar> sizes, lows;
  for (size_t i = 0; i < n; ++i) {
    sizes.push_back(a.size_index(x.shape[2 + i]));
    lows.push_back(a.size_index(window.low[i]));
  }
  const ElementType type = real_type(x.type);
  Sizes sampled = {x.shape[0], *channels};
  sampled.insert(sampled.end(), kernel.begin(), kernel.end());
  sampled.insert(sampled.end(), shape.begin() + 2, shape.end());
  const auto each = static_cast<double>(*channels / offset_groups);
  const Array columns = a.generate(x.type, sampled, [&](Writer &w, const Scalars &at) {
    Scalars tap = {at[0], at[1] / each};
    tap.insert(tap.end(), at.begin() + 2, at.begin() + 2 + static_cast<ptrdiff_t>(n));
    const Scalars at_place(at.begin() + 2 + static_cast<ptrdiff_t>(n), at.end());
    Scalars point;
    for (size_t i = 0; i < n; ++i) {
      Scalars from = tap;
      from.push_back(index(w, static_cast<int64_t>(i)));
      from.insert(from.end(), at_place.begin(), at_place.end());
      const Scalar still = at_place[i] * static_cast<double>(window.strides[i]) +
                           at[2 + i] * static_cast<double>(window.dilations[i]) - lows[i];
      point.push_back(from_index(still, type) + cast(Arrays::element(w, moves, from), type));
    }
    Scalar value = between(w, x, {at[0], at[1]}, point, sizes);
    if (mask) {
      Scalars from = tap;
      from.insert(from.end(), at_place.begin(), at_place.end());
      value = value * cast(Arrays::element(w, *mask, from), type);
    }
    return cast(value, x.type);
  });
  Dim places = 1;
  for (size_t i = 0; i < n; ++i)
    places *= shape[2 + i];
  const Dim inner = Dim(*channels / groups) * taps;
  const auto outer = weight.shape[0].constant();
  if (!outer || *outer % groups != 0)
    return node.refuse("its results are not a fixed multiple of its groups",
                       "give the weight a fixed shape when exporting");
  const Array rows = a.reshape(columns, {x.shape[0], groups, inner, places});
  const Array matrix = a.reshape(weight, {1, groups, *outer / groups, inner});
  Array y = a.reshape(a.matmul(matrix, rows), shape);
  if (node.has(3)) {
    Sizes bias(n + 2, 1);
    bias[1] = shape[1];
    y = a.add(y, a.reshape(node.in(3), bias));
  }
  node.set(y);
}

constexpr LoweringRow kRows[] = {
    {"RoiAlign", roi_align, Takes::Reals, 4},
    {"DeformConv", deform_conv, Takes::Reals, 3},
};

} // namespace

std::span<const LoweringRow> region_lowerings() { return kRows; }

} // namespace quern::onnx
