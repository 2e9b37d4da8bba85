// The Hugging Face importer and the tokenizer behind it against the ids of `tokenizers`
// (make_tokenizer_goldens.py), and what the importer refuses.
#include "frontends/hf/TokenizerJson.h"

#include "runtime/text/Message.h"
#include "runtime/text/Tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>

namespace quern::hf {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::filesystem::path kData = QUERN_SOURCE_DIR "/tests/frontends/text/data";

const json &goldens() {
  static const json value = json::parse(std::ifstream(kData / "goldens.json"));
  return value;
}

class Style : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    absl::StatusOr<std::optional<text::TokenizerSpec>> spec = load_tokenizer(kData / GetParam());
    ASSERT_TRUE(spec.ok()) << spec.status();
    // Through the artifact's bytes, as in life.
    absl::StatusOr<text::TokenizerSpec> stored = text::deserialize(text::serialize(**spec));
    ASSERT_TRUE(stored.ok()) << stored.status();
    auto tokenizer = text::Tokenizer::create(*std::move(stored));
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = *std::move(tokenizer);
  }
  std::unique_ptr<text::Tokenizer> tokenizer_;
};

TEST_P(Style, IdsEqualTokenizers) {
  const json &style = goldens()["styles"][GetParam()];
  for (size_t i = 0; i < goldens()["texts"].size(); ++i) {
    const auto text = goldens()["texts"][i].get<std::string>();
    EXPECT_EQ(*tokenizer_->encode(text), style["ids"][i].get<std::vector<int32_t>>())
        << i << ": " << goldens()["texts"][i].dump(-1, ' ', true);
    if (i >= style["no_special"].size())
      continue;
    EXPECT_EQ(*tokenizer_->encode(text, {.add_special = false, .parse_special = false}),
              style["no_special"][i].get<std::vector<int32_t>>())
        << i << ": " << goldens()["texts"][i].dump(-1, ' ', true);
  }
}

TEST_P(Style, TextEqualsTokenizers) {
  const json &style = goldens()["styles"][GetParam()];
  for (size_t i = 0; i < goldens()["texts"].size(); ++i) {
    const auto ids = style["ids"][i].get<std::vector<int32_t>>();
    const std::string text = tokenizer_->decode(ids, /*skip_special=*/true);
    EXPECT_EQ(text, style["text"][i].get<std::string>()) << i;
    text::StreamDecoder stream(*tokenizer_, /*skip_special=*/true);
    std::string streamed;
    for (int32_t id : ids)
      streamed += stream.push(id);
    EXPECT_EQ(streamed + stream.flush(), text) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Styles, Style,
                         testing::Values("gpt2", "smollm", "llama3", "qwen2", "gpt4o", "deepseek3",
                                         "cl100k", "roberta", "words"),
                         [](const auto &info) { return info.param; });

text::TokenizerSpec load(const char *style) { return **load_tokenizer(kData / style); }

TEST(TokenizerJson, ReadsTheFilesBesideIt) {
  const text::TokenizerSpec llama = load("llama3");
  EXPECT_EQ(llama.bos_token, "<|im_start|>");
  EXPECT_EQ(llama.bos_id, 1);
  EXPECT_EQ(llama.eos_token, "<|im_end|>");
  EXPECT_THAT(llama.eos_ids, ElementsAre(2, 0));
  EXPECT_THAT(llama.prefix_ids, ElementsAre(1));
  EXPECT_THAT(llama.suffix_ids, ElementsAre());
  EXPECT_EQ(llama.chat_template, "{{ bos_token }}chat");
  EXPECT_TRUE(llama.ignore_merges);

  const text::TokenizerSpec qwen = load("qwen2");
  EXPECT_EQ(qwen.bos_id, -1);
  EXPECT_THAT(qwen.eos_ids, ElementsAre(2, 0));
  EXPECT_EQ(qwen.chat_template, "{{ messages[0].content }}");
  ASSERT_EQ(qwen.normalizers.size(), 1u);
  EXPECT_EQ(qwen.normalizers[0].kind, text::NormalizerStep::Kind::Nfc);
}

TEST(TokenizerJson, AFolderWithoutOneIsNoError) {
  absl::StatusOr<std::optional<text::TokenizerSpec>> none = load_tokenizer(kData);
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->has_value());
}

std::string with(const char *pointer, json value) {
  json root = json::parse(std::ifstream(kData / "smollm" / "tokenizer.json"));
  root[json::json_pointer(pointer)] = std::move(value);
  return root.dump();
}

TEST(TokenizerJson, RefusesByName) {
  const std::pair<std::string, const char *> cases[] = {
      {"", "tokenizer.json: is empty"},
      {"[1]", "tokenizer.json: not a JSON object"},
      {"{}", "model of no type"},
      {with("/model/type", "Odd"), "model Odd"},
      {with("/model/type", "Unigram"), "model.vocab is not a list"},
      {with("/model/type", "WordPiece"), "model.unk_token is missing"},
      {with("/model/dropout", 0.1), "dropout"},
      {with("/model/vocab", json::array()), "model.vocab"},
      {with("/model/vocab/a", -1), "\"a\" has no valid id"},
      {with("/model/vocab/a", 1e300), "\"a\" has no valid id"},
      {with("/model/vocab/a", 99999999999), "\"a\" has no valid id"},
      {with("/model/merges/3", "nospace"), "entry 3"},
      {with("/model/merges/0", json::array({"xyzzy", "a"})), "xyzzy"},
      {with("/model/unk_token", "xyzzy"), "unk_token \"xyzzy\""},
      {with("/normalizer", json{{"type", "Odd"}}), "normalizer Odd"},
      {with("/normalizer", json{{"type", "Replace"}}), "Replace has no pattern"},
      {with("/normalizer", json{{"type", "Precompiled"}, {"precompiled_charsmap", "AAAA"}}),
       "charsmap"},
      {with("/normalizer", json{{"type", "Precompiled"}, {"precompiled_charsmap", "?"}}),
       "not Base64"},
      {with("/pre_tokenizer", json::object()), "pre_tokenizer of no type"},
      {with("/pre_tokenizer", json{{"type", "Odd"}}), "pre_tokenizer Odd"},
      {with("/pre_tokenizer/pretokenizers/0", json{{"type", "Metaspace"}}),
       "metaspace is not one character"},
      {with("/pre_tokenizer", json{{"type", "Metaspace"}, {"prepend_scheme", "often"}}),
       "\"often\""},
      {with("/pre_tokenizer/pretokenizers/0",
            json{{"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}}),
       "pattern \"(a\""},
      {with("/pre_tokenizer/pretokenizers/0",
            json{{"type", "Split"}, {"pattern", {{"Regex", "a"}}}, {"behavior", "MergedWithNone"}}),
       "MergedWithNone"},
      {with("/decoder", json{{"type", "CTC"}}), "decoder CTC"},
      {with("/decoder", json{{"type", "Sequence"},
                             {"decoders",
                              {{{"type", "WordPiece"}, {"prefix", "##"}},
                               {{"type", "Replace"}, {"pattern", {{"String", "a"}}}}}}}),
       "decoder Replace after"},
      {with("/decoder", json{{"type", "Strip"}, {"content", " "}, {"start", 0}, {"stop", 1}}),
       "decoder Strip"},
      {with("/post_processor", json{{"type", "Odd"}}), "post_processor Odd"},
      {with("/added_tokens/0/id", nullptr), "added token"},
  };
  for (const auto &[content, message] : cases) {
    TokenizerFiles files;
    files.tokenizer_json = content;
    const absl::StatusOr<text::TokenizerSpec> spec = tokenizer_from_json(files);
    ASSERT_FALSE(spec.ok()) << message;
    EXPECT_THAT(text::message_of(spec.status()), HasSubstr(message));
  }
}

// Each byte of a small file altered in turn: no crash, and what is accepted tokenizes.
TEST(TokenizerJson, SurvivesMutation) {
  json root = json::parse(std::ifstream(kData / "qwen2" / "tokenizer.json"));
  root["model"]["merges"] = json::array();
  json vocab;
  for (const auto &[token, id] : root["model"]["vocab"].items())
    if (id < 40)
      vocab[token] = id;
  root["model"]["vocab"] = vocab;
  const std::string good = root.dump();
  for (size_t i = 0; i < good.size(); i += 3)
    for (const char change : {'\x01', '\x12', '\x20'}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ change);
      TokenizerFiles files;
      files.tokenizer_json = bad;
      const absl::StatusOr<text::TokenizerSpec> spec = tokenizer_from_json(files);
      if (!spec.ok())
        continue;
      const auto tokenizer = text::Tokenizer::create(*spec);
      ASSERT_TRUE(tokenizer.ok());
      (void)(*tokenizer)->encode("Hello <|im_end|>");
    }
}

} // namespace
} // namespace quern::hf
