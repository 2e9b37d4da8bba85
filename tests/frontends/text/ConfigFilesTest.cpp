// The files beside a vocabulary, and vocabularies without a tokenizer.json: against transformers
// (config_parity.py), and what is noted.
#include "frontends/hf/TokenizerJson.h"
#include "runtime/text/Message.h"
#include "runtime/text/Tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <unistd.h>

namespace quern::hf {
namespace {

using json = nlohmann::ordered_json; // new tokens are counted in the files' order
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Ids = std::vector<int32_t>;
namespace fs = std::filesystem;

const fs::path kData = QUERN_SOURCE_DIR "/tests/frontends/text/data";

/// A folder of files, for the time of a test.
class Folder {
public:
  explicit Folder(const json &files) {
    path_ = fs::path(testing::TempDir()) / ("configs" + std::to_string(getpid()));
    fs::remove_all(path_);
    fs::create_directories(path_);
    for (const auto &[name, value] : files.items()) {
      fs::create_directories((path_ / name).parent_path());
      std::ofstream(path_ / name) << (value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  ~Folder() { fs::remove_all(path_); }
  const fs::path &path() const { return path_; }

private:
  fs::path path_;
};

struct Loaded {
  std::unique_ptr<text::Tokenizer> tokenizer;
  std::string notes;
  std::string error;

  Ids ids(const std::string &text) const { return *tokenizer->encode(text); }
  const text::TokenizerSpec &spec() const { return tokenizer->spec(); }
  std::string named(const std::string &name) const {
    for (const text::NamedToken &token : spec().named_tokens)
      if (token.name == name)
        return token.token;
    return "";
  }
};

Loaded load(const json &files) {
  const Folder folder(files);
  Notes notes;
  absl::StatusOr<std::optional<text::TokenizerSpec>> spec = load_tokenizer(folder.path(), &notes);
  Loaded loaded;
  for (const std::string &note : notes)
    loaded.notes += note + "\n";
  if (!spec.ok() || !*spec) {
    loaded.error = spec.ok() ? "none" : std::string(text::message_of(spec.status()));
    return loaded;
  }
  // Through the artifact's bytes, as in life.
  auto tokenizer = text::Tokenizer::create(*text::deserialize(text::serialize(**spec)));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  loaded.tokenizer = *std::move(tokenizer);
  return loaded;
}

TEST(ConfigFiles, EqualTransformers) {
  const json goldens = json::parse(std::ifstream(kData / "configs.json"));
  ASSERT_FALSE(goldens.empty());
  for (const json &golden : goldens) {
    const Loaded loaded = load(golden["files"]);
    ASSERT_TRUE(loaded.tokenizer) << loaded.error;
    nlohmann::json named = nlohmann::json::object();
    for (const auto &[name, token] : {std::pair{"bos_token", loaded.spec().bos_token},
                                      std::pair{"eos_token", loaded.spec().eos_token}})
      if (!token.empty())
        named[name] = token;
    for (const text::NamedToken &token : loaded.spec().named_tokens)
      named[token.name] = token.token;
    EXPECT_EQ(named, nlohmann::json(golden["named"])) << golden["files"]["tokenizer_config.json"];
    for (size_t i = 0; i < golden["texts"].size(); ++i) {
      const auto want = golden["ids"][i].get<Ids>();
      EXPECT_EQ(loaded.ids(golden["texts"][i]), want) << golden["texts"][i];
      EXPECT_EQ(loaded.tokenizer->decode(want, /*skip_special=*/true),
                golden["text"][i].get<std::string>());
    }
  }
}

json tokenizer_json(json added = json::array()) {
  json root = json::parse(std::ifstream(kData / "gpt2" / "tokenizer.json"));
  root["added_tokens"] = std::move(added);
  return root;
}

const int32_t kTokens =
    static_cast<int32_t>(tokenizer_json()["model"]["vocab"].size()); // ids are 0 to this

// Only the config says that a token of the vocabulary is special.
TEST(ConfigFiles, TokensNamedInTheConfigAreSpecial) {
  json root = tokenizer_json();
  root["model"]["vocab"]["<|im_end|>"] = kTokens;
  const Loaded loaded = load(
      {{"tokenizer.json", root},
       {"tokenizer_config.json",
        {{"eos_token", "<|im_end|>"}, {"extra_special_tokens", {{"image_token", "<image>"}}}}}});
  EXPECT_EQ(loaded.ids("<|im_end|><image>"), (Ids{kTokens, kTokens + 1}));
  EXPECT_TRUE(loaded.tokenizer->is_special(kTokens));
  EXPECT_TRUE(loaded.tokenizer->is_end(kTokens));
  EXPECT_EQ(loaded.named("image_token"), "<image>");
}

TEST(ConfigFiles, IdsOfAddedTokensAreCounted) {
  const Loaded loaded =
      load({{"tokenizer.json",
             tokenizer_json({{{"id", kTokens + 40}, {"content", "<x>"}, {"special", true}}})}});
  EXPECT_EQ(loaded.ids("<x>"), Ids{kTokens});
  EXPECT_THAT(loaded.notes, HasSubstr("\"<x>\" has " + std::to_string(kTokens)));
}

TEST(ConfigFiles, AnEndThatNamesNoTokenIsNoted) {
  const Loaded beyond = load({{"tokenizer.json", tokenizer_json()},
                              {"config.json", {{"eos_token_id", 50256}, {"vocab_size", kTokens}}}});
  EXPECT_THAT(beyond.spec().eos_ids, IsEmpty());
  EXPECT_THAT(beyond.notes, HasSubstr("config.json: eos_token_id 50256 names none"));
  EXPECT_THAT(beyond.notes, HasSubstr("it ends nothing"));
  const Loaded listed = load({{"tokenizer.json", tokenizer_json()},
                              {"generation_config.json", {{"eos_token_id", {3, -1, "x", 1e300}}}},
                              {"config.json", {{"eos_token_id", 7}}}});
  EXPECT_THAT(listed.spec().eos_ids, ElementsAre(3));
  EXPECT_THAT(listed.notes, HasSubstr("generation_config.json: eos_token_id \"x\""));
  // A row of the model without a token: what it makes ends an answer, though it has no text.
  const Loaded padded =
      load({{"tokenizer.json", tokenizer_json()},
            {"config.json",
             {{"text_config", {{"eos_token_id", kTokens + 2}, {"vocab_size", kTokens + 8}}}}}});
  EXPECT_THAT(padded.spec().eos_ids, ElementsAre(kTokens + 2));
  EXPECT_EQ(padded.tokenizer->piece(kTokens + 2), "");
  EXPECT_THAT(padded.notes, HasSubstr("it ends an answer"));
}

TEST(ConfigFiles, SplitSpecialTokensIsNotedAndLeavesThemTheirNames) {
  const Loaded loaded =
      load({{"tokenizer.json",
             tokenizer_json({{{"id", kTokens}, {"content", "<x>"}, {"special", true}},
                             {{"id", kTokens + 1}, {"content", "<y>"}, {"special", false}}})},
            {"tokenizer_config.json", {{"eos_token", "<x>"}, {"split_special_tokens", true}}}});
  ASSERT_TRUE(loaded.tokenizer) << loaded.error;
  EXPECT_EQ(loaded.ids("<x>").size(), 3u);
  EXPECT_EQ(loaded.ids("<y>"), Ids{kTokens + 1});
  EXPECT_EQ(loaded.spec().eos_token, "<x>");
  EXPECT_TRUE(loaded.tokenizer->is_special(kTokens));
  EXPECT_TRUE(loaded.tokenizer->is_end(kTokens));
  EXPECT_THAT(loaded.notes, HasSubstr("split_special_tokens is true"));
}

TEST(ConfigFiles, StepsOfAClassThatTokenizerJsonHasNotAreNoted) {
  const auto notes = [](const char *tokenizer_class, bool space) {
    json root = tokenizer_json();
    root["normalizer"] = nullptr;
    root["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", space}};
    return load({{"tokenizer.json", root},
                 {"tokenizer_config.json", {{"tokenizer_class", tokenizer_class}}}})
        .notes;
  };
  EXPECT_EQ(notes("GPT2TokenizerFast", false), "");
  EXPECT_EQ(notes("PreTrainedTokenizerFast", true), "");
  EXPECT_THAT(notes("GPT2TokenizerFast", true),
              HasSubstr("tokenizer.json puts a space before a text, which counts"));
  EXPECT_THAT(notes("GPTNeoXTokenizerFast", false), HasSubstr("GPTNeoXTokenizer makes it NFC"));
  EXPECT_THAT(notes("RobertaTokenizerFast", false), HasSubstr("puts no tokens around a text"));
}

// As deep as would end a program that follows it by recursion.
TEST(ConfigFiles, DeepNestingIsRefused) {
  constexpr size_t kDeep = 100000;
  for (const char *file :
       {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "config.json", "generation_config.json", "chat_template.json"})
    for (const std::string open : {"[", "{\"a\":"}) {
      std::string deep = "{\"chat_template\":";
      for (size_t i = 0; i < kDeep; ++i)
        deep += open;
      deep += open == "[" ? "" : "1";
      deep += std::string(kDeep, open == "[" ? ']' : '}') + "}";
      json files = {{"tokenizer.json", tokenizer_json()}};
      files[file] = deep;
      const std::string error = load(files).error;
      EXPECT_THAT(error, HasSubstr(file));
      EXPECT_THAT(error, HasSubstr("nested deeper"));
    }
}

TEST(ConfigFiles, PythonsNumbersAreRead) {
  const Loaded loaded =
      load({{"tokenizer.json", tokenizer_json()},
            {"tokenizer_config.json",
             "\xef\xbb\xbf{\"model_max_length\": Infinity, \"x\": [NaN, -Infinity], \"eos_token\": "
             "\"Infinity\\\" NaN\"}"}});
  ASSERT_TRUE(loaded.tokenizer) << loaded.error;
  EXPECT_EQ(loaded.spec().eos_token, "Infinity\" NaN");
}

TEST(ConfigFiles, ChatTemplatesAreWhereTransformersLooks) {
  const json root = tokenizer_json();
  const auto chosen = [&](json files) {
    files["tokenizer.json"] = root;
    return load(files).spec().chat_template;
  };
  const json list = {{{"name", "rag"}, {"template", "r"}},
                     {{"name", "default"}, {"template", "d"}}};
  EXPECT_EQ(chosen({{"tokenizer_config.json", {{"chat_template", "c"}}}}), "c");
  EXPECT_EQ(chosen({{"tokenizer_config.json", {{"chat_template", list}}}}), "d");
  EXPECT_EQ(
      chosen({{"tokenizer_config.json", {{"chat_template", {{"x", "1"}, {"default", "2"}}}}}}),
      "2");
  EXPECT_EQ(chosen({{"tokenizer_config.json", {{"chat_template", "c"}}},
                    {"chat_template.jinja", "j"},
                    {"additional_chat_templates/tool_use.jinja", "t"}}),
            "j");
  EXPECT_EQ(chosen({{"tokenizer_config.json", {{"chat_template", "c"}}},
                    {"chat_template.json", {{"chat_template", "p"}}}}),
            "c");
  EXPECT_EQ(chosen({{"chat_template.json", {{"chat_template", "p"}}}}), "p");
  const Loaded undecided = load({{"tokenizer.json", root},
                                 {"additional_chat_templates/b.jinja", "b"},
                                 {"additional_chat_templates/a.jinja", "a"}});
  EXPECT_EQ(undecided.spec().chat_template, "a");
  EXPECT_THAT(undecided.notes, HasSubstr("none of the chat templates is the default; of a, b"));
}

TEST(ConfigFiles, BrokenTemplatesAreNoted) {
  const auto notes = [&](const char *source) {
    return load({{"tokenizer.json", tokenizer_json()}, {"chat_template.jinja", source}}).notes;
  };
  EXPECT_THAT(notes("{% for m in messages %}{{ m['content'"),
              HasSubstr("the chat template cannot be read"));
  EXPECT_THAT(notes("\n{{ messages|xyzzy }}"), HasSubstr("line 2: the filter 'xyzzy'"));
  EXPECT_EQ(notes("{{ messages|length }}"), "");
}

TEST(ConfigFiles, WhatGenerationAsksForIsNotedWithItsFlags) {
  const auto notes = [&](json generation) {
    return load({{"tokenizer.json", tokenizer_json()},
                 {"generation_config.json", std::move(generation)}})
        .notes;
  };
  EXPECT_EQ(notes({{"eos_token_id", 3}, {"do_sample", true}, {"use_cache", true}}), "");
  EXPECT_EQ(notes({{"temperature", 0.8}, {"top_k", 40}, {"top_p", nullptr}, {"num_beams", 1}}), "")
      << "which run does anyway";
  EXPECT_EQ(notes({{"do_sample", true}, {"temperature", 0.6}, {"top_p", 0.9}}),
            "generation_config.json asks for temperature 0.6, top_p 0.9, which run and chat do not "
            "take over: give them --temp 0.6 --top-p 0.9\n");
  EXPECT_EQ(notes({{"do_sample", false},
                   {"temperature", 0.6},
                   {"repetition_penalty", 1.2},
                   {"suppress_tokens", {5, 7}},
                   {"stop_strings", {"hello"}},
                   {"num_beams", 4}}),
            "generation_config.json asks for do_sample false, repetition_penalty 1.2, stop_strings "
            "[\"hello\"], suppress_tokens [5,7], num_beams 4, which run and chat do not take over: "
            "give them --temp 0 --repeat-penalty 1.2 --stop \"hello\" --logit-bias 5=-inf,7=-inf; "
            "no flag says num_beams\n");
  EXPECT_THAT(notes({{"stop_strings", "end"}}), HasSubstr("--stop \"end\""));
  EXPECT_THAT(notes({{"no_repeat_ngram_size", 3}}), HasSubstr("no flag says no_repeat_ngram_size"));
}

json vocabulary(const char *tokenizer_class, const char *merges) {
  json vocab = tokenizer_json()["model"]["vocab"];
  return {{"vocab.json", vocab},
          {"merges.txt", merges},
          {"tokenizer_config.json",
           {{"tokenizer_class", tokenizer_class}, {"bos_token", "</s>"}, {"add_bos_token", true}}},
          {"config.json", {{"model_type", "opt"}, {"vocab_size", kTokens + 1}}}};
}

TEST(VocabularyFiles, AreATokenizer) {
  const json root = tokenizer_json();
  std::string merges = "#version: 0.2\r\n";
  for (const json &merge : root["model"]["merges"])
    merges += merge[0].get<std::string>() + " " + merge[1].get<std::string>() + "\r\n";
  const Loaded opt = load(vocabulary("GPT2Tokenizer", merges.c_str()));
  ASSERT_TRUE(opt.tokenizer) << opt.error;
  Ids want = load({{"tokenizer.json", root}}).ids("the quick brown fox");
  EXPECT_LT(want.size(), 19u) << "merges are made";
  want.insert(want.begin(), kTokens); // OPT's BOS, which the config adds
  EXPECT_EQ(opt.ids("the quick brown fox"), want);
  EXPECT_EQ(opt.spec().eos_token, "<|endoftext|>") << "GPT-2's, where the config names none";
  EXPECT_EQ(opt.notes, "");
  json unknown = vocabulary("OddTokenizer", merges.c_str());
  unknown["config.json"]["model_type"] = "odd";
  EXPECT_THAT(load(unknown).notes, HasSubstr("are read as GPT-2's"));
}

TEST(VocabularyFiles, RefuseByName) {
  EXPECT_THAT(load(vocabulary("GPT2Tokenizer", "")).error, HasSubstr("there is no merges.txt"));
  EXPECT_THAT(load(vocabulary("GPT2Tokenizer", "#version: 0.2\nabc\n")).error,
              HasSubstr("merges.txt: line 2 is not two tokens"));
  EXPECT_THAT(load(vocabulary("GPT2Tokenizer", "t xyzzy\n")).error, HasSubstr("xyzzy"));
  EXPECT_THAT(load({{"vocab.txt", "[UNK]\na\n"}}).error, HasSubstr("vocab.txt: "));
}

TEST(VocabularyFiles, OfBert) {
  const Loaded bert = load({{"vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\n##s\n"},
                            {"tokenizer_config.json", {{"tokenizer_class", "BertTokenizerFast"}}}});
  ASSERT_TRUE(bert.tokenizer) << bert.error;
  EXPECT_EQ(bert.ids("Hellos [MASK] x"), (Ids{2, 5, 6, 4, 1, 3}));
}

} // namespace
} // namespace quern::hf
