// GGUF's tokenizer metadata: the same vocabulary through GGUF's names gives the ids it has as
// tokenizer.json, and what the importer refuses.
#include "frontends/gguf/TokenizerMetadata.h"

#include "frontends/hf/TokenizerJson.h"
#include "runtime/text/Message.h"
#include "runtime/text/Tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>

namespace quern::gguf {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::filesystem::path kData = QUERN_SOURCE_DIR "/tests/frontends/text/data";

text::TokenizerSpec load(const char *style) { return **hf::load_tokenizer(kData / style); }

/// What llama.cpp's converter would write for a tokenizer.json.
TokenizerMetadata metadata_of(const text::TokenizerSpec &spec, std::string pre) {
  TokenizerMetadata metadata;
  metadata.model = "gpt2";
  metadata.pre = std::move(pre);
  metadata.tokens = spec.tokens;
  for (text::TokenKind kind : spec.kinds)
    metadata.token_types.push_back(kind == text::TokenKind::Control       ? 3
                                   : kind == text::TokenKind::UserDefined ? 4
                                                                          : 1);
  for (const text::Merge &merge : spec.merges)
    metadata.merges.push_back(spec.tokens[static_cast<size_t>(merge.left)] + " " +
                              spec.tokens[static_cast<size_t>(merge.right)]);
  metadata.bos_id = 1;
  metadata.eos_id = 2;
  metadata.chat_template = "{{ messages }}";
  return metadata;
}

std::unique_ptr<text::Tokenizer> tokenizer(text::TokenizerSpec spec) {
  return *text::Tokenizer::create(std::move(spec));
}

class PreName : public testing::TestWithParam<std::pair<const char *, const char *>> {};

TEST_P(PreName, GivesTheIdsOfTokenizerJson) {
  const auto &[pre, style] = GetParam();
  text::TokenizerSpec reference = load(style);
  reference.normalizers.clear(); // GGUF has none
  // tokenizer.json finds some added tokens after normalization; GGUF finds all before.
  for (text::AddedToken &token : reference.added_tokens)
    token.lstrip = token.rstrip = token.normalized = false;
  const absl::StatusOr<text::TokenizerSpec> spec =
      tokenizer_from_metadata(metadata_of(reference, pre));
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->ignore_merges, reference.ignore_merges);
  const auto want = tokenizer(reference), got = tokenizer(*spec);
  const json goldens = json::parse(std::ifstream(kData / "goldens.json"));
  for (const json &text : goldens["texts"])
    for (bool parse_special : {false, true}) {
      const text::EncodeOptions options{.add_special = false, .parse_special = parse_special};
      EXPECT_EQ(*got->encode(text.get<std::string>(), options),
                *want->encode(text.get<std::string>(), options))
          << text.dump(-1, ' ', true);
    }
}

INSTANTIATE_TEST_SUITE_P(All, PreName,
                         testing::Values(std::pair{"gpt-2", "gpt2"}, std::pair{"smollm", "smollm"},
                                         std::pair{"llama-bpe", "llama3"},
                                         std::pair{"qwen2", "qwen2"},
                                         std::pair{"deepseek-v3", "deepseek3"}),
                         [](const auto &info) { return info.param.second; });

TEST(TokenizerMetadata, DefaultCutsPunctuationAndThreeDigits) {
  const auto got = tokenizer(*tokenizer_from_metadata(metadata_of(load("smollm"), "")));
  EXPECT_EQ(got->spec().pre_tokenizer.size(), 4u);
  EXPECT_EQ(got->decode(*got->encode("1234567?!")), "1234567?!");
}

TEST(TokenizerMetadata, ReadsSpecialTokens) {
  TokenizerMetadata metadata = metadata_of(load("smollm"), "smollm");
  metadata.add_bos = true;
  metadata.add_eos = true;
  const text::TokenizerSpec spec = *tokenizer_from_metadata(metadata);
  EXPECT_EQ(spec.bos_id, 1);
  EXPECT_EQ(spec.bos_token, "<|im_start|>");
  EXPECT_EQ(spec.eos_token, "<|im_end|>");
  EXPECT_THAT(spec.prefix_ids, ElementsAre(1));
  EXPECT_THAT(spec.suffix_ids, ElementsAre(2));
  EXPECT_THAT(spec.eos_ids, ElementsAre(2, 0)) << "<|endoftext|> ends an answer by its spelling";
  EXPECT_EQ(spec.chat_template, "{{ messages }}");
  EXPECT_EQ(spec.unk_id, -1);
}

TEST(TokenizerMetadata, Llama3AddsBosUnlessToldOtherwise) {
  TokenizerMetadata metadata = metadata_of(load("llama3"), "llama-bpe");
  EXPECT_THAT(tokenizer_from_metadata(metadata)->prefix_ids, ElementsAre(1));
  metadata.add_bos = false;
  EXPECT_THAT(tokenizer_from_metadata(metadata)->prefix_ids, ElementsAre());
}

TEST(TokenizerMetadata, RefusesByKey) {
  const TokenizerMetadata good = metadata_of(load("smollm"), "smollm");
  const auto refused = [&](auto change) {
    TokenizerMetadata metadata = good;
    change(metadata);
    const auto spec = tokenizer_from_metadata(metadata);
    return spec.ok() ? std::string("accepted") : std::string(text::message_of(spec.status()));
  };
  EXPECT_THAT(refused([](auto &m) { m.model = "plamo2"; }),
              HasSubstr("tokenizer.ggml.model: \"plamo2\""));
  EXPECT_THAT(refused([](auto &m) { m.model = "t5"; }),
              HasSubstr("tokenizer.ggml.scores: 0 scores"));
  EXPECT_THAT(refused([](auto &m) {
                m.model = "llama";
                m.scores = {1};
              }),
              HasSubstr("tokenizer.ggml.scores: 1 scores"));
  EXPECT_THAT(refused([](auto &m) { m.merges.clear(); }), HasSubstr("tokenizer.ggml.merges"));
  EXPECT_THAT(refused([](auto &m) { m.pre = "xyzzy"; }),
              HasSubstr("tokenizer.ggml.pre: \"xyzzy\""));
  EXPECT_THAT(refused([](auto &m) { m.token_types.pop_back(); }),
              HasSubstr("tokenizer.ggml.token_type"));
  EXPECT_THAT(refused([](auto &m) { m.token_types[5] = 9; }),
              HasSubstr("tokenizer.ggml.token_type: 9"));
  EXPECT_THAT(refused([](auto &m) { m.merges[2] = "ab"; }),
              HasSubstr("tokenizer.ggml.merges: entry 2"));
  EXPECT_THAT(refused([](auto &m) { m.merges[2] = "xyzzy a"; }), HasSubstr("xyzzy"));
  EXPECT_THAT(refused([](auto &m) {
                m.bos_id.reset();
                m.add_bos = true;
              }),
              HasSubstr("tokenizer.ggml.add_bos_token"));
  EXPECT_THAT(refused([](auto &m) {
                m = {};
                m.model = "gpt2";
              }),
              HasSubstr("the vocabulary is empty"));
}

// What llama.cpp only warns of, or takes without a word.
TEST(TokenizerMetadata, NotesByKey) {
  const TokenizerMetadata good = metadata_of(load("smollm"), "smollm");
  text::TokenizerSpec spec;
  const auto noted = [&](auto change) {
    TokenizerMetadata metadata = good;
    change(metadata);
    std::vector<std::string> notes;
    const auto made = tokenizer_from_metadata(metadata, &notes);
    EXPECT_TRUE(made.ok()) << made.status();
    spec = *made;
    std::string all;
    for (const std::string &note : notes)
      all += note + "\n";
    return all;
  };
  EXPECT_EQ(noted([](auto &) {}), "");
  EXPECT_THAT(noted([](auto &m) { m.pre.clear(); }), HasSubstr("tokenizer.ggml.pre is missing"));
  EXPECT_THAT(noted([](auto &m) { m.token_types.clear(); }),
              HasSubstr("tokenizer.ggml.token_type is missing"));
  EXPECT_THAT(noted([](auto &m) { m.token_types.push_back(1); }),
              HasSubstr("the last are passed over"));
  EXPECT_THAT(noted([](auto &m) { m.model = "llama"; }),
              HasSubstr("tokenizer.ggml.scores is missing"));
  EXPECT_THAT(noted([](auto &m) { m.tokens[40] = m.tokens[30]; }),
              HasSubstr("has the ids 30 and 40"));
  EXPECT_THAT(noted([](auto &m) { m.chat_template = "{% if"; }),
              HasSubstr("the chat template cannot be read"));
  EXPECT_THAT(noted([](auto &m) {
                m.bos_id = 4294967295;
                m.add_bos = true;
              }),
              HasSubstr("tokenizer.ggml.bos_token_id: 4294967295 names none"));
  EXPECT_THAT(spec.prefix_ids, ElementsAre());
  EXPECT_EQ(spec.bos_token, "");
  EXPECT_THAT(noted([](auto &m) { m.eos_id = -1; }),
              HasSubstr("tokenizer.ggml.eos_token_id: -1 names none"));
  EXPECT_THAT(spec.eos_ids, ElementsAre(2, 0)) << "by their spellings";
}

TEST(TokenizerMetadata, WithoutMergesThereAreBytes) {
  TokenizerMetadata metadata;
  metadata.model = "gpt2";
  metadata.pre = "gpt-2";
  metadata.tokens = {"a", "b", "<eos>"};
  metadata.token_types = {1, 1, 3};
  EXPECT_TRUE(tokenizer_from_metadata(metadata).ok());
}

// As llama.cpp: what is of no kind that has a text has none, whether a model makes it or not.
TEST(TokenizerMetadata, UnusedTokensAreSilent) {
  TokenizerMetadata metadata = metadata_of(load("smollm"), "smollm");
  const auto last = static_cast<int32_t>(metadata.tokens.size());
  for (const auto &[token, type] : {std::pair{"[PAD1]", 5}, std::pair{"<0x41>", 6}}) {
    metadata.tokens.push_back(token);
    metadata.token_types.push_back(type);
  }
  metadata.pad_id = last;
  metadata.fill_in_ids[3] = 5;
  const auto got =
      tokenizer(*text::deserialize(text::serialize(*tokenizer_from_metadata(metadata))));
  EXPECT_EQ(got->decode(std::vector<int32_t>{last, last + 1}), "");
  EXPECT_TRUE(got->is_end(5)) << "tokenizer.ggml.fim_pad_token_id";
  ASSERT_EQ(got->spec().named_tokens.size(), 1u);
  EXPECT_EQ(got->spec().named_tokens[0].name, "pad_token");
  EXPECT_EQ(got->spec().named_tokens[0].token, "[PAD1]");
}

} // namespace
} // namespace quern::gguf
