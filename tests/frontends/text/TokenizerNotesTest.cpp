// What is noted of a tokenizer beside a model's rows.
#include "frontends/TokenizerNotes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Of 4 tokens of which the last two are added: <|im_start|> and <|im_end|>.
text::TokenizerSpec chat_tokenizer() {
  text::TokenizerSpec spec;
  spec.tokens = {"a", "</s>", "<|im_start|>", "<|im_end|>"};
  spec.kinds = {text::TokenKind::Normal, text::TokenKind::Control, text::TokenKind::Control,
                text::TokenKind::Control};
  for (int32_t id = 1; id < 4; ++id) {
    text::AddedToken token;
    token.content = spec.tokens[static_cast<size_t>(id)];
    token.id = id;
    token.special = true;
    spec.added_tokens.push_back(token);
  }
  spec.eos_ids = {3};
  spec.eos_token = "<|im_end|>";
  spec.chat_template =
      "{% for m in messages %}<|im_start|>{{ m.content }}{{ eos_token }}{% endfor %}";
  return spec;
}

TEST(TokenizerNotes, NothingWhereAllIsThere) {
  EXPECT_THAT(tokenizer_notes(chat_tokenizer(), 4, false), IsEmpty());
  EXPECT_THAT(tokenizer_notes(chat_tokenizer(), 100, false), IsEmpty());
  EXPECT_THAT(tokenizer_notes(chat_tokenizer(), 0, false), IsEmpty())
      << "a problem of another kind";
}

TEST(TokenizerNotes, NamesTokensBeyondTheRows) {
  text::TokenizerSpec spec = chat_tokenizer();
  EXPECT_THAT(
      tokenizer_notes(spec, 2, false),
      ElementsAre("the tokenizer has 4 tokens and the model 2, which has no rows for "
                  "\"<|im_start|>\" and \"<|im_end|>\"",
                  "the chat template uses \"<|im_start|>\" and \"<|im_end|>\", for which the "
                  "model has no rows: --chat cannot work",
                  HasSubstr("no token ends an answer, as the model has no row for "
                            "\"<|im_end|>\": run and chat go on")));
  spec.eos_ids = {1, 3};
  spec.chat_template = "";
  spec.prefix_ids = {2};
  EXPECT_THAT(tokenizer_notes(spec, 2, false),
              ElementsAre(HasSubstr("no rows for"), HasSubstr("what goes before every text"),
                          HasSubstr("\"<|im_end|>\" cannot end an answer")));
}

TEST(TokenizerNotes, SaysThatNothingEndsAnAnswer) {
  text::TokenizerSpec spec = chat_tokenizer();
  spec.eos_ids = {};
  EXPECT_THAT(tokenizer_notes(spec, 4, false),
              ElementsAre(AllOf(HasSubstr("no token ends an answer"), HasSubstr("-n"))));
}

// Tests that of a tokenizer beside an encoder only what concerns texts is said.
TEST(TokenizerNotes, AsksNoAnswersOfEncoders) {
  text::TokenizerSpec spec = chat_tokenizer();
  spec.eos_ids = {};
  spec.chat_template = "{% for m in messages %}{{ m.content + 1 }}{% endfor %}";
  EXPECT_THAT(tokenizer_notes(spec, 4, true), IsEmpty());
  EXPECT_THAT(tokenizer_notes(spec, 3, true), ElementsAre(HasSubstr("no rows for")));
}

TEST(TokenizerNotes, TriesTheChatTemplate) {
  text::TokenizerSpec spec = chat_tokenizer();
  spec.chat_template = "{{ raise_exception('a system message is needed') }}";
  EXPECT_THAT(tokenizer_notes(spec, 4, false), IsEmpty()) << "which is not a failure";
  spec.chat_template = "\n{% for m in messages %}{{ m.content + 1 }}{% endfor %}";
  EXPECT_THAT(tokenizer_notes(spec, 4, false),
              ElementsAre(AllOf(HasSubstr("the chat template fails on a message"),
                                HasSubstr("line 2: '+' of str and int"))));
  spec.chat_template = "{{ messages|xyzzy }}";
  EXPECT_THAT(tokenizer_notes(spec, 4, false), IsEmpty()) << "said without running it";
}

} // namespace
} // namespace quern
