#include "ir/symbols/Bounds.h"

#include "tests/ir/symbols/RandomDims.h"

#include <gtest/gtest.h>

namespace quern::symbols {
namespace {

// Tests that no value lies outside of its bounds, and that none is taken to be at least 0 that is
// not.
TEST(Bounds, HoldEveryValue) {
  test::RandomDims random(3);
  const Maxima maxima = {{"b", 40}, {"s", 40}, {"t", 40}};
  int proven = 0;
  for (int i = 0; i < 4000; ++i) {
    const test::Meant meant = random.next(3);
    if (!meant.dim.valid())
      continue;
    const Interval interval = bounds(meant.dim, maxima), open = bounds(meant.dim);
    const bool non_negative = is_non_negative(meant.dim);
    proven += non_negative;
    for (int k = 0; k < 8; ++k) {
      const int64_t value = meant.value(random.sizes());
      EXPECT_LE(interval.low, value) << meant.dim.text();
      EXPECT_GE(interval.high, value) << meant.dim.text();
      EXPECT_LE(open.low, value) << meant.dim.text();
      EXPECT_GE(open.high, value) << meant.dim.text();
      EXPECT_TRUE(!non_negative || value >= 0) << meant.dim.text() << " = " << value;
    }
  }
  EXPECT_GT(proven, 1000);
}

TEST(Bounds, AreThoseOfShapes) {
  const Maxima maxima = {{"b", 16}, {"s", 512}};
  EXPECT_EQ(bounds(*parse_dim("b*s*768"), maxima), (Interval{0, 16 * 512 * 768}));
  EXPECT_EQ(bounds(*parse_dim("ceildiv(s, 8)"), maxima), (Interval{0, 64}));
  EXPECT_EQ(bounds(Dim::symbol("s")), (Interval{0, Interval::kNoHigh}));
  EXPECT_EQ(bounds(Dim::symbol("s") * Dim(INT64_MAX), maxima).high, Interval::kNoHigh);
  for (const char *text : {"s - s//2", "s - min(s, 5)", "b*min(512, s)", "8*ceildiv(s, 8) - s",
                           "max(s - 1, 0)", "b*s - b*floordiv(s, 3)"})
    EXPECT_TRUE(is_non_negative(*parse_dim(text))) << text;
  for (const char *text : {"s - 1", "s - t", "floordiv(s, 2) - 1"})
    EXPECT_FALSE(is_non_negative(*parse_dim(text))) << text;
}

} // namespace
} // namespace quern::symbols
