// Slots: independent, truncated where that is possible, copied whole.
#include "ir/reference/ReferenceState.h"

#include <gtest/gtest.h>

namespace quern::reference {
namespace {

TEST(ReferenceStateTest, SlotsBeginEmpty) {
  ReferenceState state;
  EXPECT_EQ(state.tokens(3), 0);
  EXPECT_EQ(state.fixed(3, "s", 4), std::vector<double>(4));
  EXPECT_EQ(state.growing(3, "kv", 2, 3), std::vector<double>(6));
  EXPECT_EQ(state.tokens(3), 0);
}

TEST(ReferenceStateTest, SlotsAreIndependent) {
  ReferenceState state;
  state.fixed(0, "s", 1)[0] = 1;
  state.advance(0, 5);
  EXPECT_EQ(state.fixed(1, "s", 1)[0], 0);
  EXPECT_EQ(state.tokens(1), 0);
  state.reset(0);
  EXPECT_EQ(state.fixed(0, "s", 1)[0], 0);
  EXPECT_EQ(state.tokens(0), 0);
}

TEST(ReferenceStateTest, ForksGoTheirOwnWays) {
  ReferenceState state;
  state.fixed(0, "s", 1)[0] = 1;
  state.advance(0, 5);
  state.fork(0, 7);
  state.fixed(0, "s", 1)[0] = 2;
  state.advance(0, 6);
  EXPECT_EQ(state.fixed(7, "s", 1)[0], 1);
  EXPECT_EQ(state.tokens(7), 5);
}

TEST(ReferenceStateTest, ACopyIsASnapshot) {
  ReferenceState state;
  state.fixed(0, "s", 1)[0] = 1;
  const ReferenceState snapshot = state;
  state.fixed(0, "s", 1)[0] = 2;
  state = snapshot;
  EXPECT_EQ(state.fixed(0, "s", 1)[0], 1);
}

TEST(ReferenceStateTest, OnlyKvStateIsTruncatedInside) {
  ReferenceState state;
  state.growing(0, "kv", 2, 3);
  state.advance(0, 3);
  EXPECT_TRUE(state.truncate(0, 1).ok());
  EXPECT_EQ(state.tokens(0), 1);
  EXPECT_FALSE(state.truncate(0, 2).ok());
  EXPECT_FALSE(state.truncate(0, -1).ok());
  state.fixed(0, "s", 1)[0] = 1;
  state.advance(0, 3);
  EXPECT_TRUE(state.truncate(0, 3).ok());
  EXPECT_FALSE(state.truncate(0, 1).ok());
  EXPECT_TRUE(state.truncate(0, 0).ok());
  EXPECT_EQ(state.fixed(0, "s", 1)[0], 0);
}

} // namespace
} // namespace quern::reference
