#include "runtime/cli/StopTexts.h"

#include <gtest/gtest.h>

namespace quern::cli {
namespace {

// What is shown of `text` fed one character at a time.
std::string shown(std::vector<std::string> stops, const std::string &text) {
  StopTexts filter(std::move(stops));
  std::string all;
  for (char c : text)
    all += filter.push(std::string(1, c));
  return all + filter.flush();
}

TEST(StopTexts, EndTheTextWhereTheyBegin) {
  EXPECT_EQ(shown({"END"}, "abcENDdef"), "abc");
  EXPECT_EQ(shown({"END"}, "abcENabc"), "abcENabc");
  EXPECT_EQ(shown({"aab"}, "aaab"), "a");
  EXPECT_EQ(shown({"xyz", "yz"}, "wxyz"), "w");
  EXPECT_EQ(shown({}, "abc"), "abc");
  EXPECT_EQ(shown({""}, "abc"), "abc");
  EXPECT_EQ(shown({"END"}, "abEN"), "abEN");
}

TEST(StopTexts, HoldBackOnlyWhatMayBecomeOne) {
  StopTexts filter({"\n\n"});
  EXPECT_EQ(filter.push("line\n"), "line");
  EXPECT_EQ(filter.push("next"), "\nnext");
  EXPECT_FALSE(filter.stopped());
  EXPECT_EQ(filter.push("\n\nmore"), "");
  EXPECT_TRUE(filter.stopped());
}

} // namespace
} // namespace quern::cli
