// Tests `quern-run embed` as a process, on small encoders made on the spot: that a text's vector is
// the same bits in any company, scores of pairs, and what it refuses.
#include "tests/conformance/Driver.h"

#include <algorithm>

namespace quern::conformance {
namespace {

using testing::HasSubstr;

constexpr int kLetters = 26;

/// A letter is a token, 5 to 30; "[CLS] text [SEP]" or "[CLS] text [SEP] pair [SEP]".
std::string letters_tokenizer() {
  nlohmann::json vocab = {{"[PAD]", 0}, {"[UNK]", 1}, {"[CLS]", 2}, {"[SEP]", 3}, {"[MASK]", 4}};
  for (int i = 0; i < kLetters; ++i)
    vocab[std::string(1, static_cast<char>('a' + i))] = 5 + i;
  const auto special = [](const char *name, int type) {
    return nlohmann::json{{"SpecialToken", {{"id", name}, {"type_id", type}}}};
  };
  const auto sequence = [](const char *name, int type) {
    return nlohmann::json{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  nlohmann::json specials, added = nlohmann::json::array();
  for (const auto &[name, id] : {std::pair{"[CLS]", 2}, {"[SEP]", 3}}) {
    specials[name] = {{"id", name}, {"ids", {id}}, {"tokens", {name}}};
    added.push_back({{"id", id},
                     {"content", name},
                     {"special", true},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false}});
  }
  return nlohmann::json{{"version", "1.0"},
                        {"truncation", nullptr},
                        {"padding", nullptr},
                        {"added_tokens", added},
                        {"normalizer", nullptr},
                        {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
                        {"post_processor",
                         {{"type", "TemplateProcessing"},
                          {"single", {special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0)}},
                          {"pair",
                           {special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0),
                            sequence("B", 1), special("[SEP]", 1)}},
                          {"special_tokens", specials}}},
                        {"decoder", nullptr},
                        {"model",
                         {{"type", "WordPiece"},
                          {"unk_token", "[UNK]"},
                          {"continuing_subword_prefix", "##"},
                          {"max_input_chars_per_word", 100},
                          {"vocab", vocab}}}}
      .dump();
}

/// Words of a letter each.
std::string text_of(int words, int seed) {
  std::string text;
  for (int i = 0; i < words; ++i)
    text += std::string(i ? " " : "") + static_cast<char>('a' + (i * i + 7 * i + seed) % kLetters);
  return text;
}

class Embed : public Driver {
protected:
  void SetUp() override {
    Driver::SetUp();
    folder_.write("tokenizer.json", letters_tokenizer());
    write_config("BertModel");
  }
  void write_config(const std::string &architecture) {
    folder_.write("config.json", nlohmann::json{{"model_type", "bert"},
                                                {"architectures", {architecture}},
                                                {"vocab_size", 5 + kLetters},
                                                {"hidden_size", 72},
                                                {"intermediate_size", 100},
                                                {"num_hidden_layers", 2},
                                                {"num_attention_heads", 3},
                                                {"max_position_embeddings", 96},
                                                {"id2label", {{"0", "no"}, {"1", "yes"}}},
                                                {"num_labels", 2}}
                                     .dump());
  }
  Result embed(std::vector<std::string> more) const {
    more.insert(more.begin(), {"embed", "-m", artifact_});
    return call("quern-run", more);
  }
  std::vector<std::vector<float>> vectors(std::vector<std::string> more) const {
    more.insert(more.end(), {"-o", folder_.path("v.npy")});
    const Result result = embed(more);
    EXPECT_EQ(result.code, 0) << result.err;
    const Logits rows = read_logits(folder_.path("v.npy"));
    std::vector<std::vector<float>> list;
    for (int64_t row = 0; row < rows.rows; ++row)
      list.emplace_back(rows.values.begin() + row * rows.cols,
                        rows.values.begin() + (row + 1) * rows.cols);
    return list;
  }
};

TEST_F(Embed, ATextsVectorIsTheSameBitsInAnyCompany) {
  // More tokens than a step has, of lengths that end within and at the edges of pages.
  std::vector<std::string> texts;
  std::string file;
  for (const int words : {3, 61, 1, 62, 63, 94, 14, 15, 16, 17, 3, 80, 40, 40, 41, 2, 33, 70, 5}) {
    texts.push_back(text_of(words, static_cast<int>(texts.size())));
    file += texts.back() + "\n";
  }
  folder_.write("texts", file);
  for (const std::string quant : {"f32", "int8"}) {
    done("quern", {"compile", config_, "-o", artifact_, "-q", "--synthetic", "5", "--quant", quant,
                   "--variant", "x86-64-v3,native"});
    for (const std::string variant : {"x86-64-v3", "native"}) {
      SCOPED_TRACE(quant + " " + variant);
      const auto all = vectors({"-f", folder_.path("texts"), "--variant", variant, "-t", "1"});
      ASSERT_EQ(all.size(), texts.size());
      EXPECT_EQ(vectors({"-f", folder_.path("texts"), "--variant", variant, "-t", "3"}), all);
      for (const size_t i : {size_t{0}, size_t{4}, size_t{5}})
        EXPECT_EQ(vectors({"-p", texts[i], "--variant", variant}).front(), all[i]) << i;
      EXPECT_NE(all[0], all[10]) << "texts of one length";
    }
  }
}

TEST_F(Embed, ScoresTextsAndPairs) {
  write_config("BertForSequenceClassification");
  done("quern", compile());
  const auto scores = [&](std::vector<std::string> more) {
    more.push_back("--json");
    const Result result = embed(more);
    EXPECT_EQ(result.code, 0) << result.err;
    return result.json()["scores"];
  };
  const auto both = scores({"-p", "a b", "--pair", "c", "--pair", "d e"});
  ASSERT_EQ(both.size(), 2u);
  EXPECT_TRUE(both[0].contains("no") && both[0].contains("yes")) << both;
  EXPECT_EQ(scores({"-p", "a b", "-p", "a b", "--pair", "d e", "--pair", "c"})[1], both[0]);
  // What is behind [SEP] is of another type, so that a pair is not the same tokens in one text.
  EXPECT_NE(scores({"-p", "a b [SEP] c"})[0], both[0]);
  EXPECT_THAT(embed({"-p", "a", "-p", "b", "--pair", "c"}).err, HasSubstr("2 texts and 1 pairs"));
}

TEST_F(Embed, RefusesWhatItCannotDo) {
  done("quern", compile({"-c", "16"}));
  const std::string longer = text_of(40, 1);
  expect_refused(embed({"-p", "a", "-p", longer, "--no-truncate"}));
  EXPECT_THAT(embed({"-p", "a", "-p", longer, "--no-truncate"}).err,
              HasSubstr("1 of 2 texts are longer than the 16 tokens that the model takes; the "
                        "first is text 2, by 26 tokens"));
  const Result cut = embed({"-p", longer});
  EXPECT_EQ(cut.code, 0);
  EXPECT_THAT(cut.err, HasSubstr("note: 1 of 1 texts are cut after 16 tokens"));
  EXPECT_EQ(embed({"-p", text_of(14, 1)}).out, cut.out);
  EXPECT_EQ(embed({"-p", ""}).code, 0) << "of an empty text the tokens around it are left";
  folder_.write("nothing", "");
  EXPECT_THAT(embed({"-f", folder_.path("nothing")}).err, HasSubstr("there is no text in it"));
  EXPECT_EQ(embed({"-p", "a", "-f", "x"}).code, 2);
  EXPECT_THAT(embed({"-p", "a", "--prompt-name", "query"}).err,
              HasSubstr("the model has no prompt 'query'"));
  EXPECT_THAT(call("quern-run", {"run", "-m", artifact_, "-p", "a"}).err,
              HasSubstr("quern-run embed gives an encoder's vectors"));

  std::filesystem::remove(folder_.path("tokenizer.json"));
  done("quern", compile());
  expect_refused(embed({"-p", "a"}));
  EXPECT_THAT(embed({"-p", "a"}).err, HasSubstr("has no tokenizer"));
}

} // namespace
} // namespace quern::conformance
