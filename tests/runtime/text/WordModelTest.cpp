// The parts that SentencePiece, unigram and WordPiece vocabularies need, on data made by hand;
// parity with other implementations is tested in tests/frontends/text.
#include "runtime/text/Charsmap.h"
#include "runtime/text/Message.h"
#include "runtime/text/Normalize.h"
#include "runtime/text/Tokenizer.h"
#include "runtime/text/Trie.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

namespace quern::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = NormalizerStep::Kind;

TEST(Trie, FindsWhatAMapFinds) {
  std::mt19937 random(1);
  const auto word = [&] {
    std::string word;
    for (size_t size = random() % 6; size > 0; --size)
      word += static_cast<char>(random() % 8 == 0 ? random() : 'a' + random() % 3);
    return word;
  };
  for (int round = 0; round < 20; ++round) {
    std::map<std::string, int32_t> map;
    std::deque<std::string> words;
    std::vector<Trie::Key> keys;
    for (int32_t i = 0; i < 300; ++i) {
      keys.push_back({words.emplace_back(word()), i});
      if (!words.back().empty())
        map.try_emplace(words.back(), i);
    }
    const Trie trie(keys);
    for (int i = 0; i < 1000; ++i) {
      const std::string text = word();
      const auto it = map.find(text);
      EXPECT_EQ(trie.find(text), it == map.end() ? -1 : it->second);
      size_t longest = 0;
      for (size_t size = 1; size <= text.size(); ++size)
        if (map.contains(text.substr(0, size)))
          longest = size;
      EXPECT_EQ(trie.longest(text), longest);
    }
  }
  const Trie empty({});
  EXPECT_EQ(empty.find(""), -1);
  EXPECT_EQ(empty.find(std::string(3, '\0')), -1);
  EXPECT_EQ(empty.longest("\xff\xff"), 0u);
}

absl::StatusOr<std::string> normalized(std::vector<NormalizerStep> steps, std::string_view text) {
  absl::StatusOr<Normalizer> normalizer = Normalizer::create(steps, {});
  if (!normalizer.ok())
    return normalizer.status();
  return normalizer->apply(text);
}

TEST(Normalizer, StepsFollowEachOther) {
  EXPECT_EQ(*normalized({}, "e\u0301"), "e\u0301");
  EXPECT_EQ(*normalized({{Kind::Nfc, "", ""}}, "e\u0301"), "\u00e9");
  EXPECT_EQ(*normalized({{Kind::Nfd, "", ""}, {Kind::StripAccents, "", ""}}, "\u00e9\uac00"),
            "e\u1100\u1161");
  EXPECT_EQ(*normalized({{Kind::Nfkc, "", ""}}, "\ufb01\u00bd"), "fi1\u20442");
  EXPECT_EQ(*normalized({{Kind::Lowercase, "", ""}}, "A\u0130\u03a3"), "ai\u0307\u03c3");
  EXPECT_EQ(*normalized({{Kind::Strip, "", "", NormalizerStep::kRight}}, " a \u3000"), " a");
  EXPECT_EQ(*normalized({{Kind::Strip, "", "", NormalizerStep::kLeft}}, " \u3000"), "");
  EXPECT_EQ(*normalized({{Kind::Replace, "aa", "b"}, {Kind::Prepend, "", "c"}}, "aaa"), "cba");
  EXPECT_EQ(*normalized({{Kind::Prepend, "", "c"}}, ""), "");
  EXPECT_EQ(*normalized({{Kind::ReplaceRegex, " {2,}", "_"}}, "a  b c   "), "a_b c_");
  EXPECT_EQ(*normalized({{Kind::ReplaceRegex, "", "-"}}, "ab"), "-a-b-");
}

TEST(Normalizer, SentencePieceSpaces) {
  const auto spaces = [](unsigned flags, std::string_view text) {
    return *normalized({{Kind::SentencePiece, "", "", static_cast<uint8_t>(flags)}}, text);
  };
  constexpr unsigned kDummy = NormalizerStep::kDummySpace,
                     kTrim = NormalizerStep::kRemoveExtraSpace,
                     kEscape = NormalizerStep::kEscapeSpace, kSuffix = NormalizerStep::kSpaceSuffix;
  EXPECT_EQ(spaces(0, " a  b "), " a  b ");
  EXPECT_EQ(spaces(kDummy, "a b"), " a b");
  EXPECT_EQ(spaces(kDummy | kTrim | kEscape, "  a  b  "), "\u2581a\u2581b");
  EXPECT_EQ(spaces(kDummy | kTrim | kEscape, "   "), "");
  EXPECT_EQ(spaces(kDummy | kEscape, " "), "\u2581\u2581");
  EXPECT_EQ(spaces(kDummy | kSuffix | kTrim, " a "), "a ");
  EXPECT_EQ(spaces(kDummy | kTrim | kEscape, "a \u2581"), "\u2581a");
  EXPECT_EQ(spaces(kDummy | kTrim | kEscape | NormalizerStep::kMarksAreText, "a \u2581"),
            "\u2581a\u2581\u2581");
}

TEST(Normalizer, TextThatGrowsTooMuchIsAnError) {
  const std::string long_text(4096, 'x');
  for (Kind kind : {Kind::Replace, Kind::ReplaceRegex}) {
    const auto text = normalized({{kind, "a", long_text}}, std::string(100'000, 'a'));
    ASSERT_FALSE(text.ok());
    EXPECT_THAT(std::string(message_of(text.status())), HasSubstr("64 times"));
  }
  EXPECT_TRUE(normalized({{Kind::Replace, "a", long_text}}, "aaa").ok());
}

TEST(Charsmap, SurvivesAnyBytes) {
  EXPECT_FALSE(Charsmap::create("").ok());
  EXPECT_FALSE(Charsmap::create("abc").ok());
  EXPECT_FALSE(Charsmap::create(std::string(4, '\0')).ok());
  EXPECT_FALSE(Charsmap::create(std::string("\x08\0\0\0\0\0\0\0", 8)).ok());
  EXPECT_FALSE(Charsmap::create("\xff\xff\xff\xff____").ok());
  std::mt19937 random(9);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes("\x80\0\0\0", 4);
    for (int i = 0; i < 140; ++i) // small numbers, so that walks get somewhere
      bytes += static_cast<char>(random() % 4 ? random() % 4 : random());
    const absl::StatusOr<Charsmap> map = Charsmap::create(bytes);
    ASSERT_TRUE(map.ok());
    for (char first = 1; first < 100; ++first)
      for (bool longest : {false, true})
        if (const auto match = map->find(std::string(1, first) + "\1\2\3", longest))
          EXPECT_LE(match->size, 4u);
  }
}

TokenizerSpec spec_of(ModelKind model, std::vector<std::string> tokens) {
  TokenizerSpec spec;
  spec.model = model;
  spec.tokens = std::move(tokens);
  spec.kinds.assign(spec.tokens.size(), TokenKind::Normal);
  return spec;
}

std::unique_ptr<Tokenizer> make(TokenizerSpec spec) {
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::create(std::move(spec));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

TEST(Unigram, TakesTheBestCut) {
  TokenizerSpec spec = spec_of(ModelKind::Unigram, {"?", "a", "b", "ab", "abc", "c"});
  spec.scores = {0, -1, -1, -3, -2.5, -1};
  spec.unk_id = 0;
  const auto t = make(spec);
  EXPECT_THAT(*t->encode("ab"), ElementsAre(1, 2)) << "-2 is more than -3";
  EXPECT_THAT(*t->encode("abc"), ElementsAre(4)) << "-2.5 is more than -3";
  EXPECT_THAT(*t->encode("axyb"), ElementsAre(1, 0, 2)) << "unknowns in a row are one";
  spec.unk_id = -1;
  EXPECT_THAT(*make(spec)->encode("axb"), ElementsAre(1, 2));
}

TEST(Unigram, AMillionEqualBytesTakeNoTime) {
  TokenizerSpec spec = spec_of(ModelKind::Unigram, {"?"});
  for (size_t size = 1; size <= 64; ++size)
    spec.tokens.push_back(std::string(size, 'a'));
  spec.kinds.assign(spec.tokens.size(), TokenKind::Normal);
  for (size_t i = 0; i < spec.tokens.size(); ++i)
    spec.scores.push_back(-1);
  EXPECT_EQ(make(spec)->encode(std::string(1'000'000, 'a'))->size(), 15625u);
}

TEST(WordPiece, TakesTheLongestTokenFirst) {
  TokenizerSpec spec = spec_of(ModelKind::WordPiece, {"?", "a", "ab", "##b", "##bc", "##c", "c"});
  spec.unk_id = 0;
  spec.continuation = "##";
  spec.max_word_characters = 5;
  spec.pre_tokenizer = {{.pattern = " ", .behavior = SplitBehavior::Removed}};
  spec.decoding.separator = " ";
  spec.decoding.continuation = "##";
  const auto t = make(spec);
  EXPECT_THAT(*t->encode("abc c ac"), ElementsAre(2, 5, 6, 1, 5));
  EXPECT_THAT(*t->encode("abx ac"), ElementsAre(0, 1, 5)) << "unknown as a whole";
  EXPECT_THAT(*t->encode("abbbb abbbbb"), ElementsAre(2, 3, 3, 3, 0)) << "too long";
  EXPECT_EQ(t->decode(*t->encode("abc c ac")), "abc c ac");
  EXPECT_EQ(t->piece(2), " ab");
  EXPECT_EQ(t->piece(3), "b");
}

/// Merges by score over a, b and a mark; bytes for the rest.
TokenizerSpec sentence_piece() {
  TokenizerSpec spec = spec_of(ModelKind::SentencePieceBpe,
                               {"a", "b", "\u2581", "ab", "\u2581a", "\u2581ab", "b\u2581"});
  const std::vector<float> scores = {0, 0, 0, -1, -2, -3, -4};
  spec.merges = merges_from_scores(spec.tokens, spec.kinds, scores, spec.merge_ranks);
  for (int byte = 0; byte < 256; ++byte) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    spec.tokens.push_back(concat("<0x", kHex[byte / 16], kHex[byte % 16], ">"));
    spec.kinds.push_back(TokenKind::Byte);
  }
  spec.byte_fallback = true;
  spec.normalizers = {{Kind::Prepend, "", " "}, {Kind::Replace, " ", "\u2581"}};
  spec.decoding.replacements = {{"\u2581", " "}};
  spec.decoding.strip = 1;
  return spec;
}

TEST(SentencePieceBpe, MergesByScoreAndFallsBackToBytes) {
  const TokenizerSpec spec = sentence_piece();
  EXPECT_TRUE(spec.merge_ranks.empty());
  const auto t = make(spec);
  EXPECT_THAT(*t->encode("ab"), ElementsAre(5)) << "ab first, then the mark";
  EXPECT_THAT(*t->encode("a\u00e9"), ElementsAre(4, 7 + 0xc3, 7 + 0xa9));
  EXPECT_THAT(*t->encode("b "), ElementsAre(2, 6)) << "a token joins b to the space behind it";
  EXPECT_EQ(t->decode(*t->encode(" a\u00e9 b")), " a\u00e9 b");
}

// Tests that a token that is a part of a character leaves its other bytes as they are.
TEST(SentencePieceBpe, APartOfACharacterIsBytes) {
  TokenizerSpec spec = sentence_piece();
  spec.normalizers.clear();
  spec.added_tokens = {{.content = "\xa9", .id = 7 + 0xa9}};
  EXPECT_THAT(*make(spec)->encode("a\u00e9"), ElementsAre(0, 7 + 0xc3, 7 + 0xa9));
}

// Tests that a word without any token, first in a text and repeated, is none again.
TEST(SentencePieceBpe, AWordMayHaveNoToken) {
  TokenizerSpec spec = spec_of(ModelKind::SentencePieceBpe, {"a"});
  spec.pre_tokenizer = {{.pattern = " ", .behavior = SplitBehavior::Removed}};
  EXPECT_THAT(*make(spec)->encode("x x a"), ElementsAre(0));
}

TEST(SentencePieceBpe, EqualScoresMergeFromTheLeft) {
  TokenizerSpec spec = spec_of(ModelKind::SentencePieceBpe, {"a", "b", "c", "bc", "ab"});
  spec.merges = merges_from_scores(spec.tokens, spec.kinds, {1, 1, 1, 1, 1}, spec.merge_ranks);
  EXPECT_THAT(spec.merge_ranks, ElementsAre(0u, 0u));
  EXPECT_THAT(*make(spec)->encode("abc"), ElementsAre(4, 2));
  spec.merges = merges_from_scores(spec.tokens, spec.kinds, {1, 1, 1, 2, 1}, spec.merge_ranks);
  EXPECT_THAT(*make(spec)->encode("abc"), ElementsAre(0, 3));
}

TEST(StreamDecoder, TakesTheFirstSpaceOnce) {
  const auto t = make(sentence_piece());
  StreamDecoder stream(*t);
  EXPECT_EQ(stream.push(2), "");
  EXPECT_EQ(stream.push(4), " a");
  EXPECT_EQ(stream.push(7 + 0xc3), "");
  EXPECT_EQ(stream.push(7 + 0xa9), "\u00e9");
  EXPECT_EQ(stream.push(7 + 0xc3), "");
  EXPECT_EQ(stream.push(0), "\uFFFDa");
  EXPECT_EQ(stream.flush(), "");
  EXPECT_EQ(stream.push(4), "a") << "as new";
  EXPECT_EQ(t->decode(std::vector<int32_t>{99999, 4}), "a") << "an id that is no token is no first";
}

TEST(AddedTokens, SingleWordsStandAlone) {
  TokenizerSpec spec = spec_of(ModelKind::Unigram, {"?", "cat"});
  spec.scores = {0, 0};
  spec.unk_id = 0;
  spec.kinds[1] = TokenKind::UserDefined;
  AddedToken cat;
  cat.content = "cat";
  cat.id = 1;
  cat.single_word = true;
  spec.added_tokens = {cat};
  spec.kinds[1] = TokenKind::Control; // so that the model itself does not take it
  const auto t = make(spec);
  EXPECT_THAT(*t->encode("cat"), ElementsAre(1));
  EXPECT_THAT(*t->encode("a cat."), ElementsAre(0, 1, 0));
  for (const char *text : {"cats", "1cat", "_cat", "cat\u0301", "\u200dcat", "catcat"})
    EXPECT_THAT(*t->encode(text), ElementsAre(0)) << text;
}

} // namespace
} // namespace quern::text
