// Losses of classifications.
#include "frontends/onnx/lowering/Gathers.h"
#include "frontends/onnx/lowering/NodeLowering.h"

namespace quern::onnx {
namespace {

/// -scores[n, target, ...] * weight[target], and what is ignored as 0.
void negative_log_likelihood(NodeLowering &node, const Array &scores) {
  Arrays &a = node.arrays();
  const Array target = node.in(1);
  std::optional<Array> weights;
  if (node.has(2))
    weights = node.in(2);
  if (target.rank() + 1 != scores.rank() || target.rank() == 0)
    return node.refuse("its labels have not one dimension less than its scores");
  for (size_t i = 0; i < target.rank(); ++i)
    a.demand(target.shape[i], scores.shape[i == 0 ? 0 : i + 1]);
  if (weights)
    a.demand(weights->shape[0], scores.shape[1]);
  const bool ignores = node.has_attribute("ignore_index");
  const int64_t ignored = node.integer("ignore_index", 0);
  const Scalar classes = a.size_index(scores.shape[1]);
  const std::string reduction = node.string("reduction", "mean");
  // What is ignored need not be a class.
  const auto class_of = [&](const Scalar &label) {
    return check_index(
        ignores ? select(equal(label, integer_like(label, ignored)), integer_like(label, 0), label)
                : label,
        classes);
  };
  const auto weight_of = [&](Writer &w, const Scalar &label) {
    const Scalar weight =
        weights ? Arrays::element(w, *weights, {class_of(label)}) : number(w, scores.type, 1);
    return ignores
               ? select(equal(label, integer_like(label, ignored)), number_like(weight, 0), weight)
               : weight;
  };
  const Array loss = a.generate(scores.type, target.shape, [&](Writer &w, const Scalars &at) {
    const Scalar label = Arrays::element(w, target, at);
    Scalars from = at;
    from.insert(from.begin() + 1, class_of(label));
    const Scalar score = Arrays::element(w, scores, from);
    const Scalar weighted = -score * weight_of(w, label);
    return ignores
               ? select(equal(label, integer_like(label, ignored)), number_like(score, 0), weighted)
               : weighted;
  });
  if (reduction == "none")
    return node.set(0, loss);
  std::vector<size_t> axes;
  for (size_t i = 0; i < loss.rank(); ++i)
    axes.push_back(i);
  if (reduction == "sum")
    return node.set(0, a.sum(loss, axes, false));
  if (!weights && !ignores)
    return node.set(0, a.mean(loss, axes, false));
  const Array used = a.generate(scores.type, target.shape, [&](Writer &w, const Scalars &at) {
    return weight_of(w, Arrays::element(w, target, at));
  });
  node.set(0, a.div(a.sum(loss, axes, false), a.sum(used, axes, false)));
}

void likelihood(NodeLowering &node) { negative_log_likelihood(node, node.in(0)); }

void cross_entropy(NodeLowering &node) {
  Arrays &a = node.arrays();
  const Array x = node.in(0);
  const Array below = a.sub(x, a.largest(x, {1}, true));
  const Array powers = a.map({below}, x.type, [](const Scalars &e) { return exp(e[0]); });
  const Array logs = a.map({below, a.sum(powers, {1}, true)}, x.type,
                           [](const Scalars &e) { return e[0] - log(e[1]); });
  negative_log_likelihood(node, logs);
  node.set(1, logs);
}

constexpr LoweringRow kRows[] = {
    {"NegativeLogLikelihoodLoss", likelihood, Takes::Reals, 2},
    {"SoftmaxCrossEntropyLoss", cross_entropy, Takes::Reals, 2},
};

} // namespace

std::span<const LoweringRow> loss_lowerings() { return kRows; }

} // namespace quern::onnx
