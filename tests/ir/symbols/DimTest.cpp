#include "ir/symbols/Dim.h"

#include "tests/ir/symbols/RandomDims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern::symbols {
namespace {

std::string normal(const std::string &text) {
  const auto dim = parse_dim(text);
  return dim.ok() ? dim->text() : std::string(dim.status().message());
}

// Tests that what is equal for all sizes, of the kinds that shapes are made of, has one form.
TEST(Dim, FormsAreNormal) {
  const std::pair<const char *, const char *> cases[] = {
      {"b*s + 3 + s*b", "2*b*s + 3"},
      {"s + mod(8 - mod(s, 8), 8)", "8*ceildiv(s, 8)"}, // padded to whole chunks
      {"(s + 7)//8", "ceildiv(s, 8)"},
      {"b*s*96*12 // (b*12)", "96*s"},
      {"(a + b)*(a - b) // (a + b)", "a - b"},
      {"((s + 1)//2 + 1)//2", "ceildiv(s, 4)"},
      {"(2*s + 1)//4", "floordiv(s, 2)"},
      {"7*s//4", "s + floordiv(3*s, 4)"},
      {"-s//4", "-ceildiv(s, 4)"},
      {"min(s, 512)", "min(512, s)"},
      {"s - min(s, 5)", "max(s - 5, 0)"},
      {"max(s, 0)", "s"},
      {"min(s, s + t)", "s"},
      {"max(past + s, s) - past", "s"},
      {"96*b*min(s, 512) // (96*min(s, 512))", "b"},
      {"equal(s, -1)", "0"},
      {"equal(2*s, 3)", "0"},
      {"less(s, 0)", "0"},
      {"less(s, 3)*less(s, 3)", "less(s - 3, 0)"},
      {"truncdiv(s, 2)", "floordiv(s, 2)"},
      {"s - s", "0"},
      {"\"a b\"*2", "2*\"a b\""},
      {"Max(1, s0)", "max(s0, 1)"},
  };
  for (const auto &[text, form] : cases)
    EXPECT_EQ(normal(text), form) << text;
}

// Tests that a size of 0 is never taken for more: past = 0 is where masks were once folded wrongly.
TEST(Dim, SymbolsMayBeZero) {
  EXPECT_EQ(normal("min(past, 1)"), "min(1, past)");
  EXPECT_EQ(normal("equal(past, 0)"), "equal(past, 0)");
  EXPECT_EQ(normal("max(s - 1, 0)"), "max(s - 1, 0)");
}

TEST(Dim, TextIsReadBack) {
  test::RandomDims random(1);
  for (int i = 0; i < 2000; ++i) {
    const Dim dim = random.next(3).dim;
    if (!dim.valid())
      continue;
    const auto again = parse_dim(dim.text());
    ASSERT_TRUE(again.ok()) << dim.text();
    EXPECT_EQ(*again, dim) << dim.text() << " is read as " << again->text();
  }
}

// Tests every rewrite by what it must keep: the value, for sizes of 0 too.
TEST(Dim, FormsMeanWhatWasWritten) {
  test::RandomDims random(2);
  for (int i = 0; i < 4000; ++i) {
    const test::Meant meant = random.next(4);
    if (!meant.dim.valid())
      continue;
    for (int k = 0; k < 6; ++k) {
      const test::Sizes sizes = random.sizes();
      const auto value = evaluate(meant.dim, sizes);
      ASSERT_TRUE(value.ok()) << meant.dim.text();
      EXPECT_EQ(*value, meant.value(sizes)) << meant.dim.text() << " of b " << sizes.at("b")
                                            << ", s " << sizes.at("s") << ", t " << sizes.at("t");
    }
  }
}

TEST(Dim, SubstitutionIsInFunctionsToo) {
  const Dim dim = *parse_dim("floordiv(s43 + 3, 2) + min(s43, 7)*b");
  const Dim replaced = substitute(dim, [](const std::string &name) {
    return name == "s43" ? std::optional(Dim::symbol("s") * Dim(2)) : std::nullopt;
  });
  EXPECT_EQ(replaced, *parse_dim("s + 1 + min(2*s, 7)*b"));
}

// Tests that what does not fit, or grows without end, is no expression rather than a wrong one.
TEST(Dim, WhatDoesNotFitIsInvalid) {
  EXPECT_FALSE((Dim(INT64_MAX) + 1).valid());
  EXPECT_FALSE((Dim(INT64_MAX) * 2).valid());
  EXPECT_FALSE((Dim::symbol("s") * Dim(INT64_MAX) * 2 + 1).valid());
  EXPECT_FALSE(floordiv(1, 0).valid());
  Dim sum, deep = Dim::symbol("s");
  for (int i = 0; i < 100; ++i) {
    sum += Dim::symbol("s" + std::to_string(i));
    deep = floordiv(deep * deep + 1, Dim::symbol("t") + i);
  }
  EXPECT_FALSE(sum.valid());
  EXPECT_FALSE(deep.valid());
  EXPECT_FALSE(sum == sum);
  EXPECT_EQ(sum.text(), "?");
}

TEST(Dim, TextsThatAreNoneAreRefused) {
  for (const char *text : {"", "+", "s +", "s t", "3s", "f(s)", "min(s)", "(s", "s)", "s**2", "\"s",
                           "s / 2", "99999999999999999999"})
    EXPECT_FALSE(parse_dim(text).ok()) << text;
  EXPECT_FALSE(parse_dim(std::string(1000, '(') + "s" + std::string(1000, ')')).ok());
}

TEST(Dim, EvaluationSaysWhatIsMissing) {
  EXPECT_THAT(evaluate(Dim::symbol("s"), {}).status().message(), testing::HasSubstr("for s"));
  EXPECT_FALSE(evaluate(*parse_dim("floordiv(s, t)"), {{"s", 1}, {"t", 0}}).ok());
  EXPECT_FALSE(evaluate(*parse_dim("s*s"), {{"s", INT64_MAX}}).ok());
}

} // namespace
} // namespace quern::symbols
