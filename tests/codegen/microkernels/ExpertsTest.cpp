// Tests that experts are chosen, and their rows found, as they are described, with the same bits in
// every build.
#include "tests/codegen/microkernels/Support.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace quern::native {
namespace {

struct Choice {
  std::vector<int32_t> ids;
  std::vector<float> weights;
};

Choice route(const Kernels &k, const std::vector<float> &logits, const std::vector<float> &bias,
             QkRoute of) {
  const auto experts = static_cast<int64_t>(logits.size());
  std::vector<float> numbers(static_cast<size_t>(2 * experts + of.groups));
  std::vector<int32_t> marks(static_cast<size_t>(experts + of.groups));
  Choice choice{std::vector<int32_t>(static_cast<size_t>(of.top_k)),
                std::vector<float>(static_cast<size_t>(of.top_k))};
  of.logits = logits.data();
  of.bias = bias.empty() ? nullptr : bias.data();
  of.experts = experts;
  of.numbers = numbers.data();
  of.marks = marks.data();
  of.ids = choice.ids.data();
  of.weights = choice.weights.data();
  k.qk_route(&of);
  return choice;
}

QkRoute plain(int64_t top_k, int64_t score) {
  QkRoute of{};
  of.top_k = top_k;
  of.score = score;
  of.groups = of.top_groups = of.group_top = 1;
  of.scale = 1;
  return of;
}

TEST(Experts, TheLargestAreChosenAndOfEqualOnesThoseOfLowerNumber) {
  const std::vector<float> logits = {0, 2, 1, 2, -1, 1};
  for (const Build &build : usable_builds()) {
    const Choice choice = route(*build.kernels, logits, {}, plain(3, 0));
    EXPECT_EQ(choice.ids, (std::vector<int32_t>{1, 2, 3})) << build.name;
    double sum = 0;
    for (const float logit : logits)
      sum += std::exp(double{logit});
    EXPECT_NEAR(choice.weights[1], std::exp(1.0) / sum, 1e-6) << build.name;
  }
}

TEST(Experts, ScoresAreSigmoidsOrSoftmaxOfTheChosenDividedAndScaled) {
  const std::vector<float> logits = {0.5f, -2, 1, 3};
  QkRoute of = plain(2, 1);
  of.normalize = 2;
  of.eps = 0.5f;
  of.scale = 3;
  const double a = 1 / (1 + std::exp(-1.0)), b = 1 / (1 + std::exp(-3.0));
  for (const Build &build : usable_builds()) {
    Choice choice = route(*build.kernels, logits, {}, of);
    EXPECT_EQ(choice.ids, (std::vector<int32_t>{2, 3})) << build.name;
    EXPECT_NEAR(choice.weights[0], 3 * a / (std::sqrt(a * a + b * b) + 0.5), 1e-6) << build.name;
    choice = route(*build.kernels, logits, {0, 9, 0, 0}, plain(2, 2));
    EXPECT_EQ(choice.ids, (std::vector<int32_t>{1, 3})) << build.name;
    EXPECT_NEAR(choice.weights[0], std::exp(-2.0) / (std::exp(-2.0) + std::exp(3.0)), 1e-7)
        << build.name;
  }
}

TEST(Experts, OfGroupsTheBestAreOpen) {
  // Groups of three; by the sum of their two best the last and the first.
  const std::vector<float> logits = {3, 2, -9, 4, 0, -9, 4.5f, 2, -9};
  QkRoute of = plain(4, 2);
  of.groups = 3;
  of.top_groups = of.group_top = 2;
  for (const Build &build : usable_builds())
    EXPECT_EQ(route(*build.kernels, logits, {}, of).ids, (std::vector<int32_t>{0, 1, 6, 7}))
        << build.name;
}

// Tests that ids are such whatever the logits are: they become addresses.
TEST(Experts, OfNumbersThatAreNoneDifferentOnesAreChosenAllTheSame) {
  for (const float value : {NAN, INFINITY, -INFINITY})
    for (const int64_t score : {0, 1, 2})
      for (const bool grouped : {false, true}) {
        QkRoute of = plain(3, score);
        if (grouped) {
          of.groups = 4;
          of.top_groups = 2;
          of.group_top = 2;
        }
        for (const Build &build : usable_builds()) {
          const Choice choice =
              route(*build.kernels, std::vector<float>(8, value), {0, 1, 2, 3, 4, 5, 6, 7}, of);
          for (size_t j = 0; j < 3; ++j) {
            EXPECT_GE(choice.ids[j], j == 0 ? 0 : choice.ids[j - 1] + 1) << build.name;
            EXPECT_LT(choice.ids[j], 8) << build.name;
          }
        }
      }
}

TEST(Experts, EveryBuildHasTheSameBits) {
  Random random(3);
  for (const int64_t experts : {5, 60, 128}) {
    const auto logits = random.units(static_cast<int>(experts));
    Choice first;
    for (const Build &build : usable_builds()) {
      QkRoute of = plain(4, 0);
      of.normalize = 1;
      Choice choice = route(*build.kernels, logits, {}, of);
      if (first.ids.empty())
        first = choice;
      EXPECT_EQ(choice.ids, first.ids) << build.name;
      expect_same_bits(choice.weights, first.weights, std::string(build.name));
    }
  }
}

TEST(Experts, RowsOfAnExpertAreFoundInOrderBlockByBlock) {
  Random random(4);
  constexpr int64_t kExperts = 5, kHeight = 4;
  for (const int64_t n : {1, 15, 16, 17, 100}) {
    std::vector<int32_t> ids(static_cast<size_t>(n));
    for (int32_t &id : ids)
      id = static_cast<int32_t>(random.below(kExperts - 1)) + (random.below(2) == 0);
    for (const Build &build : usable_builds()) {
      const Kernels &k = *build.kernels;
      std::vector<int64_t> first(kExperts + 1);
      k.qk_expert_blocks(ids.data(), n, kExperts, kHeight, first.data());
      std::vector<int32_t> places; // of all blocks
      for (int64_t block = 0; block < first[kExperts]; ++block) {
        const int64_t e = k.qk_expert_of_block(first.data(), kExperts, block);
        ASSERT_TRUE(first[e] <= block && block < first[e + 1]) << build.name;
        int32_t found[kHeight];
        const int64_t count =
            k.qk_rows_of_expert(ids.data(), n, e, (block - first[e]) * kHeight, kHeight, found);
        ASSERT_GE(count, 1) << build.name;
        places.insert(places.end(), found, found + count);
        for (int64_t i = 0; i < count; ++i)
          EXPECT_EQ(ids[static_cast<size_t>(found[i])], e) << build.name;
      }
      std::vector<int32_t> want(static_cast<size_t>(n));
      std::iota(want.begin(), want.end(), 0);
      std::sort(want.begin(), want.end(), [&](int32_t a, int32_t b) {
        const int32_t x = ids[static_cast<size_t>(a)], y = ids[static_cast<size_t>(b)];
        return x != y ? x < y : a < b;
      });
      EXPECT_EQ(places, want) << build.name << " n=" << n;
    }
  }
}

TEST(Experts, GatherCopiesRowsThatPlacesShare) {
  const uint8_t rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const int32_t found[] = {5, 0, 3};
  for (const Build &build : usable_builds()) {
    uint8_t to[9] = {};
    build.kernels->qk_gather_rows(rows, 3, found, 3, 2, to);
    EXPECT_TRUE(std::ranges::equal(to, std::vector<uint8_t>{7, 8, 9, 1, 2, 3, 4, 5, 6}))
        << build.name;
  }
}

} // namespace
} // namespace quern::native
