// Which builds the microkernels' tests try: each loops over those this machine can run, so that
// what is left out is said here.
#include "tests/codegen/microkernels/Support.h"

#include <algorithm>

namespace quern::native {
namespace {

class Builds : public testing::TestWithParam<Build> {};

TEST_P(Builds, AreTried) {
  const auto usable = usable_builds();
  const bool tried = std::ranges::find(usable, GetParam().name, &Build::name) != usable.end();
  const std::string why = why_not_tried(GetParam());
  EXPECT_EQ(tried, why.empty());
  if (!tried)
    GTEST_SKIP() << why << " (microkernels)";
}

// Tests that there is no machine on which an instruction's source is not tried at all.
TEST(EmulatedBuilds, AreTriedOnEveryMachine) {
  const auto usable = usable_builds();
  for (const char *name : {"x86-64-v3", "x86-64-v4-emulated", "amx-emulated"})
    EXPECT_NE(std::ranges::find(usable, name, &Build::name), usable.end()) << name;
}

INSTANTIATE_TEST_SUITE_P(Native, Builds, testing::ValuesIn(builds().begin(), builds().end()),
                         [](const auto &info) {
                           std::string name(info.param.name);
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

} // namespace
} // namespace quern::native
