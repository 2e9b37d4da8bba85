// Each stage against its definition, worked out here a second time, the plain way.
#include "runtime/session/SamplerStages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

namespace quern::session::stages {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> random_logits(uint32_t seed, size_t vocab) {
  std::mt19937 random(seed);
  std::vector<float> logits(vocab);
  for (float &logit : logits)
    logit = static_cast<float>(static_cast<int>(random() % 1601) - 800) / 100;
  return logits;
}

std::vector<int32_t> random_tokens(uint32_t seed, size_t count, uint32_t vocab) {
  std::mt19937 random(seed);
  std::vector<int32_t> tokens(count);
  for (int32_t &token : tokens)
    token = static_cast<int32_t>(random() % vocab);
  return tokens;
}

Candidates candidates_of(const std::vector<float> &logits) {
  Candidates candidates;
  for (size_t i = 0; i < logits.size(); ++i)
    candidates.push_back({logits[i], static_cast<int32_t>(i), 0});
  return candidates;
}

std::vector<int32_t> ids(const Candidates &candidates) {
  std::vector<int32_t> result;
  for (const Candidate &candidate : candidates)
    result.push_back(candidate.token);
  return result;
}

std::vector<double> softmax(const std::vector<float> &logits) {
  std::vector<double> p(logits.begin(), logits.end());
  double total = 0;
  for (double &x : p)
    total += x = std::exp(x);
  for (double &x : p)
    x /= total;
  return p;
}

// Ids in the order of `key`, the least first, and the lower id first among equals.
template <typename Key> std::vector<int32_t> sorted_ids(size_t count, Key key) {
  std::vector<int32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int a, int b) { return std::pair(key(a), a) < std::pair(key(b), b); });
  return order;
}

// The fewest of `order` whose p adds up to `mass`.
std::vector<int32_t> fewest(std::vector<int32_t> order, const std::vector<double> &p, double mass) {
  double sum = 0;
  size_t kept = 0;
  while (kept < order.size() && sum < mass)
    sum += p[order[kept++]];
  order.resize(kept);
  return order;
}

TEST(SamplerStages, BiasIsAdded) {
  Candidates candidates = {{1, 0, 0}, {2, 2, 0}, {kInf, 3, 0}}; // 1 was no number
  add_bias(candidates, std::vector<LogitBias>{{2, -0.5f}, {1, 9}, {3, -kInf}, {0, 1}, {0, 1}});
  EXPECT_EQ(candidates[0].logit, 3);
  EXPECT_EQ(candidates[1].logit, 1.5f);
  EXPECT_EQ(candidates[2].logit, -kInf);
}

TEST(SamplerStages, PenaltiesAreTheirFormulas) {
  const Penalties penalties{1.5f, 0.25f, 0.5f};
  Tally tally(30);
  for (uint32_t seed = 0; seed < 20; ++seed) { // the tally is clean each time
    const auto logits = random_logits(seed, 30);
    auto recent = random_tokens(seed, 25, 30);
    Candidates candidates = candidates_of(logits);
    recent.insert(recent.end(), {-1, 30});
    penalize(candidates, recent, penalties, tally);
    for (int v = 0; v < 30; ++v) {
      const auto count = std::count(recent.begin(), recent.end(), v);
      double expected = logits[v];
      if (count > 0)
        expected = (expected > 0 ? expected / 1.5 : expected * 1.5) - 0.25 * count - 0.5;
      EXPECT_NEAR(candidates[v].logit, expected, 1e-5);
    }
  }
}

// Tests DRY against its definition, word for word: for each token, the longest suffix of the
// history that stands somewhere with the token after it and holds no breaker.
TEST(SamplerStages, DryIsItsDefinition) {
  const uint32_t vocab = 5;
  Tally tally(vocab);
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const DryOptions options{0.7f, 1.5f, static_cast<int>(seed % 4)};
    const auto history = random_tokens(seed, 1 + seed, 2 + seed % 4);
    std::vector<uint8_t> breaks(vocab);
    breaks[4] = 1;
    const auto logits = random_logits(seed, vocab);
    Candidates candidates = candidates_of(logits);
    dont_repeat(candidates, history, options, breaks, tally);
    for (int v = 0; v < static_cast<int>(vocab); ++v) {
      int longest = 0;
      for (size_t length = 1; length < history.size(); ++length) {
        std::vector<int32_t> phrase(history.end() - static_cast<int64_t>(length), history.end());
        if (std::find(phrase.begin(), phrase.end(), 4) != phrase.end())
          break;
        phrase.push_back(v);
        if (std::search(history.begin(), history.end(), phrase.begin(), phrase.end()) !=
            history.end())
          longest = static_cast<int>(length);
      }
      const double penalty = longest > 0 && longest >= options.allowed_length
                                 ? 0.7 * std::pow(1.5, longest - options.allowed_length)
                                 : 0;
      EXPECT_NEAR(candidates[v].logit, logits[v] - penalty, 1e-4 * (1 + penalty)) << seed;
    }
  }
}

// Tests that a long repetition neither overflows nor takes long.
TEST(SamplerStages, DryStaysFinite) {
  Tally tally(2);
  Candidates candidates = candidates_of({1, 2});
  dont_repeat(candidates, std::vector<int32_t>(4000, 1), {5, 100, 1}, {}, tally);
  EXPECT_EQ(candidates[0].logit, 1);
  EXPECT_EQ(candidates[1].logit, -1e30f);
}

TEST(SamplerStages, TopKIsTheFirstOfASort) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    auto logits = random_logits(seed, 50);
    for (float &logit : logits)
      logit = std::round(logit); // many equals: the lower id first
    auto order = sorted_ids(50, [&](int i) { return -logits[i]; });
    for (size_t k : {0, 1, 7, 50, 51}) {
      Candidates candidates = candidates_of(logits);
      keep_top_k(candidates, k);
      const size_t kept = k == 0 ? 50 : std::min<size_t>(k, 50);
      EXPECT_EQ(ids(candidates), std::vector(order.begin(), order.begin() + kept));
    }
  }
}

// Logits with equals, NaN, infinities and, where there are many, a few that stand out.
std::vector<float> rough_logits(uint32_t seed, size_t vocab) {
  auto logits = random_logits(seed, vocab);
  for (size_t i = 0; i < vocab; ++i) {
    logits[i] = std::round(logits[i]);
    if (i % 11 == seed % 11)
      logits[i] = std::numeric_limits<float>::quiet_NaN();
    if (i % 13 == 5)
      logits[i] = -kInf;
  }
  if (vocab > 300)
    logits[vocab / 3] = logits[vocab - 1] = 20;
  return logits;
}

TEST(SamplerStages, TheLikeliestAreTheFirstOfASort) {
  for (uint32_t seed = 0; seed < 12; ++seed)
    for (size_t vocab : {1, 2, 63, 64, 65, 129, 500, 3000}) {
      const auto logits = rough_logits(seed, vocab);
      for (size_t k : {1, 2, 7, 40, 100, 5000}) {
        Candidates want, got;
        take_all(logits, want);
        keep_top_k(want, k);
        std::vector<double> scratch(vocab);
        take_likeliest(logits, k, got, scratch);
        EXPECT_EQ(ids(got), ids(want)) << "vocab " << vocab << " k " << k;
      }
    }
}

TEST(SamplerStages, TheNucleusIsTheFirstOfASort) {
  for (uint32_t seed = 0; seed < 12; ++seed)
    for (size_t vocab : {1, 2, 65, 500, 3000}) {
      auto logits = rough_logits(seed, vocab);
      logits[vocab / 2] = 3; // a number, at least
      for (double mass : {0.001, 0.4, 0.9, 0.9999}) {
        std::vector<double> scratch(vocab);
        Candidates want, got;
        take_all(logits, want);
        keep_top_k(want, 0);
        keep_top_p(want, mass, scratch);
        take_nucleus(logits, mass, got, scratch);
        EXPECT_EQ(ids(got), ids(want)) << "vocab " << vocab << " mass " << mass;
      }
      logits[vocab / 2] = kInf;
      std::vector<double> scratch(vocab);
      Candidates got;
      take_nucleus(logits, 0.9, got, scratch);
      EXPECT_EQ(ids(got), std::vector{static_cast<int32_t>(vocab / 2)});
    }
}

TEST(SamplerStages, TheFewestThatReachTheirMass) {
  std::vector<double> scratch(40);
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const auto logits = random_logits(seed, 40);
    const auto p = softmax(logits);
    double entropy = 0;
    for (double x : p)
      entropy -= x * std::log(x);
    for (double mass : {0.05, 0.5, 0.8, 0.97}) {
      Candidates candidates = candidates_of(logits);
      keep_top_k(candidates, 0);
      keep_top_p(candidates, mass, scratch);
      const auto likeliest = sorted_ids(40, [&](int i) { return -p[i]; });
      EXPECT_EQ(ids(candidates), fewest(likeliest, p, mass));

      candidates = candidates_of(logits);
      keep_top_k(candidates, 0);
      keep_typical(candidates, mass, scratch);
      const auto typical =
          sorted_ids(40, [&](int i) { return std::abs(-std::log(p[i]) - entropy); });
      const auto kept = fewest(typical, p, mass);
      EXPECT_THAT(ids(candidates), testing::UnorderedElementsAreArray(kept));
      EXPECT_TRUE(std::is_sorted(candidates.begin(), candidates.end(),
                                 [](auto &a, auto &b) { return a.logit > b.logit; }));
    }
  }
}

TEST(SamplerStages, MinPIsRelativeToTheLikeliest) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const auto logits = random_logits(seed, 40);
    const auto p = softmax(logits);
    const double highest = *std::max_element(p.begin(), p.end());
    for (double ratio : {0.0, 0.001, 0.1, 1.0}) {
      std::set<int32_t> expected;
      for (int i = 0; i < 40; ++i)
        if (p[i] >= ratio * highest * (1 - 1e-12))
          expected.insert(i);
      Candidates candidates = candidates_of(logits);
      keep_top_k(candidates, 0);
      keep_min_p(candidates, ratio);
      EXPECT_THAT(ids(candidates), testing::UnorderedElementsAreArray(expected));
    }
  }
}

TEST(SamplerStages, TemperatureDividesWhatIsBetweenLogits) {
  Candidates candidates = candidates_of({3e38f, -3e38f, 2.9e38f});
  keep_top_k(candidates, 0);
  divide_by_temperature(candidates, 1e-3f);
  EXPECT_EQ(candidates[0].logit, 0);
  EXPECT_EQ(candidates[1].logit, -kInf);
  candidates = candidates_of({5, 2});
  divide_by_temperature(candidates, 0.5f);
  EXPECT_EQ(candidates[0].logit - candidates[1].logit, 6);
}

TEST(SamplerStages, MirostatCutsBySurprise) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const auto logits = random_logits(seed, 40);
    const auto p = softmax(logits);
    for (double mu : {-1.0, 0.5, 3.0, 9.0, 100.0}) {
      Candidates candidates = candidates_of(logits);
      keep_top_k(candidates, 0);
      const float highest = candidates[0].logit;
      std::set<int32_t> expected = {candidates[0].token};
      for (int i = 0; i < 40; ++i)
        if (-std::log2(p[i]) <= mu)
          expected.insert(i);
      const double total = keep_below_surprise(candidates, mu);
      EXPECT_THAT(ids(candidates), testing::UnorderedElementsAreArray(expected));
      for (const Candidate &candidate : candidates)
        EXPECT_NEAR(surprise(candidate, highest, total), -std::log2(p[candidate.token]), 1e-9);
    }
  }
}

// Tests the draw's borders: cumulative p of .5, .8, .95 and 1.
TEST(SamplerStages, DrawInvertsTheCumulativeSum) {
  std::vector<double> scratch(4);
  const Candidates candidates =
      candidates_of({std::log(.5f), std::log(.3f), std::log(.15f), std::log(.05f)});
  auto at = [&](double point) { return draw(candidates, point, scratch).token; };
  EXPECT_EQ(at(0), 0);
  EXPECT_EQ(at(0.4999), 0);
  EXPECT_EQ(at(0.5001), 1);
  EXPECT_EQ(at(0.7999), 1);
  EXPECT_EQ(at(0.8001), 2);
  EXPECT_EQ(at(0.9501), 3);
  EXPECT_EQ(at(0.9999999), 3);
}

} // namespace
} // namespace quern::session::stages
