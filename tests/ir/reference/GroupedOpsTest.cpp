// Ops on groups and blocks of columns, on the token before, and latent attention's shared values,
// against formulas written here.
#include "tests/ir/reference/TestModule.h"

#include <cmath>

namespace quern::reference {
namespace {

const std::vector<int32_t> kTokens = {3, 11, 0, 7, 7};
const Batch kBatch = {{{0, 0, kTokens}}, {}};

TEST(GroupedOpsTest, BlockLinearMultipliesEachBlockByItsMatrix) {
  const Matrix x = lookup(kTokens, 15), w = synthetic("w", 3 * 4, 5), b = synthetic("b", 1, 12);
  Matrix y(5, 12);
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t g = 0; g < 3; ++g)
      for (int64_t n = 0; n < 4; ++n) {
        y.at(t, g * 4 + n) = b.at(0, g * 4 + n);
        for (int64_t k = 0; k < 5; ++k)
          y.at(t, g * 4 + n) += x.at(t, g * 5 + k) * w.at(g * 4 + n, k);
      }
  expect_step(step_text(15, 12, weight_text("w", "3x4x5") + weight_text("b", "12"),
                        R"(%w = quern.weight_ref @w : !quern.weight<3x4x5, "f32">
%b = quern.weight_ref @b : !quern.weight<12, "f32">
%y = quern.block_linear %x, %w, %b : (!T15, !quern.weight<3x4x5, "f32">, !quern.weight<12, "f32">) -> !T12)"),
              kBatch, y);
}

TEST(GroupedOpsTest, WeightsOfThreeDimensionsAreTransposedOneByOne) {
  const Matrix x = lookup(kTokens, 12), w = synthetic("w", 3 * 4, 5);
  Matrix y(5, 15);
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t g = 0; g < 3; ++g)
      for (int64_t n = 0; n < 5; ++n)
        for (int64_t k = 0; k < 4; ++k)
          y.at(t, g * 5 + n) += x.at(t, g * 4 + k) * w.at(g * 4 + k, n);
  expect_step(step_text(12, 15, weight_text("w", "3x4x5"),
                        R"(%s = quern.weight_ref @w : !quern.weight<3x4x5, "f32">
%w = quern.weight_transpose %s : !quern.weight<3x4x5, "f32"> -> !quern.weight<3x5x4, "f32">
%y = quern.block_linear %x, %w : (!T12, !quern.weight<3x5x4, "f32">) -> !T15)"),
              kBatch, y);
}

TEST(GroupedOpsTest, ConcatPutsGroupsTogether) {
  const Matrix x = lookup(kTokens, 10);
  Matrix whole(5, 10), grouped(5, 10);
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t c = 0; c < 10; ++c) {
      whole.at(t, c) = x.at(t, c < 4 ? c + 6 : c - 4);
      // Two groups, each two of the last four columns and then three of the first six.
      const int64_t g = c / 5, i = c % 5;
      grouped.at(t, c) = x.at(t, i < 2 ? 6 + g * 2 + i : g * 3 + i - 2);
    }
  const std::string slices = "%a = quern.slice %x {offset = 6 : i64} : !T10 -> !T4\n"
                             "%b = quern.slice %x {offset = 0 : i64} : !T10 -> !T6\n";
  expect_step(
      step_text(10, 10, "", slices + "%y = quern.concat %a, %b : (!T4, !T6) -> !T10", {4, 6}),
      kBatch, whole);
  expect_step(step_text(10, 10, "",
                        slices + "%y = quern.concat %a, %b {groups = 2 : i64} : (!T4, !T6) -> !T10",
                        {4, 6}),
              kBatch, grouped);
}

TEST(GroupedOpsTest, GroupSumAddsNeighbours) {
  const Matrix x = lookup(kTokens, 12);
  Matrix y(5, 3);
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t c = 0; c < 12; ++c)
      y.at(t, c / 4) += x.at(t, c);
  expect_step(step_text(12, 3, "", "%y = quern.group_sum %x : !T12 -> !T3"), kBatch, y);
}

TEST(GroupedOpsTest, StartsAreFirstTokens) {
  TestModule module(step_text(6, 1, "", "%y = quern.starts %batch : !T1"));
  const auto interpreter = module.interpreter();
  ReferenceState state;
  ASSERT_TRUE(interpreter->step({{{0, 0, {3, 11}}}, {0, 1}}, state).ok());
  const auto output = interpreter->step({{{0, 2, {7}}, {1, 0, {7, 2}}}, {0, 1, 2}}, state);
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_EQ(output->values, (std::vector<double>{0, 1, 0}));
}

TEST(GroupedOpsTest, TokenShiftGivesTheTokenBefore) {
  TestModule module(step_text(6, 6, "quern.declare_state @s : !quern.state<window, 6x1>\n",
                              "%s = quern.state_ref @s : !quern.state<window, 6x1>\n"
                              "%y = quern.token_shift %x, %batch, %s : (!T6, !quern.batch, "
                              "!quern.state<window, 6x1>) -> !T6"));
  const auto interpreter = module.interpreter();
  ReferenceState state;
  const Matrix x = lookup({3, 11, 0, 7}, 6);
  // Two sequences, one of which goes on in the next step.
  const auto first = interpreter->step({{{0, 0, {3, 11}}, {1, 0, {7}}}, {}}, state);
  const auto second = interpreter->step({{{0, 2, {0}}}, {}}, state);
  ASSERT_TRUE(first.ok() && second.ok());
  for (int64_t c = 0; c < 6; ++c) {
    EXPECT_EQ(first->at(0, c), 0);
    EXPECT_NEAR(first->at(1, c), x.at(0, c), 1e-12);
    EXPECT_EQ(first->at(2, c), 0);
    EXPECT_NEAR(second->at(0, c), x.at(1, c), 1e-12);
  }
}

TEST(GroupedOpsTest, ScanWalksTheTokens) {
  // A running maximum that a token lowers by a share of what it is given, and the one before it.
  const std::string text =
      step_text(6, 6, "quern.declare_state @s : !quern.state<recurrent, 1x1x3>\n",
                R"(%s = quern.state_ref @s : !quern.state<recurrent, 1x1x3>
%a = quern.slice %x {offset = 0 : i64} : !T6 -> !T3
%d = quern.slice %x {offset = 3 : i64} : !T6 -> !T1
%m, %b = quern.scan %a, %d, %batch, %s : (!T3, !T1, !quern.batch, !quern.state<recurrent, 1x1x3>) -> (!T3, !T3) {
^bb0(%before: !T3, %in: !T3, %less: !T1):
  %0 = quern.binary sub %before, %less {repeat = 3 : i64} : !T3, !T1
  %1 = quern.binary max %0, %in : !T3, !T3
  quern.yield %1, %1, %before : !T3, !T3, !T3
}
%y = quern.concat %m, %b : (!T3, !T3) -> !T6)",
                {1, 3});
  TestModule module(text);
  const auto interpreter = module.interpreter();
  ReferenceState state;
  const std::vector<int32_t> tokens = {3, 11, 0, 7};
  const Matrix x = lookup(tokens, 6);
  // In two steps, beside a sequence of its own.
  const auto first = interpreter->step({{{0, 0, {3, 11}}, {1, 0, {7}}}, {}}, state);
  const auto second = interpreter->step({{{0, 2, {0, 7}}}, {}}, state);
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  for (int64_t c = 0; c < 3; ++c) {
    double most = 0;
    for (int64_t t = 0; t < 4; ++t) {
      const double before = most;
      most = std::fmax(most - x.at(t, 3), x.at(t, c));
      const Output &output = t < 2 ? *first : *second;
      EXPECT_NEAR(output.at(t % 2, c), most, 1e-12);
      EXPECT_NEAR(output.at(t % 2, 3 + c), before, 1e-12);
    }
    EXPECT_NEAR(first->at(2, c), std::fmax(-x.at(3, 3), x.at(3, c)), 1e-12);
  }
}

TEST(GroupedOpsTest, SharedValuesAreTheKeysFirstColumns) {
  // Two query heads over keys of 4 whose first 3 columns are the values; x is queries, then the
  // key.
  const Matrix x = lookup(kTokens, 12);
  Matrix y(5, 6);
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t h = 0; h < 2; ++h) {
      double total = 0;
      std::vector<double> weights;
      for (int64_t j = 0; j <= t; ++j) {
        double score = 0;
        for (int64_t d = 0; d < 4; ++d)
          score += x.at(t, h * 4 + d) * x.at(j, 8 + d);
        weights.push_back(std::exp(0.5 * score));
        total += weights.back();
      }
      for (int64_t j = 0; j <= t; ++j)
        for (int64_t d = 0; d < 3; ++d)
          y.at(t, h * 3 + d) += weights[static_cast<size_t>(j)] / total * x.at(j, 8 + d);
    }
  expect_step(step_text(12, 6, "quern.declare_state @kv : !quern.state<kv, 1x4x3, shared>\n",
                        R"(%kv = quern.state_ref @kv : !quern.state<kv, 1x4x3, shared>
%q = quern.slice %x {offset = 0 : i64} : !T12 -> !T8
%k = quern.slice %x {offset = 8 : i64} : !T12 -> !T4
quern.kv_append %k, %batch, %kv : !T4, !quern.batch, !quern.state<kv, 1x4x3, shared>
%y = quern.attention %q, %batch, %kv {heads = 2 : i64, scale = 0.5 : f32} : (!T8, !quern.batch, !quern.state<kv, 1x4x3, shared>) -> !T6)",
                        {4, 8}),
              kBatch, y);
}

TEST(GroupedOpsTest, BinaryMaxAndDiv) {
  const Matrix x = lookup(kTokens, 6);
  Matrix larger(5, 3), quotient(5, 3);
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t c = 0; c < 3; ++c) {
      larger.at(t, c) = std::fmax(x.at(t, c), x.at(t, 3 + c));
      quotient.at(t, c) = x.at(t, c) / (1 + std::fabs(x.at(t, 3 + c)));
    }
  const std::string slices = "%a = quern.slice %x {offset = 0 : i64} : !T6 -> !T3\n"
                             "%b = quern.slice %x {offset = 3 : i64} : !T6 -> !T3\n";
  expect_step(step_text(6, 3, "", slices + "%y = quern.binary max %a, %b : !T3, !T3"), kBatch,
              larger);
  expect_step(
      step_text(6, 3, weight_text("one", "3", 0, 1), slices + R"(%m = quern.unary abs %b : !T3
%one = quern.weight_ref @one : !quern.weight<3, "f32">
%d = quern.binary add %m, %one : !T3, !quern.weight<3, "f32">
%y = quern.binary div %a, %d : !T3, !T3)"),
      kBatch, quotient);
}

TEST(GroupedOpsTest, LogarithmsOfDecays) {
  EXPECT_NEAR(unary_value(UnaryKind::log_sigmoid, 0), -std::log(2), 1e-15);
  EXPECT_NEAR(unary_value(UnaryKind::log_sigmoid, -40), -40, 1e-12);
  EXPECT_NEAR(unary_value(UnaryKind::log_sigmoid, 40), -std::exp(-40), 1e-30);
  // 1 - a^2 of a = exp(-1e-9) would have lost half of its digits.
  EXPECT_NEAR(unary_value(UnaryKind::one_minus_square_root, -1e-9) / std::sqrt(2e-9), 1, 1e-8);
  EXPECT_NEAR(unary_value(UnaryKind::one_minus_square_root, std::log(0.6)), 0.8, 1e-15);
  EXPECT_EQ(unary_value(UnaryKind::one_minus_square_root, 0), 0);
}

} // namespace
} // namespace quern::reference
