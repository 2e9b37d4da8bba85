// RWKV's World vocabulary, from its own file and from GGUF, against the ids of the `rwkv` package's
// tokenizer (make_world_goldens.py).
#include "frontends/PythonLiteral.h"
#include "frontends/gguf/TokenizerMetadata.h"
#include "frontends/hf/TokenizerJson.h"
#include "runtime/text/Message.h"
#include "runtime/text/Tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>

namespace quern {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Ids = std::vector<int32_t>;

const std::filesystem::path kWorld = QUERN_SOURCE_DIR "/tests/frontends/text/data/world";

/// As llama.cpp's converter spells a token: what Python writes between the quotes of bytes.
std::string spelled(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '\n' || c == '\r' || c == '\t')
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    else if (c == '\\')
      out += "\\\\";
    else if (byte >= 0x20 && byte < 0x7f)
      out += c;
    else
      out += std::string("\\x") + "0123456789abcdef"[byte >> 4] + "0123456789abcdef"[byte & 15];
  }
  return out;
}

void expect_goldens(const text::TokenizerSpec &spec) {
  absl::StatusOr<text::TokenizerSpec> stored = text::deserialize(text::serialize(spec));
  ASSERT_TRUE(stored.ok()) << stored.status();
  const auto tokenizer = *text::Tokenizer::create(*std::move(stored));
  const json goldens = json::parse(std::ifstream(kWorld / "goldens.json"));
  ASSERT_GE(goldens["texts"].size(), 90u);
  for (size_t i = 0; i < goldens["texts"].size(); ++i) {
    const auto text = goldens["texts"][i].get<std::string>();
    const absl::StatusOr<Ids> ids = tokenizer->encode(text);
    ASSERT_TRUE(ids.ok()) << ids.status();
    EXPECT_EQ(*ids, goldens["ids"][i].get<Ids>()) << goldens["texts"][i].dump(-1, ' ', true);
    EXPECT_EQ(tokenizer->decode(*ids), text);
  }
  EXPECT_TRUE(tokenizer->is_end(0));
}

TEST(WorldVocabulary, GivesThePackagesIds) {
  const auto spec = hf::load_tokenizer(kWorld);
  ASSERT_TRUE(spec.ok()) << spec.status();
  expect_goldens(**spec);
  EXPECT_EQ((*spec)->prefix_ids, Ids());
}

TEST(WorldVocabulary, GivesThemFromGguf) {
  const text::TokenizerSpec spec = **hf::load_tokenizer(kWorld);
  gguf::TokenizerMetadata metadata;
  metadata.model = "rwkv";
  metadata.tokens = {"<s>"};
  metadata.token_types = {3};
  for (size_t i = 1; i < spec.tokens.size(); ++i) {
    metadata.tokens.push_back(spelled(spec.tokens[i]));
    metadata.token_types.push_back(1);
  }
  metadata.tokens.push_back("[PAD]");
  metadata.token_types.push_back(5);
  metadata.bos_id = metadata.eos_id = 0;
  const auto read = gguf::tokenizer_from_metadata(metadata);
  ASSERT_TRUE(read.ok()) << read.status();
  expect_goldens(*read);
  metadata.tokens[5] = "\\q";
  EXPECT_THAT(std::string(gguf::tokenizer_from_metadata(metadata).status().message()),
              HasSubstr("token 5, \"\\q\", has an escape"));
}

TEST(WorldVocabulary, CallsTheEndOfATextAsConfigsDo) {
  hf::TokenizerFiles files;
  files.world_vocabulary = "1 'a' 1\n2 ' the' 4\n";
  const auto names = [&](const char *config) {
    files.tokenizer_config_json = config;
    const auto spec = hf::tokenizer_from_world_vocabulary(files);
    EXPECT_TRUE(spec.ok()) << spec.status();
    EXPECT_EQ(spec->tokens.size(), 3u);
    EXPECT_THAT(spec->eos_ids, ElementsAre(0));
    return spec->tokens[0];
  };
  EXPECT_EQ(names("{}"), "<|rwkv_tokenizer_end_of_text|>");
  EXPECT_EQ(names(R"({"eos_token": "<s>", "bos_token": "<s>"})"), "<s>");
  EXPECT_EQ(names(R"({"added_tokens_decoder": {"0": {"content": "<end>", "special": true}}})"),
            "<end>");
}

TEST(WorldVocabulary, RefusesByLine) {
  for (const char *line : {"2", "2 'b'", "2 'b' 2", "2 b 1", "0 'b' 1", "x 'b' 1", "2 'b\\q' 3",
                           "2 '\\xzz' 1", "9999 'b' 1", "2 '' 0"}) {
    hf::TokenizerFiles files;
    files.world_vocabulary = std::string("1 'a' 1\n") + line;
    const auto spec = hf::tokenizer_from_world_vocabulary(files);
    ASSERT_FALSE(spec.ok()) << line;
    EXPECT_THAT(std::string(spec.status().message()), HasSubstr("rwkv_vocab_v20230424.txt: line 2"))
        << line;
  }
}

TEST(PythonLiteral, IsATextOrBytes) {
  EXPECT_EQ(parse_python_literal("'\\x80\\u00e9\\U0001f44d'"), "\u0080é👍");
  EXPECT_EQ(parse_python_literal("b'\\x80\\'\\n'"), "\x80'\n");
  EXPECT_EQ(parse_python_literal("\"it's\""), "it's");
  for (const char *wrong :
       {"", "'", "a", "'a\"", "b'\\u00e9'", "'\\ud800'", "'\\'", "'\\U00110000'"})
    EXPECT_EQ(parse_python_literal(wrong), std::nullopt) << wrong;
}

} // namespace
} // namespace quern
