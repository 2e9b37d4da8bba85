// The verb that docs/guides/adding-a-verb.md adds, made by doing what it says
// (tests/docs/Follow.cmake).
#include "compiler/driver/Verbs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace quern::driver {
namespace {

using testing::HasSubstr;

struct Said {
  int code;
  std::string out, err;
};

Said quern(std::vector<std::string> words) {
  std::vector<char *> argv;
  for (std::string &word : words)
    argv.push_back(word.data());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run_quern(static_cast<int>(argv.size()), argv.data());
  std::string out = testing::internal::GetCapturedStdout();
  return {code, std::move(out), testing::internal::GetCapturedStderr()};
}

TEST(AddedVerb, IsListed) { EXPECT_THAT(quern({"quern", "-h"}).out, HasSubstr("formats")); }

TEST(AddedVerb, HasAHelpThatEndsWithAnExample) {
  const Said said = quern({"quern", "formats", "-h"});
  EXPECT_EQ(said.code, 0);
  EXPECT_THAT(said.out, HasSubstr("Lists the formats"));
  EXPECT_THAT(said.out, HasSubstr("quern formats\n"));
}

TEST(AddedVerb, Prints) {
  const Said said = quern({"quern", "formats"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("q4_1"));
  const auto json = nlohmann::json::parse(quern({"quern", "formats", "--json"}).out);
  EXPECT_EQ(json["formats"][0]["format"], "f32");
  EXPECT_EQ(json["formats"][0]["bits_per_weight"], 32);
}

TEST(AddedVerb, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(quern({"quern", "formats", "--jsno"}).code, 2);
  const Said said = quern({"quern", "fromats"});
  EXPECT_EQ(said.code, 2);
  EXPECT_THAT(said.err, HasSubstr("did you mean formats?"));
}

} // namespace
} // namespace quern::driver
