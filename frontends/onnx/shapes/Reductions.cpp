// Ops that make one element of many.
#include "frontends/onnx/shapes/Rules.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <numeric>

namespace quern::onnx {
namespace {

Shape without(const Shape &shape, const std::vector<size_t> &axes, bool keep) {
  Shape left;
  for (size_t i = 0; i < shape.size(); ++i)
    if (std::ranges::find(axes, i) == axes.end())
      left.push_back(shape[i]);
    else if (keep)
      left.push_back(1);
  return left;
}

/// Of one element for all, or along the only dimension, the elements may be known.
void fold_all(NodeShapes &node, const Shape &shape) {
  const auto integers = node.dims(0);
  if (!integers || integers->empty() || is_float(node.type(0)) || !product(shape).is(1))
    return;
  Dim all = integers->front();
  const std::string &op = node.node().op;
  for (size_t i = 1; i < integers->size(); ++i) {
    const Dim &next = (*integers)[i];
    all = op == "ReduceProd"  ? all * next
          : op == "ReduceSum" ? all + next
          : op == "ReduceMax" ? symbols::max(all, next)
          : op == "ReduceMin" ? symbols::min(all, next)
                              : Dim::invalid();
  }
  node.set_elements(0, {all});
}

void reduce(NodeShapes &node) {
  const Shape in = node.shape(0);
  const bool keep = node.integer("keepdims", 1) != 0;
  bool known = true;
  const auto given = node.attribute_or_input("axes", 1, known);
  if (!known) {
    // Which axes only a run tells: with them kept, each is as it is or 1; else as many are left.
    const auto count = node.rank(1) == 1 ? node.shape(1)[0].constant() : std::nullopt;
    if (!keep && (!count || *count < 1 || *count > static_cast<int64_t>(in.size())))
      return node.set_type(0, node.type(0));
    Shape shape;
    for (size_t i = 0; i < in.size() - static_cast<size_t>(keep ? 0 : *count); ++i)
      shape.push_back(node.fresh(0, i));
    return node.set(0, node.type(0), std::move(shape));
  }
  std::vector<size_t> axes;
  if (given && !given->empty()) {
    axes = node.axes(*given, in.size());
  } else if (node.integer("noop_with_empty_axes", 0) == 0) {
    axes.resize(in.size());
    std::iota(axes.begin(), axes.end(), size_t{0});
  }
  Shape shape = without(in, axes, keep);
  node.set(0, node.type(0), shape);
  fold_all(node, shape);
}

void arg(NodeShapes &node) {
  const size_t axis = node.axis(node.integer("axis", 0), node.rank(0));
  if (!node.failed())
    node.set(0, ElementType::Int64,
             without(node.shape(0), {axis}, node.integer("keepdims", 1) != 0));
}

void loss(NodeShapes &node) {
  const Shape &scores = node.shape(0);
  if (!node.want_rank_at_least(0, 2))
    return;
  const bool each = node.string("reduction", "mean") == "none";
  node.set(0, node.type(0), each ? without(scores, {1}, false) : Shape{});
  node.set(1, node.type(0), scores);
}

constexpr Rule kRules[] = {
    {"ReduceL1", reduce},
    {"ReduceL2", reduce},
    {"ReduceLogSum", reduce},
    {"ReduceLogSumExp", reduce},
    {"ReduceMax", reduce},
    {"ReduceMean", reduce},
    {"ReduceMin", reduce},
    {"ReduceProd", reduce},
    {"ReduceSum", reduce},
    {"ReduceSumSquare", reduce},
    {"ArgMax", arg},
    {"ArgMin", arg},
    {"NegativeLogLikelihoodLoss", loss, 2},
    {"SoftmaxCrossEntropyLoss", loss, 2},
};

} // namespace

std::span<const Rule> reduction_rules() { return kRules; }

} // namespace quern::onnx
