// SentencePiece, unigram and WordPiece vocabularies, from every file that holds one, against the
// ids and texts of `tokenizers`, `sentencepiece` and llama.cpp (make_model_goldens.py).
#include "frontends/gguf/TokenizerMetadata.h"
#include "frontends/hf/SentencePieceModel.h"
#include "frontends/hf/TokenizerJson.h"
#include "runtime/text/Message.h"
#include "runtime/text/Tokenizer.h"
#include "tests/frontends/text/MetadataJson.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <random>

namespace quern {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Ids = std::vector<int32_t>;

const std::filesystem::path kData = QUERN_SOURCE_DIR "/tests/frontends/text/data";
const std::filesystem::path kModels = kData / "models";

const json &goldens() {
  static const json value = json::parse(std::ifstream(kModels / "goldens.json"));
  return value;
}

std::string shown(const json &text) { return text.dump(-1, ' ', true); }

/// Through the artifact's bytes, as in life.
std::unique_ptr<text::Tokenizer> tokenizer_of(const text::TokenizerSpec &spec) {
  absl::StatusOr<text::TokenizerSpec> stored = text::deserialize(text::serialize(spec));
  EXPECT_TRUE(stored.ok()) << stored.status();
  auto tokenizer = text::Tokenizer::create(*std::move(stored));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

text::TokenizerSpec load(const char *style) {
  absl::StatusOr<std::optional<text::TokenizerSpec>> spec = hf::load_tokenizer(kModels / style);
  EXPECT_TRUE(spec.ok()) << spec.status();
  return **std::move(spec);
}

void expect_text(const text::Tokenizer &tokenizer, const Ids &ids, const std::string &want,
                 size_t i) {
  EXPECT_EQ(tokenizer.decode(ids, /*skip_special=*/true), want) << i;
  text::StreamDecoder stream(tokenizer, /*skip_special=*/true);
  std::string streamed;
  for (int32_t id : ids)
    streamed += stream.push(id);
  EXPECT_EQ(streamed + stream.flush(), want) << i;
}

/// Ids must be equal, but that cuts of a word with the same sum of scores may differ: which of them
/// a unigram model takes is decided by the rounding of its sums (in `sentencepiece`, to 24 bits).
void expect_ids(const text::Tokenizer &tokenizer, const std::vector<double> &scores,
                const std::string &text, const Ids &got, const Ids &want) {
  if (got == want)
    return;
  const auto sum = [&](const Ids &ids) {
    double sum = 0;
    for (int32_t id : ids)
      sum += scores.at(static_cast<size_t>(id));
    return sum;
  };
  if (!scores.empty() && got.size() == want.size() &&
      tokenizer.decode(got) == tokenizer.decode(want))
    EXPECT_NEAR(sum(got), sum(want), 1e-3) << text;
  else
    EXPECT_EQ(got, want) << text;
}

class JsonStyle : public testing::TestWithParam<const char *> {};

TEST_P(JsonStyle, EqualsTokenizers) {
  const text::TokenizerSpec spec = load(GetParam());
  const auto tokenizer = tokenizer_of(spec);
  const json &style = goldens()["tokenizers"][GetParam()];
  for (size_t i = 0; i < goldens()["texts"].size(); ++i) {
    const json &text = goldens()["texts"][i];
    const auto want = style["ids"][i].get<Ids>();
    expect_ids(*tokenizer, spec.scores, shown(text), *tokenizer->encode(text.get<std::string>()),
               want);
    expect_text(*tokenizer, want, style["text"][i], i);
  }
}

INSTANTIATE_TEST_SUITE_P(Styles, JsonStyle,
                         testing::Values("llama", "mistral", "gemma", "unknown", "fused", "t5",
                                         "unigram_bytes", "xlmr", "bert", "bert_cased",
                                         "bert_plain", "odd", "odder"),
                         [](const auto &info) { return info.param; });

// Pipelines made at random (tokenizer_parity.py, goldens).
TEST(Pipelines, EqualTokenizers) {
  const json pipelines = json::parse(std::ifstream(kData / "pipelines.json"));
  ASSERT_FALSE(pipelines.empty());
  for (size_t i = 0; i < pipelines.size(); ++i) {
    const json &pipeline = pipelines[i];
    hf::TokenizerFiles files;
    files.tokenizer_json = pipeline["tokenizer"].dump();
    const auto spec = hf::tokenizer_from_json(files);
    ASSERT_TRUE(spec.ok()) << i << ": " << spec.status();
    const auto tokenizer = tokenizer_of(*spec);
    for (size_t j = 0; j < pipeline["texts"].size(); ++j) {
      const json &text = pipeline["texts"][j];
      const auto want = pipeline["ids"][j].get<Ids>();
      expect_ids(*tokenizer, spec->scores, std::to_string(i) + " " + shown(text),
                 *tokenizer->encode(text.get<std::string>()), want);
      expect_text(*tokenizer, want, pipeline["text"][j], i);
    }
  }
}

class ModelStyle : public testing::TestWithParam<const char *> {};

TEST_P(ModelStyle, EqualsSentencePiece) {
  const text::TokenizerSpec spec = load(GetParam());
  const auto tokenizer = tokenizer_of(spec);
  const json &style = goldens()["sentencepiece"][GetParam()];
  for (size_t i = 0; i < goldens()["texts"].size(); ++i) {
    const json &text = goldens()["texts"][i];
    const auto want = style["ids"][i].get<Ids>();
    const text::EncodeOptions plain{.add_special = false, .parse_special = false};
    expect_ids(*tokenizer, spec.scores, shown(text),
               *tokenizer->encode(text.get<std::string>(), plain), want);
    if (style["text"][i].is_string())
      expect_text(*tokenizer, want, style["text"][i], i);
  }
}

INSTANTIATE_TEST_SUITE_P(Styles, ModelStyle, testing::Values("spm_bpe", "spm_unigram", "spm_plain"),
                         [](const auto &info) { return info.param; });

class GgufStyle : public testing::TestWithParam<const char *> {};

TEST_P(GgufStyle, EqualsLlamaCpp) {
  const json &style = goldens()["gguf"][GetParam()];
  const absl::StatusOr<text::TokenizerSpec> spec =
      gguf::tokenizer_from_metadata(gguf::metadata_of(style["metadata"]));
  ASSERT_TRUE(spec.ok()) << spec.status();
  const auto tokenizer = tokenizer_of(*spec);
  for (size_t i = 0; i < goldens()["texts"].size(); ++i) {
    const json &text = goldens()["texts"][i];
    const text::EncodeOptions plain{.add_special = false, .parse_special = false};
    expect_ids(*tokenizer, spec->scores, shown(text),
               *tokenizer->encode(text.get<std::string>(), plain), style["plain"][i].get<Ids>());
    expect_ids(*tokenizer, spec->scores, shown(text), *tokenizer->encode(text.get<std::string>()),
               style["ids"][i].get<Ids>());
  }
}

INSTANTIATE_TEST_SUITE_P(Styles, GgufStyle, testing::Values("llama", "equal_scores", "t5"),
                         [](const auto &info) { return info.param; });

// llama.cpp decomposes no Hangul and drops spacing marks; the ids here are BERT's own.
TEST(GgufWordPiece, EqualsTokenizers) {
  const json &metadata = goldens()["gguf"]["bert"]["metadata"];
  const auto tokenizer = tokenizer_of(*gguf::tokenizer_from_metadata(gguf::metadata_of(metadata)));
  const json &ids = goldens()["tokenizers"]["bert"]["ids"];
  for (size_t i = 0; i < ids.size(); ++i) {
    const json &text = goldens()["texts"][i];
    EXPECT_EQ(*tokenizer->encode(text.get<std::string>()), ids[i].get<Ids>()) << shown(text);
  }
}

TEST(GgufPreTokenizers, EqualLlamaCpp) {
  json metadata = {{"model", "gpt2"}, {"bos", 0}, {"eos", 0}};
  const text::TokenizerSpec gpt2 = **hf::load_tokenizer(kData / "gpt2");
  metadata["tokens"] = gpt2.tokens;
  metadata["types"] = std::vector<int32_t>(gpt2.tokens.size(), 1);
  std::vector<std::string> merges;
  for (const text::Merge &merge : gpt2.merges)
    merges.push_back(gpt2.tokens[static_cast<size_t>(merge.left)] + " " +
                     gpt2.tokens[static_cast<size_t>(merge.right)]);
  metadata["merges"] = merges;
  for (const auto &[pre, golden] : goldens()["pre"].items()) {
    metadata["pre"] = pre;
    const auto tokenizer =
        tokenizer_of(*gguf::tokenizer_from_metadata(gguf::metadata_of(metadata)));
    for (size_t i = 0; i < golden["ids"].size(); ++i) {
      const json &text = goldens()["texts"][2 * i];
      const text::EncodeOptions plain{.add_special = false, .parse_special = false};
      EXPECT_EQ(*tokenizer->encode(text.get<std::string>(), plain), golden["ids"][i].get<Ids>())
          << pre << " " << i << ": " << shown(text);
    }
  }
}

std::string bytes_of(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(SentencePieceModel, SpecialTokensGoAroundAsTheConfigSays) {
  hf::TokenizerFiles files;
  files.sentence_piece_model = bytes_of(kModels / "spm_bpe" / "tokenizer.model");
  absl::StatusOr<text::TokenizerSpec> spec = hf::tokenizer_from_sentence_piece(files);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->bos_token, "<s>");
  EXPECT_EQ(spec->unk_id, 0);
  EXPECT_THAT(spec->eos_ids, ElementsAre(2));
  EXPECT_THAT(spec->prefix_ids, ElementsAre(1));
  EXPECT_THAT(spec->suffix_ids, ElementsAre());
  const auto extra = static_cast<int32_t>(spec->tokens.size());
  files.tokenizer_config_json =
      json{{"add_bos_token", false},
           {"add_eos_token", true},
           {"eos_token", "<end>"},
           {"added_tokens_decoder",
            {{std::to_string(extra), {{"content", "<end>"}, {"special", true}}}}}}
          .dump();
  spec = hf::tokenizer_from_sentence_piece(files);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_THAT(spec->prefix_ids, ElementsAre());
  EXPECT_THAT(spec->eos_ids, ElementsAre(2, extra));
  EXPECT_THAT(spec->suffix_ids, ElementsAre(extra)) << "the one that the config names";
  EXPECT_EQ(tokenizer_of(*spec)->encode("<end>", {.add_special = false}).value(), Ids{extra});
}

// The ids are those of `sentencepiece`, cut as transformers' LlamaTokenizer cuts texts.
TEST(SentencePieceModel, ASpaceGoesBeforeATextAsTheConfigSays) {
  hf::TokenizerFiles files;
  files.sentence_piece_model = bytes_of(kModels / "spm_bpe" / "tokenizer.model");
  const auto marks = [&](json config, std::string_view text) {
    files.tokenizer_config_json = config.dump();
    absl::StatusOr<text::TokenizerSpec> spec = hf::tokenizer_from_sentence_piece(files);
    EXPECT_TRUE(spec.ok()) << spec.status();
    const auto tokenizer = tokenizer_of(*spec);
    std::string pieces;
    const Ids ids = tokenizer->encode(text, {.add_special = false}).value();
    for (int32_t id : ids)
      pieces += spec->tokens[static_cast<size_t>(id)];
    // What goes in comes out, whatever goes before it.
    EXPECT_EQ(tokenizer->decode(tokenizer->encode("the user", {.add_special = false}).value()),
              "the user");
    return pieces;
  };
  const json llama = {{"tokenizer_class", "LlamaTokenizer"}};
  const auto with = [&](const char *key, bool value) {
    json config = llama;
    config[key] = value;
    return config;
  };
  EXPECT_EQ(marks(llama, "the</s>user"), "\u2581the</s>\u2581user");
  EXPECT_EQ(marks(with("legacy", true), "the</s>user"), "\u2581the</s>\u2581user");
  EXPECT_EQ(marks(with("legacy", false), "the</s>user"), "\u2581the</s>user");
  EXPECT_EQ(marks(with("legacy", false), "</s>user"), "</s>user");
  EXPECT_EQ(marks(with("add_prefix_space", false), "the</s>user"), "the</s>user");
  EXPECT_EQ(marks(with("add_prefix_space", false), "the user"), "the\u2581user");
  json neither = with("add_prefix_space", false);
  neither["legacy"] = false;
  EXPECT_EQ(marks(neither, "the</s>user"), "the</s>user");
  EXPECT_EQ(marks({{"tokenizer_class", "GemmaTokenizer"}, {"legacy", false}}, "the</s>user"),
            "\u2581the</s>\u2581user");
}

TEST(SentencePieceModel, RefusesByName) {
  const auto refused = [](std::string bytes) {
    hf::TokenizerFiles files;
    files.sentence_piece_model = std::move(bytes);
    const auto spec = hf::tokenizer_from_sentence_piece(files);
    return spec.ok() ? std::string("accepted") : std::string(text::message_of(spec.status()));
  };
  using namespace std::string_literals;
  const std::string piece = "\x0a\x03\x0a\x01"s + "a";
  EXPECT_EQ(refused(piece + "\x12\x02\x18\x02"s), "accepted");
  EXPECT_THAT(refused(""), HasSubstr("not a SentencePiece model"));
  EXPECT_THAT(refused("IQ== 0\nIg== 1\n"), HasSubstr("tokenizer.model: ")); // tiktoken's
  EXPECT_THAT(refused(piece + "\x12\x02\x18\x04"s), HasSubstr("model type 4"));
  EXPECT_THAT(refused("\x0a\x02\x0a\x00"s), HasSubstr("piece 0 is damaged"));
  EXPECT_THAT(refused("\x0a\x05\x0a\x01"s), HasSubstr("damaged"));
  EXPECT_THAT(refused(piece + "\x12\x01\x18"s), HasSubstr("damaged"));
  EXPECT_THAT(refused("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s), HasSubstr("damaged"));
  EXPECT_THAT(refused("\x0a\x08\x0a\x01"
                      "a\x15\x00\x00\xc0\x7f"s),
              HasSubstr("piece 0")); // NaN
}

// Bytes changed, cut out and doubled: no crash, and what is accepted tokenizes.
TEST(SentencePieceModel, SurvivesMutation) {
  const std::string good = bytes_of(kModels / "spm_unigram" / "tokenizer.model");
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    std::string bad = good;
    for (unsigned n = 1 + random() % 3; n > 0; --n) {
      // The end holds the charsmap; the beginning the pieces.
      const size_t at = random() % 2 ? random() % bad.size() : bad.size() - 1 - random() % 400;
      if (random() % 4 == 0)
        bad.erase(at, random() % 8);
      else
        bad[at] = static_cast<char>(random());
    }
    hf::TokenizerFiles files;
    files.sentence_piece_model = bad;
    const auto spec = hf::tokenizer_from_sentence_piece(files);
    if (!spec.ok())
      continue;
    const auto tokenizer = tokenizer_of(*spec);
    const auto ids = tokenizer->encode("Hello \xef\xbd\x81 e\xcc\x81 <user>\t\xef\xb7\xba");
    if (ids.ok())
      (void)tokenizer->decode(*ids);
  }
}

// Each folder's tokenizer.json with bytes changed outside its vocabulary and in it.
TEST(TokenizerJson, StylesSurviveMutation) {
  std::mt19937 random(6);
  for (const char *style : {"llama", "t5", "bert", "xlmr", "odd"}) {
    const std::string good = bytes_of(kModels / style / "tokenizer.json");
    const size_t head = good.find("\"vocab\"");
    for (int round = 0; round < 120; ++round) {
      hf::TokenizerFiles files;
      files.tokenizer_json = good;
      for (unsigned n = 1 + random() % 2; n > 0; --n) {
        const size_t at = random() % (random() % 8 ? head : good.size());
        files.tokenizer_json[at] ^= static_cast<char>(1u << random() % 7);
      }
      const auto spec = hf::tokenizer_from_json(files);
      if (!spec.ok())
        continue;
      const auto ids = tokenizer_of(*spec)->encode("Hello <s> e\u0301 \uff41 [MASK] user\t1");
      if (ids.ok())
        (void)tokenizer_of(*spec)->decode(*ids);
    }
  }
}

} // namespace
} // namespace quern
