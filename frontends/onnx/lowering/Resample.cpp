// Images of another size: Resize and what came before it.
//
// Interpolation is done one axis at a time; the places of taps and their weights are computed in
// the bodies, in float32 as ONNX Runtime does.
#include "frontends/onnx/lowering/NodeLowering.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

namespace quern::onnx {
namespace {

/// Where one axis' numbers come from.
struct Axis {
  size_t axis = 0;
  Dim in = 0, out = 0;
  /// out / in, or what the file gives in its place, as float32.
  std::function<Scalar(Writer &)> scale;
  std::optional<double> fixed_scale;
  std::function<Scalar(Writer &, bool end)> region; ///< of tf_crop_and_resize
};

struct Resampling {
  std::string mode, places, nearest;
  double cubic = -0.75, extrapolated = 0;
  bool exclude_outside = false, antialias = false;
};

Scalar real(const Scalar &index) { return from_index(index, ElementType::Float32); }

/// The place in the input that a place in the result is a picture of.
Scalar source(Writer &w, const Resampling &how, const Axis &axis, const Scalar &in_size,
              const Scalar &out_size, const Scalar &at) {
  const Scalar x = real(at), scale = axis.scale(w), in = real(in_size);
  const Scalar whole = scale * in; // the result's size before it was rounded
  const auto from_centre = [&] { return (x + 0.5) / scale - 0.5; };
  if (how.places == "align_corners") {
    const Scalar last = whole - 1.0;
    return select(equal(whole, 1.0), number_like(x, 0),
                  x * (in - 1.0) / select(equal(last, 0.0), number_like(last, 1), last));
  }
  if (how.places == "asymmetric")
    return x / scale;
  if (how.places == "tf_crop_and_resize") {
    const Scalar begin = axis.region(w, false), end = axis.region(w, true);
    const Scalar last = whole - 1.0;
    const Scalar inside = select(equal(whole, 1.0), (end - begin) * (in - 1.0) * 0.5,
                                 x * (end - begin) * (in - 1.0) /
                                     select(equal(last, 0.0), number_like(last, 1), last));
    return inside + begin * (in - 1.0);
  }
  if (how.places == "pytorch_half_pixel")
    return select(equal(whole, 1.0), number_like(x, -0.5), from_centre());
  if (how.places == "half_pixel_symmetric") {
    const Scalar adjustment = real(out_size) / whole;
    return in * 0.5 * (1.0 - adjustment) + from_centre();
  }
  return from_centre();
}

bool knows(const std::string &places) {
  constexpr std::string_view kPlaces[] = {"half_pixel",         "half_pixel_symmetric",
                                          "pytorch_half_pixel", "align_corners",
                                          "asymmetric",         "tf_crop_and_resize"};
  return std::ranges::find(kPlaces, places) != std::end(kPlaces);
}

Scalar nearest(const Scalar &x, const std::string &mode) {
  if (mode == "floor")
    return floor(x);
  if (mode == "ceil")
    return ceil(x);
  // Halves of sizes are rarely floats: what is as near as that is one.
  constexpr double kNear = 1e-6;
  return mode == "round_prefer_ceil" ? floor(x + (0.5 + kNear)) : ceil(x - (0.5 + kNear));
}

/// Keys' kernel.
Scalar cubic(const Scalar &distance, double a) {
  const Scalar x = abs(distance), square = x * x, cube = square * x;
  const Scalar near = cube * (a + 2) - square * (a + 3) + 1.0;
  const Scalar far = cube * a - square * (5 * a) + x * (8 * a) - 4 * a;
  return select(less_equal(x, 1.0), near, select(less(x, 2.0), far, number_like(x, 0)));
}

Scalar tent(const Scalar &distance) { return max(1.0 - abs(distance), 0.0); }

Array nearest_all(NodeLowering &node, const Array &x, const Resampling &how,
                  const std::vector<Axis> &axes) {
  Arrays &a = node.arrays();
  std::vector<Scalar> ins, outs;
  for (const Axis &axis : axes) {
    ins.push_back(a.size_index(axis.in));
    outs.push_back(a.size_index(axis.out));
  }
  return a.generate(x.type, node.out_shape(), [&](Writer &w, const Scalars &at) {
    Scalars from = at;
    Scalar outside = number(w, ElementType::Bool, 0);
    for (size_t i = 0; i < axes.size(); ++i) {
      const Scalar place = source(w, how, axes[i], ins[i], outs[i], at[axes[i].axis]);
      if (how.places == "tf_crop_and_resize")
        outside = outside | less(place, 0.0) | less(real(ins[i]) - 1.0, place);
      const Scalar index = to_index(cast(nearest(place, how.nearest), ElementType::Int64));
      from[axes[i].axis] = max(min(index, ins[i] - 1.0), 0.0);
    }
    const Scalar e = Arrays::element(w, x, from);
    return how.places == "tf_crop_and_resize"
               ? select(outside, number(w, x.type, how.extrapolated), e)
               : e;
  });
}

/// One axis, by weighted taps; in float32 (float64 of such).
Array along(NodeLowering &node, const Array &x, const Resampling &how, const Axis &axis) {
  Arrays &a = node.arrays();
  const bool is_cubic = how.mode == "cubic";
  const double narrow = how.antialias ? std::min(axis.fixed_scale.value_or(1), 1.0) : 1.0;
  const double support = is_cubic ? 2 : 1;
  const auto first = static_cast<int64_t>(std::floor(-support / narrow)) + 1;
  const int64_t last = 1 - first; // of taps, counted from the place's floor
  Sizes shape = x.shape;
  shape[axis.axis] = axis.out;
  const Scalar in = a.size_index(axis.in), out = a.size_index(axis.out);
  return a.generate(x.type, shape, [&](Writer &w, const Scalars &at) {
    const Scalar place = source(w, how, axis, in, out, at[axis.axis]);
    const Scalar base = floor(place), ratio = place - base;
    const Scalar front = to_index(cast(base, ElementType::Int64));
    Scalar sum = number(w, x.type, 0), weights = number(w, ElementType::Float32, 0);
    for (int64_t tap = first; tap <= last; ++tap) {
      const Scalar distance = (static_cast<double>(tap) - ratio) * narrow;
      Scalar weight = is_cubic ? cubic(distance, how.cubic) : tent(distance);
      const Scalar index = front + static_cast<double>(tap);
      if (how.exclude_outside)
        weight = select(less(index, 0.0) | less_equal(in, index), number_like(weight, 0), weight);
      Scalars from = at;
      from[axis.axis] = max(min(index, in - 1.0), 0.0);
      sum = sum + Arrays::element(w, x, from) * cast(weight, x.type);
      weights = weights + weight;
    }
    if (how.exclude_outside || how.antialias)
      sum = sum / cast(select(equal(weights, 0.0), number_like(weights, 1), weights), x.type);
    if (how.places == "tf_crop_and_resize")
      sum = select(less(place, 0.0) | less(real(in) - 1.0, place),
                   number(w, x.type, how.extrapolated), sum);
    return sum;
  });
}

/// The same where the image is smoothed and the run says by how much, or by much: as many taps as
/// the scale asks for.
Array along_smoothly(NodeLowering &node, const Array &x, const Resampling &how, const Axis &axis) {
  Arrays &a = node.arrays();
  const bool is_cubic = how.mode == "cubic";
  Sizes shape = x.shape;
  shape[axis.axis] = axis.out;
  const Scalar in = a.size_index(axis.in), out = a.size_index(axis.out);
  return a.generate(x.type, shape, [&](Writer &w, const Scalars &at) {
    const Scalar place = source(w, how, axis, in, out, at[axis.axis]);
    const Scalar narrow = min(axis.scale(w), 1.0);
    const Scalar base = floor(place), ratio = place - base;
    const Scalar front = to_index(cast(base, ElementType::Int64));
    const Scalar reach = floor((is_cubic ? -2.0 : -1.0) / narrow) + 1.0;
    const Scalar first = to_index(cast(reach, ElementType::Int64));
    const Scalar taps = 2.0 - first * 2.0;
    const Scalars sums =
        loop(w, index(w, 0), taps, {number(w, x.type, 0), number(w, ElementType::Float32, 0)},
             [&](const Scalar &i, const Scalars &now) {
               const Scalar tap = first + i;
               const Scalar distance = (real(tap) - ratio) * narrow;
               Scalar weight = is_cubic ? cubic(distance, how.cubic) : tent(distance);
               const Scalar index = front + tap;
               if (how.exclude_outside)
                 weight = select(less(index, 0.0) | less_equal(in, index), number_like(weight, 0),
                                 weight);
               Scalars from = at;
               from[axis.axis] = max(min(index, in - 1.0), 0.0);
               return Scalars{now[0] + Arrays::element(*i.w, x, from) * cast(weight, x.type),
                              now[1] + weight};
             });
    const Scalar sum =
        sums[0] / cast(select(equal(sums[1], 0.0), number_like(sums[1], 1), sums[1]), x.type);
    return how.places == "tf_crop_and_resize"
               ? select(less(place, 0.0) | less(real(in) - 1.0, place),
                        number(w, x.type, how.extrapolated), sum)
               : sum;
  });
}

/// The scale of the k-th of the node's axes.
void set_scale(NodeLowering &node, Axis &axis, size_t k, bool old, const std::vector<Axis> &all) {
  Arrays &a = node.arrays();
  const size_t scales_at = old ? 1 : 2;
  const auto fixed = [&](double value) {
    axis.fixed_scale = value;
    axis.scale = [value](Writer &w) { return number(w, ElementType::Float32, value); };
  };
  if (const auto list = node.floats("scales"))
    return fixed((*list)[k]);
  const bool sized = !old && node.has(3);
  if (!sized) {
    if (const auto known = node.numbers(scales_at))
      return fixed((*known)[k]);
    const Array scales = node.in(scales_at);
    axis.scale = [scales, k](Writer &w) {
      return Arrays::element(w, scales, {index(w, static_cast<int64_t>(k))});
    };
    return;
  }
  const std::string policy = node.string("keep_aspect_ratio_policy", "stretch");
  if (policy == "stretch") {
    const auto in = axis.in.constant(), out = axis.out.constant();
    if (in && out && *in != 0)
      return fixed(static_cast<double>(*out) / static_cast<double>(*in));
    const Scalar from = a.size_index(axis.in), to = a.size_index(axis.out);
    axis.scale = [from, to](Writer &) { return real(to) / real(from); };
    return;
  }
  // One scale for all: the smallest or the largest that is asked for.
  const Array sizes = node.in(3);
  std::vector<Scalar> ins;
  for (const Axis &other : all)
    ins.push_back(a.size_index(other.in));
  const bool not_larger = policy == "not_larger";
  axis.scale = [sizes, ins, not_larger](Writer &w) {
    std::optional<Scalar> common;
    for (size_t i = 0; i < ins.size(); ++i) {
      const Scalar wanted =
          to_index(Arrays::element(w, sizes, {index(w, static_cast<int64_t>(i))}));
      const Scalar scale = real(wanted) / real(ins[i]);
      common = !common ? scale : not_larger ? min(*common, scale) : max(*common, scale);
    }
    return *common;
  };
}

void resize(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const Shape out = node.out_shape();
  const bool old = node.op() == "Upsample" || node.version() == 10;
  Resampling how;
  how.mode = node.string("mode", "nearest");
  how.places = node.string("coordinate_transformation_mode", old ? "asymmetric" : "half_pixel");
  how.nearest = node.string("nearest_mode", old ? "floor" : "round_prefer_floor");
  how.cubic = node.number("cubic_coeff_a", -0.75);
  how.extrapolated = node.number("extrapolation_value", 0);
  how.exclude_outside = node.integer("exclude_outside", 0) != 0;
  how.antialias = node.integer("antialias", 0) != 0;
  if (how.mode == "bilinear") // as Upsample's first version calls it
    how.mode = "linear";
  if (how.mode != "nearest" && how.mode != "linear" && how.mode != "cubic")
    return node.refuse(absl::StrCat("its mode is '", how.mode, "'"));
  if (!knows(how.places))
    return node.refuse(absl::StrCat("its coordinate_transformation_mode is '", how.places, "'"));
  std::vector<int64_t> list(x.rank());
  std::iota(list.begin(), list.end(), 0);
  if (const auto given = node.integers("axes"))
    list = *given;
  std::vector<Axis> all;
  for (const int64_t which : list) {
    Axis axis;
    axis.axis = node.axis(which, x.rank());
    axis.in = x.shape[axis.axis];
    axis.out = out[axis.axis];
    all.push_back(axis);
  }
  const bool crops = how.places == "tf_crop_and_resize";
  if (crops && !node.has(1))
    return node.refuse("it has no roi");
  for (size_t k = 0; k < all.size(); ++k) {
    set_scale(node, all[k], k, old, all);
    if (!crops)
      continue;
    const Array roi = node.in(1);
    const size_t count = all.size();
    all[k].region = [roi, k, count](Writer &w, bool end) {
      return cast(Arrays::element(w, roi, {index(w, static_cast<int64_t>(k + (end ? count : 0)))}),
                  ElementType::Float32);
    };
  }
  // What stays as it is needs no loop.
  std::vector<Axis> axes;
  for (const Axis &axis : all)
    if (crops || !(axis.in == axis.out) || (axis.fixed_scale && *axis.fixed_scale != 1))
      axes.push_back(axis);
  if (how.mode == "nearest" || axes.empty())
    return node.set(nearest_all(node, x, how, axes));
  constexpr double kMostTaps = 64; // that are written out
  const ElementType type =
      x.type == ElementType::Float64 ? ElementType::Float64 : ElementType::Float32;
  Array y = a.cast(x, type);
  for (const Axis &axis : axes)
    y = how.antialias && (!axis.fixed_scale || 4 / *axis.fixed_scale > kMostTaps)
            ? along_smoothly(node, y, how, axis)
            : along(node, y, how, axis);
  if (is_integer(x.type)) { // held in its range
    const int bits = element_bits(x.type);
    const double high = std::ldexp(1.0, is_signed(x.type) ? bits - 1 : bits) - 1;
    y = a.map({y}, type, [&](const Scalars &e) {
      return max(min(e[0], high), is_signed(x.type) ? -high - 1 : 0.0);
    });
  }
  node.set(a.cast(y, x.type));
}

constexpr LoweringRow kRows[] = {
    {"Resize", resize, Takes::Numbers},
    {"Upsample", resize, Takes::Numbers},
};

} // namespace

std::span<const LoweringRow> resample_lowerings() { return kRows; }

} // namespace quern::onnx
