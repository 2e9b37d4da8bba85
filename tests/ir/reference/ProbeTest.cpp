// Trial batches and the comparison of what they gave.
#include "ir/reference/Probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace quern::reference {
namespace {

using ::testing::HasSubstr;

TEST(ProbeTest, ScenariosAreValidBatchesThatCarryState) {
  for (const Scenario &scenario : scenarios(3, 10)) {
    std::map<int64_t, int64_t> seen;
    bool carried = false;
    for (const Batch &batch : scenario.steps) {
      const auto packed = pack(batch);
      ASSERT_TRUE(packed.ok()) << packed.status();
      for (int32_t token : packed->tokens) {
        EXPECT_GE(token, 0);
        EXPECT_LT(token, 10);
      }
      for (const Sequence &sequence : batch.sequences) {
        EXPECT_EQ(sequence.start, seen[sequence.slot]) << scenario.name;
        carried |= sequence.start > 0;
        seen[sequence.slot] += static_cast<int64_t>(sequence.tokens.size());
      }
    }
    EXPECT_TRUE(carried) << scenario.name;
  }
}

TEST(ProbeTest, TheSeedChoosesTheTokens) {
  auto first = [](uint64_t seed) { return scenarios(seed, 1000)[1].steps[0].sequences[0].tokens; };
  EXPECT_EQ(first(3), first(3));
  EXPECT_NE(first(3), first(4));
}

Probe one_run(std::vector<double> values, const std::string &bucket = "") {
  Probe probe;
  const auto cols = static_cast<int64_t>(values.size());
  probe["step"]["a prompt"] = {{bucket, {{1, cols, std::move(values)}}}};
  return probe;
}

TEST(ProbeTest, DistancesAreInStandardDeviations) {
  const Difference difference = compare(one_run({2, -2, 2, -2}), one_run({2, -2, 3, -2}));
  EXPECT_DOUBLE_EQ(difference.largest, 0.5);
  EXPECT_EQ(difference.where, "entry step, a prompt, step 0, row 0, column 2: 2 became 3");
}

TEST(ProbeTest, RootMeanSquareIsOverAllNumbers) {
  EXPECT_DOUBLE_EQ(compare(one_run({2, -2, 2, -2}), one_run({2, -2, 3, -2})).rms, 0.25);
}

TEST(ProbeTest, EveryBucketIsCompared) {
  Probe after = one_run({2, -2, 2, -2}, "decode");
  after["step"]["a prompt"].push_back({"prefill", {{1, 4, {2, -2, 2, -1}}}});
  EXPECT_THAT(compare(one_run({2, -2, 2, -2}), after).where, HasSubstr("bucket prefill, step 0"));
}

TEST(ProbeTest, NothingCountsAsAChangeLikeNotANumber) {
  const double nan = std::nan(""), infinity = INFINITY;
  EXPECT_EQ(compare(one_run({1, 2}), one_run({1, nan})).largest, infinity);
  EXPECT_EQ(compare(one_run({1, nan}), one_run({1, nan})).largest, 0);
  EXPECT_EQ(compare(one_run({1, infinity}), one_run({1, infinity})).largest, 0);
  EXPECT_EQ(compare(one_run({1, infinity}), one_run({1, -infinity})).largest, infinity);
}

TEST(ProbeTest, WhatIsGoneIsAChange) {
  EXPECT_EQ(compare(one_run({1, 2}), one_run({1, 2, 3})).largest, INFINITY);
  EXPECT_THAT(compare(one_run({1, 2}), {}).where, HasSubstr("entry step is gone"));
  Probe none;
  none["step"] = {};
  EXPECT_EQ(compare(one_run({1, 2}), none).largest, INFINITY);
}

} // namespace
} // namespace quern::reference
