// Tests that repeats are found where they save most, whole, and nowhere else.
#include "passes/order/Repeats.h"

#include <gtest/gtest.h>

#include <random>
#include <string_view>

namespace quern::order {
namespace {

std::vector<Repeat> repeatsOf(std::string_view items, size_t least = 1) {
  const std::vector<unsigned> numbers(items.begin(), items.end());
  return findRepeats(numbers, least);
}

using Repeats = std::vector<Repeat>;

TEST(Repeats, WhatDoesNotRepeatHasNone) {
  EXPECT_EQ(repeatsOf(""), Repeats());
  EXPECT_EQ(repeatsOf("a"), Repeats());
  EXPECT_EQ(repeatsOf("abcdea"), Repeats());
}

TEST(Repeats, LayersBetweenWhatComesBeforeAndAfter) {
  EXPECT_EQ(repeatsOf("xabcabcabcy"), (Repeats{{1, 3, 3}}));
  // The first layer differs in what it begins with; the turns begin where all are alike.
  EXPECT_EQ(repeatsOf("xAbcabcabcabcy"), (Repeats{{2, 3, 3}}));
}

TEST(Repeats, AKindTwiceInALayerIsNoTurn) {
  EXPECT_EQ(repeatsOf("nlnmnlnmnlnm"), (Repeats{{0, 4, 3}}));
}

TEST(Repeats, ThePatternOfLayersCountsWhereTheyTakeTurns) {
  // Five layers with a window to one without.
  EXPECT_EQ(repeatsOf("xabababababcdabababababcdabababababcdab"), (Repeats{{1, 12, 3}}));
}

TEST(Repeats, OfEqualPeriodsTheShortestCounts) {
  EXPECT_EQ(repeatsOf("aaaaaaaa"), (Repeats{{0, 1, 8}}));
  EXPECT_EQ(repeatsOf("abababab"), (Repeats{{0, 2, 4}}));
}

TEST(Repeats, WhatIsLeftOnBothSidesIsSearchedToo) {
  EXPECT_EQ(repeatsOf("aaaxbcbcbcbcyddd"), (Repeats{{0, 1, 3}, {4, 2, 4}, {13, 1, 3}}));
}

TEST(Repeats, AnUnfinishedTurnStaysOut) {
  EXPECT_EQ(repeatsOf("abcdabcdabc"), (Repeats{{0, 4, 2}}));
}

TEST(Repeats, WhatSavesTooLittleIsLeftOut) {
  EXPECT_EQ(repeatsOf("abcabcabc", 6), (Repeats{{0, 3, 3}}));
  EXPECT_EQ(repeatsOf("abcabcabc", 7), Repeats());
  EXPECT_EQ(repeatsOf("aaaxbcbcbcbcyddd", 3), (Repeats{{4, 2, 4}}));
}

TEST(Repeats, AreInOrderApartAndTrue) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<unsigned> items(random() % 60);
    for (unsigned &item : items)
      item = random() % 3;
    size_t next = 0;
    for (const Repeat &repeat : findRepeats(items, 2)) {
      EXPECT_GE(repeat.first, next);
      EXPECT_GE(repeat.saved(), 2u);
      EXPECT_LE(repeat.end(), items.size());
      for (size_t i = repeat.first + repeat.period; i < repeat.end(); ++i)
        EXPECT_EQ(items[i], items[i - repeat.period]);
      next = repeat.end();
    }
  }
}

} // namespace
} // namespace quern::order
