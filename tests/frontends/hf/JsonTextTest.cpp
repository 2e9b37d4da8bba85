// Tests that JSON is parsed as the library does, with duplicate keys, depth and damage refused by
// place.
#include "frontends/hf/JsonText.h"

#include "tests/support/AllocationMeter.h"
#include "tests/support/GuardedBytes.h"
#include "tests/support/Mutate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

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
  EXPECT_THAT(error(""), HasSubstr("config.json: is empty"));
  EXPECT_THAT(error("{} {}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error("{\"a\": 1e999}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error("{\"a\": \"\xff\"}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error("{\"a\": 1,}"), HasSubstr("line 1, column 9: unexpected '}'"));
  EXPECT_THAT(error(" \n"), HasSubstr("config.json: is empty"));
  EXPECT_THAT(error("\xFF\xFE{\0}\0"), HasSubstr("UTF-16"));
  EXPECT_THAT(error("{\"caf\u00e9\": x}"), HasSubstr("line 1, column 10"));
  // Places are those of the text as it was, not as it was rewritten.
  EXPECT_THAT(error("[Infinity, NaN,\n -Infinity, x]"), HasSubstr("line 2, column 13"));
}

TEST(JsonText, ReadsWhatPythonWrites) {
  const auto parsed = parse_json(
      R"({"a": [0.0, Infinity, -Infinity, NaN], "b": "Infinity \" NaN", "c": {"__float__": "-Infinity"},
          "d": 1, "d": {"e": 2}})",
      "config.json");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const json &a = (*parsed)["a"];
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(a[1].get<double>(), kInfinity);
  EXPECT_EQ(a[2].get<double>(), -kInfinity);
  EXPECT_TRUE(std::isnan(a[3].get<double>()));
  EXPECT_EQ((*parsed)["b"], "Infinity \" NaN");
  EXPECT_EQ((*parsed)["c"].get<double>(), -kInfinity);
  EXPECT_EQ((*parsed)["d"], json({{"e", 2}})); // the last counts
  for (const char *no : {"-NaN", "+Infinity", "Infinit", "nan", "{NaN: 1}"})
    EXPECT_THAT(error(no), HasSubstr("not valid JSON")) << no;
  EXPECT_EQ(parse_json("\xEF\xBB\xBF{}", "config.json").value_or(json()), json::object());
}

TEST(JsonText, KeepsTheOrderOfKeysWhereItIsAskedTo) {
  const auto parsed = parse_ordered_json(
      "\xEF\xBB\xBF{\"z\": Infinity, \"a\": {\"y\": 1, \"b\": 2}, \"z\": 3}", "f");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->dump(), R"({"z":3,"a":{"y":1,"b":2}})");
  EXPECT_THAT(
      std::string(
          parse_ordered_json(std::string(65, '[') + std::string(65, ']'), "f").status().message()),
      HasSubstr("nested deeper than 64"));
}

TEST(JsonText, IsStrictWhereItIsAskedTo) {
  for (const auto &[text, why] :
       {std::pair{R"({"a": {"b": 1, "b": 2}})", "key 'b' is there twice"},
        std::pair{"[NaN]", "not valid JSON"}, std::pair{"\xEF\xBB\xBF{}", "byte order mark"}})
    EXPECT_THAT(std::string(parse_json(text, "header", JsonDialect::Strict).status().message()),
                HasSubstr(why));
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
