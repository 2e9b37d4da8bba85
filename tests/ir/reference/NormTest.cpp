// Layer normalization against its formula, in float64 and float32.
#include "tests/ir/reference/TestModule.h"

#include <cmath>

namespace quern::reference {
namespace {

const std::vector<int32_t> kTokens = {3, 11, 0, 7};
const Batch kBatch = {{{0, 0, kTokens}}, {}};

/// Layer normalization of `group` columns at a time; `w` and `b` may be empty.
Matrix layer_norm(const Matrix &x, const std::vector<double> &w, const std::vector<double> &b,
                  double eps, int64_t group) {
  Matrix y = x;
  for (int64_t t = 0; t < x.rows; ++t)
    for (int64_t c = 0; c < x.cols; ++c) {
      const int64_t begin = c / group * group;
      double mean = 0, square = 0;
      for (int64_t i = begin; i < begin + group; ++i) {
        mean += x.at(t, i) / static_cast<double>(group);
        square += x.at(t, i) * x.at(t, i) / static_cast<double>(group);
      }
      const auto col = static_cast<size_t>(c);
      y.at(t, c) = (x.at(t, c) - mean) / std::sqrt(square - mean * mean + eps) *
                       (w.empty() ? 1 : w[col % w.size()]) +
                   (b.empty() ? 0 : b[col % b.size()]);
    }
  return y;
}

TEST(NormTest, LayerNormOfRows) {
  expect_step(step_text(24, 24, weight_text("w", "24", 0.5f, 1) + weight_text("b", "24"),
                        R"(%w = quern.weight_ref @w : !quern.weight<24, "f32">
%b = quern.weight_ref @b : !quern.weight<24, "f32">
%y = quern.layer_norm %x weight %w bias %b {eps = 0.25 : f32} : (!T24, !quern.weight<24, "f32">, !quern.weight<24, "f32">) -> !T24)"),
              kBatch,
              layer_norm(lookup(kTokens, 24), synthetic("w", 1, 24, 0.5f, 1).values,
                         synthetic("b", 1, 24).values, 0.25, 24));
}

TEST(NormTest, LayerNormOfGroupsWithAWeightForAllColumns) {
  expect_step(step_text(24, 24, weight_text("w", "24", 0.5f, 1),
                        R"(%w = quern.weight_ref @w : !quern.weight<24, "f32">
%y = quern.layer_norm %x weight %w {eps = 0.125 : f32, group = 8 : i64} : (!T24, !quern.weight<24, "f32">) -> !T24)"),
              kBatch,
              layer_norm(lookup(kTokens, 24), synthetic("w", 1, 24, 0.5f, 1).values, {}, 0.125, 8));
}

TEST(NormTest, LayerNormOfGroupsThatShareABias) {
  expect_step(step_text(24, 24, weight_text("b", "8"),
                        R"(%b = quern.weight_ref @b : !quern.weight<8, "f32">
%y = quern.layer_norm %x bias %b {eps = 0.125 : f32, group = 8 : i64} : (!T24, !quern.weight<8, "f32">) -> !T24)"),
              kBatch, layer_norm(lookup(kTokens, 24), {}, synthetic("b", 1, 8).values, 0.125, 8));
}

TEST(NormTest, LayerNormWithoutWeights) {
  expect_step(step_text(24, 24, "", "%y = quern.layer_norm %x {eps = 0.5 : f32} : (!T24) -> !T24"),
              kBatch, layer_norm(lookup(kTokens, 24), {}, {}, 0.5, 24));
}

// Tests that a mean far from zero takes no digits of the variance, as it does where that is made
// from the mean of squares: rows of 1000 + x in float32.
TEST(NormTest, LayerNormTakesTheMeanAwayFirst) {
  const std::string text = step_text(24, 24, weight_text("m", "24", 0.0f, 1000),
                                     R"(%m = quern.weight_ref @m : !quern.weight<24, "f32">
%s = quern.binary add %x, %m : !T24, !quern.weight<24, "f32">
%y = quern.layer_norm %s {eps = 0.0 : f32} : (!T24) -> !T24)");
  TestModule module(text);
  ReferenceState state;
  const auto output = module.interpreter({.float64 = false})->step(kBatch, state);
  ASSERT_TRUE(output.ok()) << output.status();
  const Matrix want = layer_norm(lookup(kTokens, 24), {}, {}, 0, 24);
  for (size_t i = 0; i < want.values.size(); ++i)
    EXPECT_NEAR(output->values[i], want.values[i], 2e-4); // x was rounded to 1000's ulp, 6e-5
}

} // namespace
} // namespace quern::reference
