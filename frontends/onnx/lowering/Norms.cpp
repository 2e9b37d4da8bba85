#include "frontends/onnx/lowering/Norms.h"

#include "frontends/onnx/lowering/NodeLowering.h"

#include <cmath>
#include <numeric>

namespace quern::onnx {
namespace {

std::vector<size_t> axes_from(size_t axis, size_t rank) {
  std::vector<size_t> axes(rank - axis);
  std::iota(axes.begin(), axes.end(), axis);
  return axes;
}

ElementType stash_type(ElementType type) {
  return type == ElementType::Float64 ? type : ElementType::Float32;
}

/// Scaled and shifted after it has the type of the scale.
Array scaled(Arrays &a, const Array &x, const Array &scale, const std::optional<Array> &bias) {
  std::vector<Array> inputs = {a.cast(x, scale.type), scale};
  if (bias)
    inputs.push_back(*bias);
  return a.map(inputs, scale.type, x.shape, [](const Scalars &e) {
    const Scalar y = e[0] * e[1];
    return e.size() > 2 ? y + e[2] : y;
  });
}

} // namespace

Normed normalized(Arrays &a, const Array &x, const std::vector<size_t> &axes, double epsilon) {
  const Array mean = a.mean(x, axes, true);
  const Array centred = a.sub(x, mean);
  const Array squares = a.map({centred}, x.type, [](const Scalars &e) { return e[0] * e[0]; });
  const Array inverse = a.map({a.mean(squares, axes, true)}, x.type,
                              [&](const Scalars &e) { return 1.0 / sqrt(e[0] + epsilon); });
  return {a.mul(centred, inverse), mean, inverse};
}

Normed layer_norm(Arrays &a, const Array &x, const Array &scale, const std::optional<Array> &bias,
                  size_t axis, double epsilon) {
  Normed normed = normalized(a, a.cast(x, stash_type(x.type)), axes_from(axis, x.rank()), epsilon);
  normed.y = scaled(a, normed.y, scale, bias);
  return normed;
}

Normed rms_norm(Arrays &a, const Array &x, const Array &scale, size_t axis, double epsilon) {
  const Array wide = a.cast(x, stash_type(x.type));
  const Array squares = a.map({wide}, wide.type, [](const Scalars &e) { return e[0] * e[0]; });
  const Array inverse = a.map({a.mean(squares, axes_from(axis, x.rank()), true)}, wide.type,
                              [&](const Scalars &e) { return 1.0 / sqrt(e[0] + epsilon); });
  return {scaled(a, a.mul(wide, inverse), scale, std::nullopt), inverse, inverse};
}

namespace {

/// Statistics are results in a type of their own.
void set_statistic(NodeLowering &node, size_t output, const Array &value) {
  if (node.wants(output))
    node.set(output, node.arrays().cast(value, node.out_type(output)));
}

void layer_normalization(NodeLowering &node) {
  const Array x = node.in(0);
  const size_t axis = node.axis(node.integer("axis", -1), x.rank());
  std::optional<Array> bias;
  if (node.has(2))
    bias = node.in(2);
  const Normed normed =
      layer_norm(node.arrays(), x, node.in(1), bias, axis, node.number("epsilon", 1e-5F));
  node.set(0, node.arrays().cast(normed.y, node.out_type()));
  set_statistic(node, 1, normed.mean);
  set_statistic(node, 2, normed.inverse);
}

void rms_normalization(NodeLowering &node) {
  const Array x = node.in(0);
  const size_t axis = node.axis(node.integer("axis", -1), x.rank());
  const Normed normed = rms_norm(node.arrays(), x, node.in(1), axis, node.number("epsilon", 1e-5F));
  node.set(0, node.arrays().cast(normed.y, node.out_type()));
  set_statistic(node, 1, normed.inverse);
}

/// One number a channel, where it broadcasts with [n, channels, ...].
Array by_channel(Arrays &a, const Array &x, size_t rank) {
  Sizes shape(rank - 1, Dim(1));
  shape[0] = x.shape[0];
  return a.reshape(x, shape);
}

void instance_normalization(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const Array y = normalized(a, a.cast(x, stash_type(x.type)), axes_from(2, x.rank()),
                             node.number("epsilon", 1e-5F))
                      .y;
  node.set(
      a.cast(scaled(a, y, by_channel(a, node.in(1), x.rank()), by_channel(a, node.in(2), x.rank())),
             x.type));
}

void group_normalization(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const Dim groups = node.integer("num_groups", 1);
  Dim rest = 1;
  for (size_t i = 1; i < x.rank(); ++i)
    rest *= x.shape[i];
  const Array split = a.reshape(x, {x.shape[0], groups, symbols::floordiv(rest, groups)});
  Array y = normalized(a, a.cast(split, stash_type(x.type)), {2}, node.number("epsilon", 1e-5F)).y;
  if (node.version() < 21) { // a scale a group
    y = scaled(a, y, a.reshape(node.in(1), {groups, 1}), a.reshape(node.in(2), {groups, 1}));
    return node.set(a.cast(a.reshape(y, x.shape), x.type));
  }
  node.set(a.cast(scaled(a, a.reshape(y, x.shape), by_channel(a, node.in(1), x.rank()),
                         by_channel(a, node.in(2), x.rank())),
                  x.type));
}

void batch_normalization(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const size_t rank = x.rank();
  const double epsilon = node.number("epsilon", 1e-5F);
  Array mean = node.in(3), variance = node.in(4);
  if (node.integer("training_mode", 0) != 0) {
    const double momentum = node.number("momentum", 0.9F);
    std::vector<size_t> axes = axes_from(1, rank);
    axes[0] = 0; // all but the channels
    const Array own = a.mean(x, axes, false);
    const Array centred = a.sub(x, by_channel(a, own, rank));
    const Array spread =
        a.mean(a.map({centred}, x.type, [](const Scalars &e) { return e[0] * e[0]; }), axes, false);
    const auto running = [&](const Array &before, const Array &now) {
      return a.map({before, now}, before.type, [&](const Scalars &e) {
        return e[0] * momentum + cast(e[1], before.type) * (1 - momentum);
      });
    };
    node.set(1, running(mean, own));
    node.set(2, running(variance, spread));
    mean = own;
    variance = spread;
  }
  const ElementType type = stash_type(x.type);
  node.set(0, a.map({x, by_channel(a, node.in(1), rank), by_channel(a, node.in(2), rank),
                     by_channel(a, mean, rank), by_channel(a, variance, rank)},
                    x.type, x.shape, [&](const Scalars &e) {
                      const auto wide = [&](const Scalar &s) { return cast(s, type); };
                      const Scalar y =
                          wide(e[1]) * (wide(e[0]) - wide(e[3])) / sqrt(wide(e[4]) + epsilon) +
                          wide(e[2]);
                      return cast(y, x.type);
                    }));
}

/// Over neighbouring channels.
void lrn(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const int64_t size = node.integer("size", 1);
  const double alpha = node.number("alpha", 1e-4F), beta = node.number("beta", 0.75),
               bias = node.number("bias", 1);
  std::vector<Dim> low(x.rank(), Dim(0)), high(x.rank(), Dim(0));
  low[1] = (size - 1) / 2;
  high[1] = size - 1 - (size - 1) / 2;
  const Array around = a.pad(x, low, high, 0.0);
  std::vector<mlir::AffineExpr> map;
  for (size_t i = 0; i < x.rank(); ++i)
    map.push_back(i == 1 ? a.d(1) + a.d(x.rank()) : a.d(i));
  const Array taps = a.empty(x.type, {size});
  const Array sums =
      a.contract({around, taps}, {map, {a.d(x.rank())}}, x.rank() + 1, x.type, x.shape, 0,
                 [](const Scalar &all, const Scalars &e) { return all + e[0] * e[0]; });
  node.set(a.map({x, sums}, x.type, [&](const Scalars &e) {
    const Scalar base = e[1] * (alpha / static_cast<double>(size)) + bias;
    return e[0] / pow(base, number_like(base, beta));
  }));
}

void mean_variance(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  std::vector<size_t> axes;
  for (const int64_t axis : node.integers("axes").value_or(std::vector<int64_t>{0, 2, 3}))
    axes.push_back(node.axis(axis, x.rank()));
  const Array centred = a.sub(x, a.mean(x, axes, true));
  const Array squares = a.map({centred}, x.type, [](const Scalars &e) { return e[0] * e[0]; });
  node.set(a.map({centred, a.mean(squares, axes, true)}, x.type,
                 [](const Scalars &e) { return e[0] / (sqrt(e[1]) + 1e-9); }));
}

void lp_normalization(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const int64_t p = node.integer("p", 2);
  if (p != 1 && p != 2)
    return node.refuse("its p is neither 1 nor 2");
  const size_t axis = node.axis(node.integer("axis", -1), x.rank());
  const Array powers =
      a.map({x}, x.type, [&](const Scalars &e) { return p == 1 ? abs(e[0]) : e[0] * e[0]; });
  node.set(a.map({x, a.sum(powers, {axis}, true)}, x.type, [&](const Scalars &e) {
    const Scalar norm = p == 1 ? e[1] : sqrt(e[1]);
    return select(equal(norm, 0.0), number_like(norm, 0), e[0] / norm);
  }));
}

constexpr LoweringRow kRows[] = {
    {"LayerNormalization", layer_normalization, Takes::Reals, 1},
    {"RMSNormalization", rms_normalization, Takes::Reals, 1},
    {"SimplifiedLayerNormalization", rms_normalization, Takes::Reals, 1},
    {"InstanceNormalization", instance_normalization, Takes::Reals, 2},
    {"GroupNormalization", group_normalization, Takes::Reals, 2},
    {"BatchNormalization", batch_normalization, Takes::Reals, 2},
    {"LRN", lrn, Takes::Reals, 3},
    {"MeanVarianceNormalization", mean_variance, Takes::Reals},
    {"LpNormalization", lp_normalization, Takes::Reals, 1},
};

} // namespace

std::span<const LoweringRow> norm_lowerings() { return kRows; }

} // namespace quern::onnx
