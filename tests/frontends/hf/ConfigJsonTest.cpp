// Tests that a config is read with types and ranges checked, and that what was not read is listed.
#include "frontends/hf/ConfigJson.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern::hf {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ConfigJson config(const std::string &text) {
  auto parsed = ConfigJson::parse(text, "m/config.json");
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return *parsed;
}

template <typename T> std::string error(const absl::StatusOr<T> &result) {
  return std::string(result.status().message());
}

TEST(ConfigJson, ReadsTypedValues) {
  const ConfigJson c =
      config(R"({"n": 4, "eps": 1e-5, "theta": 10000, "tie": true, "act": "silu", "none": null,
    "ids": [1, 2], "freqs": [1, 0.5], "archs": ["A", "B"], "rope": {"type": "yarn"}})");
  EXPECT_EQ(*c.get_int("n"), 4);
  EXPECT_EQ(*c.get_size("n"), 4);
  EXPECT_EQ(*c.get_float("eps"), 1e-5);
  EXPECT_EQ(*c.get_float("theta"), 10000);
  EXPECT_TRUE(*c.get_bool("tie"));
  EXPECT_EQ(*c.get_string("act"), "silu");
  EXPECT_THAT(*c.get_ints("ids"), ElementsAre(1, 2));
  EXPECT_THAT(*c.get_floats("freqs"), ElementsAre(1, 0.5));
  EXPECT_THAT(*c.get_strings("archs"), ElementsAre("A", "B"));
  EXPECT_EQ(*c.get_object("rope")->get_string("type"), "yarn");
  EXPECT_TRUE(c.has("n"));
  EXPECT_FALSE(c.has("none"));
  EXPECT_TRUE(c.is_array("ids") && c.is_object("rope") && c.is_string("act") && c.is_number("n") &&
              c.is_bool("tie"));
  EXPECT_FALSE(c.is_array("none") || c.is_number("absent"));
}

TEST(ConfigJson, DefaultsAreForAbsentKeysOnly) {
  const ConfigJson c = config(R"({"none": null, "text": "x", "zero": 0})");
  EXPECT_EQ(*c.get_int_or("absent", 7), 7);
  EXPECT_EQ(*c.get_size_or("none", 8), 8);
  EXPECT_EQ(*c.get_float_or("none", 0.5), 0.5);
  EXPECT_EQ(*c.get_bool_or("absent", true), true);
  EXPECT_EQ(*c.get_string_or("absent", "gelu"), "gelu");
  EXPECT_EQ(*c.get_int_or("zero", 7), 0);
  EXPECT_THAT(error(c.get_int_or("text", 7)), HasSubstr("key 'text' is \"x\", not an integer"));
  EXPECT_THAT(error(c.get_size_or("zero", 7)), HasSubstr("is 0, which is not in 1 .. 2147483647"));
}

TEST(ConfigJson, ErrorsNameFileAndPath) {
  const ConfigJson c =
      config(R"({"rope": {"factor": "two", "list": [1, "x"]}, "layers": [{"n": 1.5}],
    "huge": 9223372036854775808, "long": "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff___"})");
  EXPECT_THAT(error(c.get_int("absent")), HasSubstr("m/config.json: key 'absent' is missing"));
  const ConfigJson rope = *c.get_object("rope");
  EXPECT_THAT(error(rope.get_float("factor")),
              HasSubstr("m/config.json: key 'rope.factor' is \"two\", not a finite number"));
  EXPECT_THAT(error(rope.get_ints("list")),
              HasSubstr("key 'rope.list[1]' is \"x\"; the array is of integers"));
  EXPECT_THAT(error(c.get_objects("layers")->at(0).get_int("n")),
              HasSubstr("key 'layers[0].n' is 1.5, not an integer"));
  EXPECT_THAT(error(c.get_int("huge")), HasSubstr("not an integer"));
  EXPECT_THAT(error(c.get_int("rope")), HasSubstr("is an object, not an integer"));
  EXPECT_THAT(error(c.get_bool("layers")), HasSubstr("is an array of 1, not true or false"));
  EXPECT_THAT(error(c.get_object("layers")), HasSubstr("not an object"));
  EXPECT_THAT(error(c.get_objects("rope")), HasSubstr("not an array of objects"));
  EXPECT_THAT(error(c.get_bool("long")), HasSubstr("ffffff..., not true"));
  EXPECT_EQ(rope.error("factor", "is odd").message(), "m/config.json: key 'rope.factor' is odd");
}

TEST(ConfigJson, ListsWhatWasNotRead) {
  const ConfigJson c = config(R"({"a": 1, "b": 2, "gone": null, "rope": {"type": "x", "factor": 2},
    "other": {"p": 1}, "empty": {}, "layers": [{"kind": "m", "n": 1}, {"kind": "a", "n": 2}], "version": "5",
    "a_longer": 3})");
  EXPECT_THAT(c.unused_keys(),
              ElementsAre("a", "a_longer", "b", "empty", "layers", "other", "rope", "version"));
  EXPECT_EQ(*c.get_int("a"), 1);
  EXPECT_FALSE(c.get_string("b").ok()); // asked for is known, even if it did not fit
  EXPECT_TRUE(c.get_object("rope")->get_string("type").ok());
  EXPECT_TRUE(c.get_object("empty").ok());
  const auto layers = *c.get_objects("layers");
  EXPECT_TRUE(layers[0].get_string("kind").ok());
  EXPECT_TRUE(layers[1].get_string("kind").ok());
  EXPECT_TRUE(layers[1].get_int("n").ok());
  c.ignore({"version"});
  EXPECT_THAT(c.unused_keys(), ElementsAre("a_longer", "layers[0].n", "other", "rope.factor"));
  EXPECT_THAT(c.get_object("rope")->unused_keys(), ElementsAre("rope.factor"));
  c.get_object("rope")->ignore({"factor"});
  EXPECT_THAT(c.get_object("rope")->unused_keys(), IsEmpty());
  EXPECT_THAT(c.get_object("rope")->keys(), ElementsAre("factor", "type"));
}

TEST(ConfigJson, KnowsFloatsThatAreNotFinite) {
  const ConfigJson c = config(R"({"a": [0.5, Infinity], "b": -Infinity, "c": [NaN], "d": null})");
  EXPECT_THAT(*c.get_limits("a"), ElementsAre(0.5, std::numeric_limits<double>::infinity()));
  EXPECT_THAT(error(c.get_floats("a")), HasSubstr("'a[1]' is Infinity; the array is of finite"));
  EXPECT_THAT(error(c.get_float("b")), HasSubstr("is -Infinity, not a finite number"));
  EXPECT_THAT(error(c.get_limits("c")), HasSubstr("holds NaN, not a number"));
  EXPECT_TRUE(c.mentions("d") && c.mentions("b") && !c.mentions("e"));
}

TEST(ConfigJson, RefusesWhatIsNoObject) {
  EXPECT_THAT(error(ConfigJson::parse("[1]", "m/config.json")),
              HasSubstr("m/config.json: is an array of 1, not an object"));
  EXPECT_THAT(error(ConfigJson::open("no/config.json")),
              HasSubstr("no/config.json: cannot open it"));
}

} // namespace
} // namespace quern::hf
