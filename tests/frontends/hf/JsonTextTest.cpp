// Tests that JSON is parsed as the library does, with duplicate keys, depth and damage refused by
// place.
#include "frontends/hf/JsonText.h"

#include "tests/support/AllocationMeter.h"
#include "tests/support/GuardedBytes.h"
#include "tests/support/Mutate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern::hf {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const std::string kSample =
    R"({"a": [1, -2, 3.5, true, null, "x\u00e9"], "b": {"c": {}, "d": [[], [{"e": 1}]]},
 "big": 18446744073709551615, "text": "\"quoted\" \\ line\n"})";

std::string error(const std::string &text) {
  const auto parsed = parse_json(text, "config.json");
  return parsed.ok() ? "" : std::string(parsed.status().message());
}

TEST(JsonText, ParsesAsTheLibraryDoes) {
  for (const std::string &text :
       {kSample, std::string("[]"), std::string(" 1 "), std::string("\"s\"")}) {
    const auto parsed = parse_json(text, "config.json");
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, json::parse(text));
  }
}

TEST(JsonText, SaysWhereItIsBroken) {
  EXPECT_THAT(error("{\n \"a\": 1,\n \"b\" 2}"),
              HasSubstr("config.json: not valid JSON at line 3, column 6"));
  EXPECT_THAT(error(""), HasSubstr("not valid JSON at line 1"));
  EXPECT_THAT(error("{} {}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error("{\"a\": 1e999}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error("{\"a\": \"\xff\"}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error(R"({"a": {"b": 1, "b": 2}})"), HasSubstr("key 'b' is there twice"));
}

TEST(JsonText, BoundsDepth) {
  EXPECT_EQ(error(std::string(64, '[') + std::string(64, ']')), "");
  EXPECT_THAT(error(std::string(65, '[') + std::string(65, ']')),
              HasSubstr("nested deeper than 64"));
  EXPECT_THAT(error(std::string(1 << 20, '[')), HasSubstr("nested deeper than 64"));
}

TEST(JsonText, SurvivesDamage) {
  for (uint32_t i = 0; i < 5000; ++i) {
    const testing_support::GuardedBytes guarded(testing_support::mutate(kSample, i));
    const size_t before = testing_support::allocated_bytes();
    const auto parsed = parse_json(guarded.text(), "config.json");
    ASSERT_LT(testing_support::allocated_bytes() - before, 65536u);
    if (parsed.ok()) {
      ASSERT_EQ(json::parse(parsed->dump()), *parsed);
    }
  }
}

} // namespace
} // namespace quern::hf
