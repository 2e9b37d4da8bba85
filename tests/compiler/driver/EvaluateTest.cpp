#include "compiler/driver/Evaluate.h"

#include <gtest/gtest.h>

#include <cmath>

namespace quern::driver {
namespace {

// Tests that perplexity is the geometric mean of 1/p: two tokens of probability 1/2 and 1/8.
TEST(Score, PerplexityIsTheGeometricMean) {
  Evaluation evaluation;
  const std::vector<float> even = {0, 0};
  score(even, {}, 1, evaluation);
  const std::vector<float> eighth = {std::log(7.0f), 0};
  score(eighth, {}, 1, evaluation);
  EXPECT_EQ(evaluation.tokens, 2u);
  EXPECT_NEAR(evaluation.perplexity(), 4, 1e-6);
  EXPECT_TRUE(evaluation.kl.empty());
}

// Tests KL(reference || model) against its definition, and that a shift of the logits changes
// nothing.
TEST(Score, DivergenceFromTheReference) {
  Evaluation evaluation;
  const std::vector<float> reference = {std::log(0.5f) + 3, std::log(0.25f) + 3,
                                        std::log(0.25f) + 3};
  const std::vector<float> model = {std::log(0.25f), std::log(0.5f), std::log(0.25f)};
  score(model, reference, 0, evaluation);
  score(reference, reference, 0, evaluation);
  ASSERT_EQ(evaluation.kl.size(), 2u);
  EXPECT_NEAR(evaluation.kl[0], 0.25 * std::log(2.0), 1e-6);
  EXPECT_NEAR(evaluation.kl[1], 0, 1e-12);
  EXPECT_EQ(evaluation.top1_equal, 1u);
  EXPECT_NEAR(evaluation.mean_kl(), 0.125 * std::log(2.0), 1e-6);
  EXPECT_EQ(evaluation.max_kl(), evaluation.kl[0]);
  EXPECT_NEAR(evaluation.reference_perplexity(), 2, 1e-6);
}

TEST(Score, QuantilesAreByNearestRank) {
  Evaluation evaluation;
  for (int i = 100; i >= 1; --i)
    evaluation.kl.push_back(i);
  EXPECT_EQ(evaluation.kl_quantile(0.99), 99);
  EXPECT_EQ(evaluation.kl_quantile(0.5), 50);
  EXPECT_EQ(evaluation.kl_quantile(1), 100);
  EXPECT_EQ(evaluation.kl_quantile(0), 1);
  EXPECT_EQ(Evaluation().kl_quantile(0.99), 0);
}

} // namespace
} // namespace quern::driver
