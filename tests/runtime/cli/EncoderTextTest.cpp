// Tests what an encoder is given for a text and for a pair: tokens around and between, types, and
// where both are cut.
#include "runtime/cli/EncoderText.h"

#include "tests/runtime/cli/Call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// "a" is token 0, "b" 1 and so on; 26 goes before a text, 27 behind it.
text::TokenizerSpec letters() {
  text::TokenizerSpec spec;
  for (char c = 'a'; c <= 'z'; ++c) {
    spec.tokens.emplace_back(1, c);
    spec.kinds.push_back(text::TokenKind::Normal);
  }
  for (const char *name : {"<s>", "</s>"}) {
    spec.tokens.emplace_back(name);
    spec.kinds.push_back(text::TokenKind::Control);
  }
  spec.prefix_ids = {26};
  spec.suffix_ids = {27};
  return spec;
}

class EncoderTexts : public testing::Test {
protected:
  absl::StatusOr<EncoderText> text(const std::string &text, std::optional<std::string> pair,
                                   size_t longest) {
    auto tokenizer = text::Tokenizer::create(spec);
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
    return encoder_text(**tokenizer, text, pair, longest);
  }
  text::TokenizerSpec spec = letters();
};

TEST_F(EncoderTexts, HaveTokensAroundThemAndAreCutAtTheirEnds) {
  EXPECT_THAT(text("abc", {}, 5)->tokens, ElementsAre(26, 0, 1, 2, 27));
  EXPECT_EQ(text("abc", {}, 5)->cut, 0u);
  EXPECT_THAT(text("abcd", {}, 5)->tokens, ElementsAre(26, 0, 1, 2, 27));
  EXPECT_EQ(text("abcd", {}, 5)->cut, 1u);
  EXPECT_THAT(text("", {}, 5)->tokens, ElementsAre(26, 27));
  EXPECT_THAT(text("abc", {}, 2)->tokens, ElementsAre(26, 27));
  const auto none = text("abc", {}, 1);
  EXPECT_EQ(none.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("the 2 tokens around a text"));
}

TEST_F(EncoderTexts, PairsAreCutFromTheLongerOne) {
  EXPECT_EQ(text("a", "b", 9).status().code(), absl::StatusCode::kFailedPrecondition);
  spec.pair_ids = {27, 27};
  EXPECT_THAT(text("ab", "cd", 9)->tokens, ElementsAre(26, 0, 1, 27, 27, 2, 3, 27));
  EXPECT_EQ(text("ab", "cd", 9)->second, 0u); // no types
  spec.pair_types = true;
  EXPECT_EQ(text("ab", "cd", 9)->second, 5u);
  // 4 tokens are around: 4 are left.
  EXPECT_THAT(text("abcdef", "x", 8)->tokens, ElementsAre(26, 0, 1, 2, 27, 27, 23, 27));
  EXPECT_THAT(text("a", "uvwxyz", 8)->tokens, ElementsAre(26, 0, 27, 27, 20, 21, 22, 27));
  const auto both = text("abcd", "wxyz", 8);
  EXPECT_THAT(both->tokens, ElementsAre(26, 0, 1, 27, 27, 22, 23, 27));
  EXPECT_EQ(both->cut, 4u);
  // Of an odd number the longer text keeps one more; of equal ones the second.
  EXPECT_THAT(text("abcde", "wxyz", 9)->tokens, ElementsAre(26, 0, 1, 2, 27, 27, 22, 23, 27));
  EXPECT_THAT(text("abcd", "wxyz", 9)->tokens, ElementsAre(26, 0, 1, 27, 27, 22, 23, 24, 27));
}

TEST(Embed, RefusesALanguageModel) {
  const std::string model = test::write_fake("m.quern");
  EXPECT_THAT(refused({"embed", "-m", model, "-p", "a"}), HasSubstr("is not an encoder"));
  EXPECT_THAT(refused({"embed", "-m", model, "-p", "a", "-f", "x"}, 2), HasSubstr("both given"));
}

} // namespace
} // namespace quern::cli
