// Mixture of experts: the choice, the products and their sum.
#include "ir/reference/Frame.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

namespace quern::reference {
namespace {

/// The `count` largest of values, of equal ones those of lower index, in no order. Always `count`
/// different ones, whatever the values are.
template <class S> std::vector<int> largest(const std::vector<S> &values, int64_t count) {
  std::vector<bool> taken(values.size());
  std::vector<int> found;
  while (static_cast<int64_t>(found.size()) < count) {
    int best = -1;
    for (size_t i = 0; i < values.size(); ++i)
      if (!taken[i] && (best < 0 || values[i] > values[static_cast<size_t>(best)]))
        best = static_cast<int>(i);
    taken[static_cast<size_t>(best)] = true;
    found.push_back(best);
  }
  return found;
}

template <class S> void softmax(std::vector<S> &x) {
  const S most = *std::max_element(x.begin(), x.end());
  S sum = 0;
  for (S &value : x)
    sum += value = std::exp(value - most);
  for (S &value : x)
    value /= sum;
}

/// The experts that may be chosen: those of the best groups.
template <class S> std::vector<int> candidates(RouteOp op, const std::vector<S> &choice) {
  const auto groups = static_cast<int64_t>(op.getGroups());
  const auto size = static_cast<int64_t>(choice.size()) / groups;
  std::vector<S> of_group;
  for (int64_t g = 0; g < groups; ++g) {
    const std::vector<S> group(choice.begin() + g * size, choice.begin() + (g + 1) * size);
    S sum = 0;
    for (const int i : largest(group, static_cast<int64_t>(op.getGroupTop())))
      sum += group[static_cast<size_t>(i)];
    of_group.push_back(sum);
  }
  std::vector<int> found;
  for (const int g : largest(of_group, static_cast<int64_t>(op.getTopGroups())))
    for (int64_t i = 0; i < size; ++i)
      found.push_back(static_cast<int>(g * size + i));
  std::sort(found.begin(), found.end());
  return found;
}

template <class S> absl::Status eval_route(Frame<S> &frame, RouteOp op) {
  const Rows<S> &logits = frame.rows(op.getLogits());
  WeightCache::Block bias;
  if (op.getBias()) {
    auto elements = frame.elements(op.getBias());
    if (!elements.ok())
      return elements.status();
    bias = *elements;
  }
  const auto top_k = static_cast<int64_t>(op.getTopK());
  Rows<S> weights(logits.rows, top_k);
  Indices ids;
  for (int64_t t = 0; t < logits.rows; ++t) {
    std::vector<S> scores(logits[t], logits[t] + logits.cols);
    if (op.getScore() == RouteScore::softmax)
      softmax(scores);
    if (op.getScore() == RouteScore::sigmoid)
      for (S &score : scores)
        score = 1 / (1 + std::exp(-score));
    std::vector<S> choice = scores;
    for (size_t e = 0; bias && e < choice.size(); ++e)
      choice[e] += static_cast<S>((*bias)[e]);
    const std::vector<int> from = candidates(op, choice);
    std::vector<S> of_candidates;
    for (const int e : from)
      of_candidates.push_back(choice[static_cast<size_t>(e)]);
    std::vector<int> chosen;
    for (const int i : largest(of_candidates, top_k))
      chosen.push_back(from[static_cast<size_t>(i)]);
    std::sort(chosen.begin(), chosen.end());
    ids.insert(ids.end(), chosen.begin(), chosen.end());

    std::vector<S> given;
    for (const int e : chosen)
      given.push_back(scores[static_cast<size_t>(e)]);
    if (op.getScore() == RouteScore::chosen)
      softmax(given);
    S norm = 0;
    for (const S w : given)
      norm += op.getNormalize() == 2 ? w * w : std::abs(w);
    if (op.getNormalize() == 2)
      norm = std::sqrt(norm);
    for (int64_t j = 0; j < top_k; ++j) {
      S w = given[static_cast<size_t>(j)];
      if (op.getNormalize() != 0)
        w /= norm + static_cast<S>(op.getEps().convertToFloat());
      weights[t][j] = w * static_cast<S>(op.getScale().convertToFloat());
    }
  }
  frame.set(op.getIds(), std::make_shared<const Indices>(std::move(ids)));
  frame.set_rows(op.getWeights(), std::move(weights));
  return absl::OkStatus();
}

template <class S> absl::Status eval_expert_linear(Frame<S> &frame, ExpertLinearOp op) {
  const Rows<S> &x = frame.rows(op.getInput());
  const Indices &ids = frame.indices(op.getIds());
  const WeightPtr &weight = frame.weight(op.getWeight());
  WeightCache::Block bias;
  if (op.getBias()) {
    auto elements = frame.elements(op.getBias());
    if (!elements.ok())
      return elements.status();
    bias = *elements;
  }
  const int64_t choices = op.choices(), outputs = op.blockOutputs(), inputs = op.blockInputs();
  const int64_t experts = op.getWeight().getType().getShape()[0];
  Rows<S> y(x.rows, choices * outputs);
  // By expert, so that each one's rows are decoded once.
  std::vector<std::vector<int64_t>> places(static_cast<size_t>(experts));
  for (int64_t i = 0; i < static_cast<int64_t>(ids.size()); ++i) {
    const int32_t e = ids[static_cast<size_t>(i)];
    if (e < 0 || e >= experts)
      return absl::InvalidArgumentError(
          absl::StrCat("expert ", i, " is ", e, ", outside [0, ", experts, ")"));
    places[static_cast<size_t>(e)].push_back(i);
  }
  std::vector<float> row(static_cast<size_t>(inputs));
  for (int64_t e = 0; e < experts; ++e)
    for (int64_t n = 0; n < outputs && !places[static_cast<size_t>(e)].empty(); ++n) {
      if (absl::Status status = weight->read(e * outputs + n, 1, row.data()); !status.ok())
        return status;
      for (const int64_t place : places[static_cast<size_t>(e)]) {
        const int64_t t = place / choices, j = place % choices;
        const S *from = x[t] + (op.readsBlocks() ? j * inputs : 0);
        S sum = 0;
        for (int64_t k = 0; k < inputs; ++k)
          sum += from[k] * static_cast<S>(row[static_cast<size_t>(k)]);
        if (bias)
          sum += static_cast<S>((*bias)[static_cast<size_t>(e * outputs + n)]);
        y[t][j * outputs + n] = sum;
      }
    }
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

template <class S> absl::Status eval_combine(Frame<S> &frame, CombineOp op) {
  const Rows<S> &x = frame.rows(op.getInput());
  const Rows<S> &weights = frame.rows(op.getWeights());
  Rows<S> y(x.rows, colsOf(op.getType()));
  for (int64_t t = 0; t < y.rows; ++t)
    for (int64_t j = 0; j < weights.cols; ++j)
      for (int64_t n = 0; n < y.cols; ++n)
        y[t][n] += weights[t][j] * x[t][j * y.cols + n];
  frame.set_rows(op.getResult(), std::move(y));
  return absl::OkStatus();
}

} // namespace

template <class S> void add_expert_evals(EvalTable<S> &table) {
  table.template add<RouteOp, eval_route<S>>();
  table.template add<ExpertLinearOp, eval_expert_linear<S>>();
  table.template add<CombineOp, eval_combine<S>>();
}
QUERN_INSTANTIATE_EVALS(add_expert_evals)

} // namespace quern::reference
