// Tensors that are made of sizes and numbers.
#include "frontends/onnx/lowering/Gathers.h"
#include "frontends/onnx/lowering/NodeLowering.h"

#include <absl/strings/str_cat.h>

#include <cmath>
#include <numbers>

namespace quern::onnx {
namespace {

void too_long(NodeLowering &node) {
  node.refuse("its result is too long a formula of sizes", "give fixed sizes when exporting");
}

void constant_of_shape(NodeLowering &node) {
  double value = 0;
  if (const Attribute *attribute = node.node().find("value")) {
    const auto numbers = attribute->kind == AttributeKind::Tensor
                             ? read_numbers(*attribute->tensors[0], {}, 1)
                             : absl::StatusOr<std::vector<double>>(std::vector<double>{0});
    if (!numbers.ok() || numbers->size() != 1)
      return node.refuse("its value is not one number");
    value = (*numbers)[0];
  }
  if (!node.dims(0))
    node.note(absl::StrCat("its shape is an input of the run; its result is taken to be ",
                           shape_text(node.out_shape()), ", as the file says"));
  node.set(node.arrays().filled(node.out_type(), node.out_shape(), value));
}

void range(NodeLowering &node) {
  const Array start = node.in(0), delta = node.in(2);
  const auto first_known = node.numbers(0), step_known = node.numbers(2);
  const bool from_zero = first_known && (*first_known)[0] == 0;
  const bool by_one = step_known && (*step_known)[0] == 1;
  if (!node.numbers(0) || !node.numbers(1) || !node.numbers(2))
    if (!node.dims(0) || !node.dims(1) || !node.dims(2))
      node.note(absl::StrCat("how far it goes is an input of the run; its result is taken to be ",
                             shape_text(node.out_shape()), ", as the file says"));
  node.set(
      node.arrays().generate(node.out_type(), node.out_shape(), [&](Writer &w, const Scalars &at) {
        const Scalar place = from_index(at[0], start.type);
        const Scalar far = by_one ? place : place * Arrays::only(w, delta);
        return from_zero ? far : Arrays::only(w, start) + far;
      }));
}

void eye_like(NodeLowering &node) {
  const auto k = static_cast<double>(node.integer("k", 0));
  const ElementType type = node.out_type();
  node.set(node.arrays().generate(type, node.out_shape(), [&](Writer &w, const Scalars &at) {
    return select(equal(at[0] + k, at[1]), number(w, type, 1), number(w, type, 0));
  }));
}

void one_hot(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array indices = node.in(0), values = node.in(2);
  const Sizes shape = node.out_shape();
  const size_t axis = node.axis(node.integer("axis", -1), shape.size());
  const Scalar depth = a.size_index(shape[axis]);
  a.demand(values.shape[0], 2);
  if (!node.dims(1) && !node.numbers(1))
    node.note(absl::StrCat("its depth is an input of the run; its result is taken to be ",
                           shape_text(shape), ", as the file says"));
  node.set(a.generate(values.type, shape, [&](Writer &w, const Scalars &at) {
    Scalars where = at;
    where.erase(where.begin() + static_cast<ptrdiff_t>(axis));
    const Scalar given = Arrays::element(w, indices, where);
    const Scalar at_index =
        to_index(is_integer(given.type) ? given : cast(given, ElementType::Int64));
    const Scalar hot = select(less(at_index, 0.0), at_index + depth, at_index);
    const Scalar off = Arrays::element(w, values, {index(w, 0)});
    const Scalar on = Arrays::element(w, values, {index(w, 1)});
    return select(equal(hot, at[axis]), on, off);
  }));
}

/// Hann, Hamming and Blackman windows: sums of cosines.
template <int kind> void window(NodeLowering &node) {
  constexpr double kTerms[3][3] = {{0.5, 0.5, 0}, {25.0 / 46, 1 - 25.0 / 46, 0}, {0.42, 0.5, 0.08}};
  const bool periodic = node.integer("periodic", 1) != 0;
  const Dim size = node.out_shape()[0];
  const Scalar steps = node.arrays().size_index(periodic ? size : size - 1);
  node.set(
      node.arrays().generate(node.out_type(), node.out_shape(), [&](Writer &, const Scalars &at) {
        const Scalar whole = from_index(steps, ElementType::Float64);
        const Scalar turn =
            from_index(at[0], ElementType::Float64) * (2 * std::numbers::pi) / whole;
        Scalar value = kTerms[kind][0] - cos(turn) * kTerms[kind][1];
        if (kind == 2)
          value = value + cos(turn * 2.0) * kTerms[kind][2];
        return cast(value, node.out_type());
      }));
}

/// Triangles on the scale of what people hear, one a column, from the numbers that the run gives.
void mel_weights(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array length = node.in(1), rate = node.in(2), low = node.in(3), high = node.in(4);
  const Sizes shape = node.out_shape();
  const Scalar bands = a.size_index(shape[1]);
  const ElementType type = node.out_type();
  if (!node.dims(0) || !node.dims(1))
    node.note(absl::StrCat("its sizes are an input of the run; its result is taken to be ",
                           shape_text(shape), ", as the file says"));
  const double ten = std::log(10.0);
  node.set(a.generate(type, shape, [&](Writer &w, const Scalars &at) {
    const auto real = [&](const Array &x) {
      return cast(Arrays::only(w, x), ElementType::Float64);
    };
    const auto mel = [&](const Scalar &hertz) { return log1p(hertz / 700.0) * (2595 / ten); };
    const Scalar from = mel(real(low));
    const Scalar step = (mel(real(high)) - from) / (from_index(bands, ElementType::Float64) + 2.0);
    const Scalar last = real(length) + 1.0, per_second = real(rate);
    const auto bin = [&](double beyond) {
      const Scalar at_mel = (from_index(at[1], ElementType::Float64) + beyond) * step + from;
      const Scalar hertz = expm1(at_mel * (ten / 2595)) * 700.0;
      return floor(last * hertz / per_second);
    };
    const Scalar left = bin(0), centre = bin(1), right = bin(2);
    const Scalar place = from_index(at[0], ElementType::Float64);
    const Scalar rise = centre - left, fall = right - centre;
    const auto safe = [&](const Scalar &x) { return select(equal(x, 0.0), number_like(x, 1), x); };
    const Scalar zero = number_like(place, 0);
    const Scalar flat = select(equal(place, centre), number_like(place, 1), zero);
    const Scalar rising = select(less_equal(left, place) & less_equal(place, centre),
                                 (place - left) / safe(rise), zero);
    const Scalar up = select(equal(rise, 0.0), flat, rising);
    const Scalar falls = greater(fall, 0.0) & less_equal(centre, place) & less(place, right);
    return cast(select(falls, (right - place) / safe(fall), up), type);
  }));
}

constexpr LoweringRow kRows[] = {
    {"Shape", too_long},
    {"Size", too_long},
    {"ConstantOfShape", constant_of_shape},
    {"Range", range},
    {"EyeLike", eye_like, Takes::Any, 2},
    {"OneHot", one_hot},
    {"HannWindow", window<0>},
    {"HammingWindow", window<1>},
    {"BlackmanWindow", window<2>},
    {"MelWeightMatrix", mel_weights},
};

} // namespace

std::span<const LoweringRow> made_lowerings() { return kRows; }

} // namespace quern::onnx
