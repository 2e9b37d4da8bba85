// Mixtures of experts against formulas written here, in float64 and float32.
#include "tests/ir/reference/TestModule.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace quern::reference {
namespace {

const std::vector<int32_t> kTokens = {3, 11, 0, 7, 7};
const Batch kBatch = {{{0, 0, kTokens}}, {}};

/// A module whose result is the token's weights, each at its expert's column: `route` reads %x.
std::string route_text(int64_t experts, int64_t chosen, const std::string &score,
                       const std::string &attributes, bool bias = false) {
  const std::string e = std::to_string(experts), k = std::to_string(chosen);
  std::string body = "%one = quern.weight_ref @one : !quern.weight<" + e + "x" + e + "x" + e +
                     ", \"f32\">\n%z = quern.scale %x {factor = 0.0 : f32} : !T" + e + "\n";
  std::string operands = "%x", types = "!T" + e;
  if (bias) {
    body += "%b = quern.weight_ref @b : !quern.weight<" + e + ", \"f32\">\n";
    operands += ", %b";
    types += ", !quern.weight<" + e + ", \"f32\">";
  }
  const std::string ids = "tensor<?x" + k + "xi32, #quern.dims<\"T\">>";
  // An expert's bias is 1 at its own column: the sum is the weights by expert.
  body += "%ids, %w = quern.route " + score + " " + operands + " {top_k = " + k + " : i64" +
          attributes + "} : (" + types + ") -> (" + ids + ", !T" + k + ")\n" +
          "%u = quern.weight_ref @unit : !quern.weight<" + e + "x" + e + ", \"f32\">\n" +
          "%p = quern.expert_linear %z, %ids, %one, %u : (!T" + e + ", " + ids +
          ", !quern.weight<" + e + "x" + e + "x" + e + ", \"f32\">, !quern.weight<" + e + "x" + e +
          ", \"f32\">) -> !T" + std::to_string(experts * chosen) +
          "\n%y = quern.combine %p, %w : (!T" + std::to_string(experts * chosen) + ", !T" + k +
          ") -> !T" + e;
  return step_text(experts, experts,
                   weight_text("one", e + "x" + e + "x" + e) + weight_text("unit", e + "x" + e) +
                       (bias ? weight_text("b", e) : ""),
                   body, {chosen, experts * chosen});
}

struct Choice {
  std::vector<int> ids;
  std::vector<double> weights;
};

/// What a router makes of a row, by sorting.
Choice choose(const std::vector<double> &scores, std::vector<double> choice, int chosen) {
  std::vector<int> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int a, int b) {
    const double x = choice[static_cast<size_t>(a)], y = choice[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  });
  Choice made;
  made.ids.assign(order.begin(), order.begin() + chosen);
  std::sort(made.ids.begin(), made.ids.end());
  for (const int e : made.ids)
    made.weights.push_back(scores[static_cast<size_t>(e)]);
  return made;
}

/// The sum over a token's experts of its weight times that expert's row of @unit.
Matrix by_expert(const std::vector<Choice> &choices, int64_t experts) {
  const Matrix unit = synthetic("unit", experts, experts);
  Matrix y(static_cast<int64_t>(choices.size()), experts);
  for (int64_t t = 0; t < y.rows; ++t) {
    const Choice &made = choices[static_cast<size_t>(t)];
    for (size_t j = 0; j < made.ids.size(); ++j)
      for (int64_t n = 0; n < experts; ++n)
        y.at(t, n) += made.weights[j] * unit.at(made.ids[j], n);
  }
  return y;
}

std::vector<double> row_of(const Matrix &x, int64_t t) {
  std::vector<double> row;
  for (int64_t c = 0; c < x.cols; ++c)
    row.push_back(x.at(t, c));
  return row;
}
std::vector<double> softmax(std::vector<double> x) {
  double sum = 0;
  for (double &value : x)
    sum += value = std::exp(value);
  for (double &value : x)
    value /= sum;
  return x;
}
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST(ExpertsTest, SoftmaxOverAllAndWeightsOverTheirSum) {
  const Matrix x = lookup(kTokens, 6);
  std::vector<Choice> choices;
  for (int64_t t = 0; t < x.rows; ++t) {
    const std::vector<double> scores = softmax(row_of(x, t));
    choices.push_back(choose(scores, scores, 2));
    const double sum = choices.back().weights[0] + choices.back().weights[1];
    for (double &w : choices.back().weights)
      w = w / sum * 1.5;
  }
  expect_step(route_text(6, 2, "softmax", ", normalize = 1 : i64, scale = 1.5 : f32"), kBatch,
              by_expert(choices, 6));
}

TEST(ExpertsTest, SoftmaxOverTheChosen) {
  const Matrix x = lookup(kTokens, 6);
  std::vector<Choice> choices;
  for (int64_t t = 0; t < x.rows; ++t) {
    choices.push_back(choose(row_of(x, t), row_of(x, t), 3));
    choices.back().weights = softmax(choices.back().weights);
  }
  expect_step(route_text(6, 3, "chosen", ""), kBatch, by_expert(choices, 6));
}

TEST(ExpertsTest, SigmoidsCorrectedForTheChoiceAloneInGroups) {
  const Matrix x = lookup(kTokens, 8), bias = synthetic("b", 1, 8);
  std::vector<Choice> choices;
  for (int64_t t = 0; t < x.rows; ++t) {
    std::vector<double> scores = row_of(x, t), choice;
    for (size_t e = 0; e < 8; ++e) {
      scores[e] = sigmoid(scores[e]);
      choice.push_back(scores[e] + bias.at(0, static_cast<int64_t>(e)));
    }
    // Of four groups of two the two best, a group by the sum of both.
    std::vector<double> groups;
    for (size_t g = 0; g < 4; ++g)
      groups.push_back(choice[2 * g] + choice[2 * g + 1]);
    std::vector<double> sorted = groups;
    std::sort(sorted.begin(), sorted.end());
    for (size_t e = 0; e < 8; ++e)
      if (groups[e / 2] < sorted[2])
        choice[e] = -1e30;
    choices.push_back(choose(scores, choice, 3));
    double sum = 0;
    for (const double w : choices.back().weights)
      sum += w * w;
    for (double &w : choices.back().weights)
      w = w / (std::sqrt(sum) + 0.25) * 2;
  }
  expect_step(
      route_text(8, 3, "sigmoid",
                 ", groups = 4 : i64, top_groups = 2 : i64, group_top = 2 : i64, normalize = "
                 "2 : i64, eps = 0.25 : f32, scale = 2.0 : f32",
                 true),
      kBatch, by_expert(choices, 8));
}

TEST(ExpertsTest, EqualScoresGoToTheLowerNumber) {
  // All logits are 0: experts 0 and 1, with a sixth each.
  std::string text = route_text(6, 2, "softmax", "");
  text.replace(text.find("quern.route softmax %x"), 22, "quern.route softmax %z");
  expect_step(text, kBatch,
              by_expert(std::vector<Choice>(kTokens.size(), {{0, 1}, {1.0 / 6, 1.0 / 6}}), 6));
}

TEST(ExpertsTest, EachExpertHasABlockOfInputsAndOfResults) {
  // Experts 0 and 2 of three, by a router whose logits are what its bias says.
  const Matrix x = lookup(kTokens, 10), w = synthetic("w", 3 * 4, 5), b = synthetic("b", 3, 4);
  const std::string ids = "tensor<?x2xi32, #quern.dims<\"T\">>";
  const std::string body = R"(%z = quern.weight_ref @z : !quern.weight<3x10, "f32">
%zb = quern.weight_ref @zb : !quern.weight<3, "f32">
%l = quern.linear %x, %z : (!T10, !quern.weight<3x10, "f32">) -> !T3
%i, %g = quern.route softmax %l, %zb {top_k = 2 : i64} : (!T3, !quern.weight<3, "f32">) -> ()" +
                           ids + R"(, !T2)
%w = quern.weight_ref @w : !quern.weight<3x4x5, "f32">
%b = quern.weight_ref @b : !quern.weight<3x4, "f32">
%y = quern.expert_linear %x, %i, %w, %b : (!T10, )" +
                           ids +
                           R"(, !quern.weight<3x4x5, "f32">, !quern.weight<3x4, "f32">) -> !T8)";
  // Which two they are the bias decides, which is far larger than any score.
  const Matrix zb = synthetic("zb", 1, 3, 100.0f);
  std::vector<int> order = {0, 1, 2};
  std::sort(order.begin(), order.end(), [&](int a, int c) { return zb.at(0, a) > zb.at(0, c); });
  std::vector<int> chosen = {std::min(order[0], order[1]), std::max(order[0], order[1])};
  Matrix y(5, 8);
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t j = 0; j < 2; ++j)
      for (int64_t n = 0; n < 4; ++n) {
        const int e = chosen[static_cast<size_t>(j)];
        y.at(t, 4 * j + n) = b.at(e, n);
        for (int64_t k = 0; k < 5; ++k)
          y.at(t, 4 * j + n) += x.at(t, 5 * j + k) * w.at(4 * e + n, k);
      }
  expect_step(step_text(10, 8,
                        weight_text("w", "3x4x5") + weight_text("b", "3x4") +
                            weight_text("z", "3x10", 0.0f) + weight_text("zb", "3", 100.0f),
                        body, {2, 3}),
              kBatch, y);
}

TEST(ExpertsTest, CombineAddsWeightedBlocks) {
  const Matrix x = lookup(kTokens, 12);
  Matrix y(5, 4);
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t n = 0; n < 4; ++n)
      for (int64_t j = 0; j < 3; ++j)
        y.at(t, n) += x.at(t, 2 + j) * x.at(t, 4 * j + n);
  expect_step(step_text(12, 4, "",
                        R"(%w = quern.slice %x {offset = 2 : i64} : !T12 -> !T3
%y = quern.combine %x, %w : (!T12, !T3) -> !T4)",
                        {3}),
              kBatch, y);
}

TEST(ExpertsTest, SlicesOfGroups) {
  const Matrix x = lookup(kTokens, 12);
  Matrix y(5, 6);
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t g = 0; g < 3; ++g)
      for (int64_t c = 0; c < 2; ++c)
        y.at(t, 2 * g + c) = x.at(t, 4 * g + 1 + c);
  expect_step(step_text(12, 6, "",
                        "%y = quern.slice %x {groups = 3 : i64, offset = 1 : i64} : !T12 -> !T6"),
              kBatch, y);
}

TEST(ExpertsTest, AGatedActivationWithLimitAlphaAndShift) {
  const Matrix x = lookup(kTokens, 8);
  Matrix y(5, 4);
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t c = 0; c < 4; ++c) {
      const double gate = std::min(x.at(t, c), 0.5), up = std::clamp(x.at(t, 4 + c), -0.5, 0.5);
      y.at(t, c) = gate * sigmoid(1.5 * gate) * (up + 1);
    }
  expect_step(step_text(8, 4, "",
                        R"(%g = quern.slice %x {offset = 0 : i64} : !T8 -> !T4
%u = quern.slice %x {offset = 4 : i64} : !T8 -> !T4
%y = quern.gated_act silu %g, %u {limit = 0.5 : f32, alpha = 1.5 : f32, shift = 1.0 : f32} : !T4)"),
              kBatch, y);
}

TEST(ExpertsTest, WeightsAreJoinedAndTurnedExpertByExpert) {
  // [2, 3, 5] and [2, 5, 3] turned become [2, 6, 5].
  const Matrix a = synthetic("a", 6, 5), b = synthetic("b", 10, 3), x = lookup(kTokens, 5);
  Matrix y(5, 12);
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t e = 0; e < 2; ++e)
      for (int64_t n = 0; n < 6; ++n)
        for (int64_t k = 0; k < 5; ++k)
          y.at(t, 6 * e + n) += x.at(t, k) * (n < 3 ? a.at(3 * e + n, k) : b.at(5 * e + k, n - 3));
  expect_step(step_text(5, 12, weight_text("a", "2x3x5") + weight_text("b", "2x5x3"),
                        R"(%a = quern.weight_ref @a : !quern.weight<2x3x5, "f32">
%b = quern.weight_ref @b : !quern.weight<2x5x3, "f32">
%c = quern.weight_transpose %b : !quern.weight<2x5x3, "f32"> -> !quern.weight<2x3x5, "f32">
%d = quern.weight_concat %a, %c {axis = 1 : i64} : (!quern.weight<2x3x5, "f32">, !quern.weight<2x3x5, "f32">) -> !quern.weight<2x6x5, "f32">
%e = quern.weight_reshape %d : !quern.weight<2x6x5, "f32"> -> !quern.weight<12x5, "f32">
%y = quern.linear %x, %e : (!T5, !quern.weight<12x5, "f32">) -> !T12)"),
              kBatch, y);
}

} // namespace
} // namespace quern::reference
