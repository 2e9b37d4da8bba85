#include "runtime/session/Sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

namespace quern::session {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

SamplerOptions plain() {
  return {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .repeat_penalty = 1};
}

Sampler make(const SamplerOptions &options, uint32_t vocab) {
  auto sampler = Sampler::create(options, vocab);
  EXPECT_TRUE(sampler.ok()) << sampler.status();
  return *std::move(sampler);
}

// How often each of `vocab` tokens is drawn in 20000.
std::vector<double> frequencies(const SamplerOptions &options, std::span<const float> logits) {
  Sampler sampler = make(options, static_cast<uint32_t>(logits.size()));
  std::vector<double> counts(logits.size());
  for (int i = 0; i < 20000; ++i)
    counts[*sampler.sample(logits, {})] += 1.0 / 20000;
  return counts;
}

// Tests greedy choice: ties go to the lower id, NaN is never chosen, nor -inf where there is a
// number.
TEST(Sampler, GreedyTakesTheHighest) {
  for (float penalty : {1.0f, 1.0001f}) { // both code paths
    Sampler sampler = make({.temperature = 0, .repeat_penalty = penalty}, 4);
    EXPECT_EQ(*sampler.sample(std::array{1.f, 3.f, 3.f, 2.f}, {}), 1);
    EXPECT_EQ(*sampler.sample(std::array{kNan, -5.f, kNan, -4.f}, {}), 3);
    EXPECT_EQ(*sampler.sample(std::array{-kInf, -kInf, -1e30f, kNan}, {}), 2);
    EXPECT_EQ(*sampler.sample(std::array{1.f, kInf, 2.f, kNan}, {}), 1);
    EXPECT_FALSE(sampler.sample(std::array{kNan, kNan, kNan, kNan}, {}).ok());
    EXPECT_FALSE(sampler.sample(std::array{-kInf, kNan, -kInf, -kInf}, {}).ok());
  }
}

// Tests that draws follow softmax, at two temperatures.
TEST(Sampler, DrawsFollowTheSoftmax) {
  const std::vector<float> logits = {0, 1, 2, kNan, -kInf};
  for (float temperature : {1.0f, 0.5f}) {
    SamplerOptions options = plain();
    options.temperature = temperature;
    const auto counts = frequencies(options, logits);
    double total = 0;
    for (int i = 0; i < 3; ++i)
      total += std::exp(logits[i] / temperature);
    for (int i = 0; i < 3; ++i) // 5 standard deviations of 20000 draws
      EXPECT_NEAR(counts[i], std::exp(logits[i] / temperature) / total, 0.018);
    EXPECT_EQ(counts[3] + counts[4], 0);
  }
}

TEST(Sampler, FiltersCutTheTail) {
  const std::vector<float> logits = {std::log(.5f), std::log(.3f), std::log(.15f), std::log(.05f)};
  SamplerOptions options = plain();
  options.top_k = 2;
  EXPECT_EQ(frequencies(options, logits)[2], 0);
  options = plain();
  options.top_p = 0.75f; // .5 + .3 reach it
  EXPECT_GT(frequencies(options, logits)[1], 0);
  EXPECT_EQ(frequencies(options, logits)[2], 0);
  options = plain();
  options.min_p = 0.2f; // of .5
  EXPECT_GT(frequencies(options, logits)[2], 0);
  EXPECT_EQ(frequencies(options, logits)[3], 0);
  options.top_k = 1;
  EXPECT_EQ(frequencies(options, logits)[1], 0);
}

// Tests that how candidates are made changes no answer: top-k of 0 and of the whole vocabulary cut
// nothing, each in its own way.
TEST(Sampler, TopKOfAllIsNoTopK) {
  std::vector<float> logits(500);
  for (size_t i = 0; i < logits.size(); ++i)
    logits[i] = 4 * std::sin(static_cast<float>(i * i));
  for (float top_p : {0.3f, 0.9f, 0.99f, 1.0f}) {
    SamplerOptions options = plain();
    options.top_p = top_p;
    options.seed = 3;
    Sampler none = make(options, 500);
    options.top_k = 500;
    Sampler all = make(options, 500);
    for (int i = 0; i < 500; ++i)
      ASSERT_EQ(*none.sample(logits, {}), *all.sample(logits, {})) << top_p;
  }
}

TEST(Sampler, PenaltyTurnsAwayFromTheRecent) {
  SamplerOptions options = plain();
  options.temperature = 0;
  options.repeat_penalty = 2;
  options.repeat_last = 2;
  Sampler sampler = make(options, 3);
  const std::array<float, 3> logits = {3, 2, -1};
  EXPECT_EQ(*sampler.sample(logits, std::array{0, 2}), 1);
  EXPECT_EQ(*sampler.sample(logits, std::array{0, 2, 2}), 0); // too long ago
  EXPECT_EQ(*sampler.sample(logits, std::array{-7, 1000}), 0);
}

// Tests that a seed is an answer: the same draws again, others with another. The literal draws are
// part of the contract: they may not change from build to build.
TEST(Sampler, SeedsReproduce) {
  const std::vector<float> logits(50, 0.0f);
  auto draws = [&](uint64_t seed) {
    SamplerOptions options = plain();
    options.seed = seed;
    Sampler sampler = make(options, 50);
    std::vector<int32_t> tokens;
    for (int i = 0; i < 6; ++i)
      tokens.push_back(*sampler.sample(logits, {}));
    return tokens;
  };
  EXPECT_EQ(draws(1), draws(1));
  EXPECT_NE(draws(1), draws(2));
  // SplitMix64 from seed 0 begins 0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f.
  std::vector<int32_t> first = draws(0);
  first.resize(3);
  EXPECT_THAT(first, testing::ElementsAre(44, 21, 1));
}

// Tests that a bias of -infinity bans, also what is infinitely likely.
TEST(Sampler, BiasBans) {
  SamplerOptions options = plain();
  options.logit_bias = {{1, -kInf}, {2, 3}};
  for (float temperature : {0.0f, 1.0f}) {
    options.temperature = temperature;
    Sampler sampler = make(options, 3);
    EXPECT_EQ(*sampler.sample(std::array{-kInf, kInf, 0.f}, {}), 2);
  }
}

// Tests mirostat's promise: the mean surprise of what is drawn comes to tau. And its state: draws
// are again the same from the same seed.
TEST(Sampler, MirostatHoldsTheSurprise) {
  std::vector<float> logits;
  double total = 0;
  for (int i = 0; i < 500; ++i) {
    logits.push_back(-1.1f * std::log(i + 1.0f)); // Zipf, as words are
    total += std::exp(logits.back());
  }
  for (float tau : {3.5f, 4.5f}) {
    SamplerOptions options = plain();
    options.mirostat = 2;
    options.mirostat_entropy = tau;
    Sampler sampler = make(options, 500), again = make(options, 500);
    double mean = 0;
    for (int i = 0; i < 2000; ++i) {
      const int32_t token = *sampler.sample(logits, {});
      EXPECT_EQ(token, *again.sample(logits, {}));
      mean -= std::log2(std::exp(logits[token]) / total) / 2000;
    }
    EXPECT_NEAR(mean, tau, 0.05);
  }
}

// Tests every stage at once on logits with holes: always a token that is a number, and the same
// one from the same seed.
TEST(Sampler, AllStagesTogether) {
  SamplerOptions options;
  options.repeat_penalty = 1.3f;
  options.frequency_penalty = 0.2f;
  options.presence_penalty = -0.1f;
  options.typical_p = 0.9f;
  options.dry.multiplier = 0.8f;
  options.dry_breakers = {3, -1, 99};
  options.logit_bias = {{0, 2}, {5, -kInf}};
  for (int mirostat : {0, 2}) {
    options.mirostat = mirostat;
    Sampler sampler = make(options, 40), again = make(options, 40);
    std::vector<int32_t> history = {-3, 1000};
    std::vector<float> logits(40);
    for (int i = 0; i < 300; ++i) {
      for (int j = 0; j < 40; ++j)
        logits[j] = (i + j) % 7 == 0 ? kNan : std::sin(static_cast<float>(i * j));
      const int32_t token = *sampler.sample(logits, history);
      ASSERT_EQ(token, *again.sample(logits, history));
      ASSERT_FALSE(std::isnan(logits[token]));
      ASSERT_NE(token, 5);
      history.push_back(token);
    }
  }
}

TEST(Sampler, RefusesNonsense) {
  auto refused = [](auto change) {
    SamplerOptions options;
    change(options);
    return !Sampler::create(options, 10).ok();
  };
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.temperature = -1; }));
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.temperature = kNan; }));
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.top_k = -1; }));
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.top_p = 0; }));
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.min_p = 1.5f; }));
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.repeat_penalty = 0; }));
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.repeat_last = -1; }));
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.frequency_penalty = kNan; }));
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.presence_penalty = kInf; }));
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.typical_p = 0; }));
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.dry.multiplier = -1; }));
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.dry.base = 0.5f; }));
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.dry.allowed_length = -1; }));
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.mirostat = 1; }));
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.mirostat_rate = 2; }));
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.mirostat_entropy = kInf; }));
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.logit_bias = {{10, 1}}; }));
  EXPECT_TRUE(refused([](SamplerOptions &o) { o.logit_bias = {{1, kInf}}; }));
}

} // namespace
} // namespace quern::session
