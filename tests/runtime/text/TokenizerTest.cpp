// The tokenizer on small vocabularies made by hand; parity with other implementations is tested in
// tests/frontends/text.
#include "runtime/text/Tokenizer.h"

#include "runtime/text/ByteAlphabet.h"
#include "runtime/text/Message.h"
#include "runtime/text/tokenizer_generated.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace quern::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// The 256 bytes (ids 0..255), then `merges` in order, then added tokens.
TokenizerSpec bytes_and(std::vector<std::pair<std::string, std::string>> merges = {}) {
  TokenizerSpec spec;
  for (int byte = 0; byte < 256; ++byte)
    spec.tokens.push_back(bytes_to_token(std::string(1, static_cast<char>(byte))));
  std::vector<std::string> parts;
  for (const auto &[left, right] : merges) {
    spec.tokens.push_back(bytes_to_token(left + right));
    parts.push_back(bytes_to_token(left));
    parts.push_back(bytes_to_token(right));
  }
  std::vector<MergeText> texts;
  for (size_t i = 0; i < parts.size(); i += 2)
    texts.push_back({parts[i], parts[i + 1]});
  spec.merges = *resolve_merges(spec.tokens, texts);
  spec.kinds.assign(spec.tokens.size(), TokenKind::Normal);
  return spec;
}

int32_t add(TokenizerSpec &spec, AddedToken token) {
  token.id = static_cast<int32_t>(spec.tokens.size());
  spec.tokens.push_back(token.content);
  spec.kinds.push_back(token.special ? TokenKind::Control : TokenKind::UserDefined);
  spec.added_tokens.push_back(token);
  return token.id;
}

AddedToken added(std::string content, bool special) {
  AddedToken token;
  token.content = std::move(content);
  token.special = special;
  return token;
}

std::unique_ptr<Tokenizer> make(TokenizerSpec spec) {
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::create(std::move(spec));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

TEST(Tokenizer, MergesByRankAndFromTheLeft) {
  const auto t = make(bytes_and({{"b", "c"}, {"a", "b"}, {"a", "a"}, {"aa", "a"}}));
  EXPECT_THAT(*t->encode("abc"), ElementsAre('a', 256));
  EXPECT_THAT(*t->encode("ab"), ElementsAre(257));
  EXPECT_THAT(*t->encode("aaaaa"), ElementsAre(258, 259)) << "aa aa a, then aa aaa";
  EXPECT_THAT(*t->encode(""), IsEmpty());
}

TEST(Tokenizer, LongWordsMergeAsShortOnes) {
  // Random merges over a small alphabet: a word in pieces short enough for the scan, joined by a
  // byte no merge has, must give what the same symbols give the heap.
  std::mt19937 random(7);
  std::vector<std::pair<std::string, std::string>> merges;
  std::vector<std::string> known = {"a", "b", "c"};
  while (merges.size() < 60) {
    const std::string left = known[random() % known.size()], right = known[random() % known.size()];
    if (std::find(known.begin(), known.end(), left + right) != known.end())
      continue;
    merges.emplace_back(left, right);
    known.push_back(left + right);
  }
  const auto t = make(bytes_and(merges));
  for (int round = 0; round < 200; ++round) {
    std::string text;
    std::vector<int32_t> pieces;
    for (int part = 0; part < 5; ++part) {
      std::string word;
      for (size_t i = 0; i < random() % 20; ++i)
        word += static_cast<char>('a' + random() % 3);
      text += word + "|";
      const auto ids = *t->encode(word);
      pieces.insert(pieces.end(), ids.begin(), ids.end());
      pieces.push_back('|');
    }
    EXPECT_EQ(*t->encode(text), pieces) << text;
  }
}

TEST(Tokenizer, AMillionEqualBytesTakeNoTime) {
  TokenizerSpec spec = bytes_and({{"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}});
  spec.pre_tokenizer = {{.pattern = R"(\s*[\r\n]+|\s+(?!\S)|\s+|\p{L}+)"}};
  const auto t = make(std::move(spec));
  EXPECT_EQ(t->encode(std::string(1'000'000, 'a'))->size(), 125'000u);
  EXPECT_EQ(t->encode(std::string(1'000'000, ' '))->size(), 1'000'000u);
  EXPECT_EQ(t->encode(std::string(1'000'000, ' ') + "x")->size(), 1'000'001u);
  EXPECT_EQ(t->encode(std::string(300'000, '\xff'))->size(), 900'000u);
}

TEST(Tokenizer, IgnoreMergesTakesWholeWords) {
  TokenizerSpec spec = bytes_and({{"a", "b"}});
  spec.tokens.push_back("cd");
  spec.kinds.push_back(TokenKind::Normal);
  spec.tokens.push_back("ef");
  spec.kinds.push_back(TokenKind::Control);
  spec.pre_tokenizer = {{.pattern = R"(\p{L}+)"}};
  spec.ignore_merges = true;
  const auto t = make(spec);
  EXPECT_THAT(*t->encode("cd ab ef"), ElementsAre(257, ' ', 256, ' ', 'e', 'f'));
  spec.ignore_merges = false;
  EXPECT_THAT(*make(spec)->encode("cd"), ElementsAre('c', 'd'));
}

TEST(Tokenizer, SpecialTokensCanBePlainText) {
  TokenizerSpec spec = bytes_and();
  const int32_t end = add(spec, added("<e>", true)), user = add(spec, added("<u>", false));
  spec.prefix_ids = {end};
  spec.suffix_ids = {end, end};
  const auto t = make(std::move(spec));
  EXPECT_THAT(*t->encode("<e><u>"), ElementsAre(end, end, user, end, end));
  EXPECT_THAT(*t->encode("<e><u>", {.add_special = false}), ElementsAre(end, user));
  EXPECT_THAT(*t->encode("<e><u>", {.add_special = false, .parse_special = false}),
              ElementsAre('<', 'e', '>', user));
}

TEST(Tokenizer, TheLeftmostLongestAddedTokenWins) {
  TokenizerSpec spec = bytes_and();
  const int32_t ab = add(spec, added("ab", false)), abcd = add(spec, added("abcd", false)),
                bc = add(spec, added("bc", true)), bcde = add(spec, added("bcde", true));
  const auto t = make(std::move(spec));
  EXPECT_THAT(*t->encode("abcde"), ElementsAre(abcd, 'e'));
  EXPECT_THAT(*t->encode("abce"), ElementsAre(ab, 'c', 'e'));
  EXPECT_THAT(*t->encode("xbcd"), ElementsAre('x', bc, 'd'));
  EXPECT_THAT(*t->encode("bcde"), ElementsAre(bcde));
  EXPECT_THAT(*t->encode("bcde", {.parse_special = false}), ElementsAre('b', 'c', 'd', 'e'));
}

TEST(Tokenizer, AddedTokensSwallowWhiteSpace) {
  TokenizerSpec spec = bytes_and();
  AddedToken strips = added("<s>", true);
  strips.lstrip = strips.rstrip = true;
  const int32_t s = add(spec, strips);
  const auto t = make(std::move(spec));
  EXPECT_THAT(*t->encode("a \u3000<s>\t\n b"), ElementsAre('a', s, 'b'));
  EXPECT_THAT(*t->encode(" <s> <s> "), ElementsAre(s, s));
}

TEST(Tokenizer, UnknownBytesAreDroppedOrUnknown) {
  TokenizerSpec spec = bytes_and();
  spec.tokens['b'] = "xyz";
  EXPECT_THAT(*make(spec)->encode("abbc"), ElementsAre('a', 'c'));
  spec.unk_id = 7;
  EXPECT_THAT(*make(spec)->encode("abbc"), ElementsAre('a', 7, 7, 'c'));
  spec.fuse_unk = true;
  EXPECT_THAT(*make(spec)->encode("abbc"), ElementsAre('a', 7, 'c'));
}

TEST(Tokenizer, BrokenInputBecomesReplacementCharacters) {
  const auto t = make(bytes_and());
  for (std::string_view broken : {"\xff", "\xe2\x82", "\xf0\x9f\x98", "\xc0", "\x80"}) {
    EXPECT_EQ(t->decode(*t->encode(broken)).substr(0, 3), "\uFFFD");
    EXPECT_EQ(t->decode(*t->encode("a" + std::string(broken) + "b")).substr(0, 4), "a\uFFFD");
  }
  EXPECT_EQ(t->decode(*t->encode("\xed\xa0\x80")), "\uFFFD\uFFFD\uFFFD") << "a surrogate";
  EXPECT_EQ(t->decode(*t->encode(std::string_view("\0x", 2))), std::string_view("\0x", 2));
}

TEST(Tokenizer, DecodesWhatItsTokensSpell) {
  TokenizerSpec spec = bytes_and();
  const int32_t special = add(spec, added("<é>", true));
  spec.eos_ids = {special, 5};
  spec.tokens.push_back("日本"); // outside the byte alphabet: text as it stands
  spec.kinds.push_back(TokenKind::Normal);
  const auto t = make(std::move(spec));
  const std::vector<int32_t> ids = {'a', special, -1, 99999, 257, 0xe6, 0x97};
  EXPECT_EQ(t->decode(ids), "a<é>日本\uFFFD");
  EXPECT_EQ(t->decode(ids, /*skip_special=*/true), "a日本\uFFFD");
  EXPECT_EQ(t->piece(0xe6), "\xe6");
  EXPECT_EQ(t->piece(-1), "");
  EXPECT_TRUE(t->is_end(5) && t->is_end(special) && !t->is_end(6) && !t->is_end(-1));
  EXPECT_TRUE(t->is_special(special) && !t->is_special(257) && !t->is_special(1 << 30));
  EXPECT_EQ(t->find("<é>"), special);
  EXPECT_EQ(t->find("xyzzy"), -1);
}

TEST(StreamDecoder, HoldsBackHalfCharacters) {
  const auto t = make(bytes_and());
  StreamDecoder stream(*t);
  EXPECT_EQ(stream.push('a'), "a");
  EXPECT_EQ(stream.push(0xf0), "");
  EXPECT_EQ(stream.push(0x9f), "");
  EXPECT_EQ(stream.push(0x98), "");
  EXPECT_EQ(stream.push(0x80), "😀");
  EXPECT_EQ(stream.push(0xe2), "");
  EXPECT_EQ(stream.push('b'), "\uFFFDb");
  EXPECT_EQ(stream.push(0xe2), "");
  EXPECT_EQ(stream.flush(), "\uFFFD");
  EXPECT_EQ(stream.flush(), "");
}

TEST(StreamDecoder, JoinsToWhatDecodeGives) {
  const auto t = make(bytes_and());
  std::mt19937 random(3);
  static constexpr uint8_t kBytes[] = {'a',  0x80, 0xbf, 0xc2, 0xe0, 0xa0,
                                       0xed, 0xf0, 0x90, 0xf4, 0xff};
  for (int round = 0; round < 500; ++round) {
    std::vector<int32_t> ids;
    for (int i = 0; i < 12; ++i)
      ids.push_back(kBytes[random() % std::size(kBytes)]);
    StreamDecoder stream(*t);
    std::string text;
    for (int32_t id : ids)
      text += stream.push(id);
    EXPECT_EQ(text + stream.flush(), t->decode(ids));
  }
}

TEST(Tokenizer, RefusesWhatItCannotRun) {
  const auto error = [](auto change) {
    TokenizerSpec spec = bytes_and({{"a", "b"}});
    change(spec);
    const auto tokenizer = Tokenizer::create(std::move(spec));
    return tokenizer.ok() ? std::string("created") : std::string(message_of(tokenizer.status()));
  };
  EXPECT_THAT(error([](auto &s) { s.model = ModelKind::Unigram; }), HasSubstr("0 scores"));
  EXPECT_THAT(error([](auto &s) { s.model = static_cast<ModelKind>(99); }), HasSubstr("model"));
  EXPECT_THAT(error([](auto &s) { s.tokens.clear(); }), HasSubstr("empty"));
  EXPECT_THAT(error([](auto &s) { s.kinds.pop_back(); }), HasSubstr("token kinds"));
  EXPECT_THAT(error([](auto &s) { s.merges[0].right = 9999; }), HasSubstr("merge of token 9999"));
  EXPECT_THAT(error([](auto &s) { s.eos_ids = {-2}; }), HasSubstr("eos id -2"));
  EXPECT_THAT(error([](auto &s) { s.prefix_ids = {257}; }), HasSubstr("prefix id 257"));
  EXPECT_THAT(error([](auto &s) { s.unk_id = 257; }), HasSubstr("unk id"));
  EXPECT_THAT(
      error([](auto &s) { s.added_tokens = {added("x", true)}, s.added_tokens[0].id = -1; }),
      HasSubstr("added token -1"));
  EXPECT_THAT(error([](auto &s) { s.pre_tokenizer = {{.pattern = "[a"}}; }), HasSubstr("\"[a\""));
  EXPECT_THAT(std::string(message_of(resolve_merges({"a"}, {{"a", "b"}}).status())),
              HasSubstr("\"b\""));
}

TEST(Tokenizer, APatternThatExplodesIsAnError) {
  TokenizerSpec spec = bytes_and();
  spec.pre_tokenizer = {{.pattern = "(?:a|a|aa)+b"}};
  const auto ids = make(std::move(spec))->encode(std::string(200, 'a') + "cb");
  ASSERT_FALSE(ids.ok());
  EXPECT_THAT(std::string(message_of(ids.status())), HasSubstr("(?:a|a|aa)+b"));
}

TokenizerSpec everything() {
  TokenizerSpec spec = bytes_and({{"a", "b"}, {"ab", "c"}});
  AddedToken token = added("<é>", true);
  token.lstrip = token.normalized = true;
  const int32_t id = add(spec, token);
  spec.ignore_merges = spec.fuse_unk = true;
  spec.unk_id = 3;
  using Kind = NormalizerStep::Kind;
  for (const Kind kind : {Kind::Nfc, Kind::Lowercase, Kind::Bert, Kind::SentencePiece})
    spec.normalizers.push_back({kind, "", "", 6});
  spec.normalizers.push_back({Kind::Replace, "x", "yz", 0});
  spec.normalizers.push_back({Kind::ReplaceRegex, "q+", "k", 0});
  spec.pre_tokenizer = {
      {.kind = PreTokenizerStep::Kind::PrefixSpace, .pattern = ""},
      {.pattern = R"(\p{L}+|\s+)", .behavior = SplitBehavior::Removed, .invert = true},
      {.kind = PreTokenizerStep::Kind::Metaspace,
       .pattern = "\u2581",
       .prepend = MetaspacePrepend::First,
       .split = false}};
  spec.merge_ranks = {0, 0};
  spec.scores.assign(spec.tokens.size(), -1.5);
  spec.byte_fallback = true;
  spec.continuation = "##";
  spec.max_word_characters = 100;
  spec.decoding = {.replacements = {{"a", "bc"}},
                   .space = "_",
                   .separator = " ",
                   .continuation = "@",
                   .suffix = "</w>",
                   .clean_up = true,
                   .strip = 3,
                   .byte_level = false};
  spec.byte_spellings = true;
  spec.word_end = "</w>";
  spec.prefix_ids = {id, 1};
  spec.suffix_ids = {2};
  spec.bos_id = 4;
  spec.eos_ids = {5, 6};
  spec.bos_token = "<s>";
  spec.eos_token = "</s>";
  spec.named_tokens = {{"pad_token", "<pad>"}};
  spec.decoding.silent_unused = true;
  spec.chat_template = "{{ messages }}";
  return spec;
}

/// Characters and a mark for spaces, two of which are a token.
TokenizerSpec marks() {
  TokenizerSpec spec;
  spec.model = ModelKind::SentencePieceBpe;
  spec.tokens = {"<unk>", "<s>", "▁", "▁▁", "a", "b"};
  spec.kinds = {TokenKind::Unknown, TokenKind::Control, TokenKind::Normal,
                TokenKind::Normal,  TokenKind::Normal,  TokenKind::Normal};
  spec.merges = *resolve_merges(spec.tokens, {{"▁", "▁"}});
  spec.unk_id = 0;
  spec.bos_id = 1;
  spec.prefix_ids = {1};
  AddedToken bos = added("<s>", true);
  bos.id = 1;
  spec.added_tokens.push_back(bos);
  return spec;
}

// What goes on with a text has neither BOS nor the space that a text begins with, however that is
// made.
TEST(Tokenizer, TextThatGoesOnHasNothingBeforeIt) {
  const NormalizerStep escape = {NormalizerStep::Kind::Replace, " ", "▁", 0};
  std::vector<TokenizerSpec> specs(4, marks());
  specs[0].normalizers = {{NormalizerStep::Kind::Prepend, "", " ", 0}, escape};
  specs[1].normalizers = {{NormalizerStep::Kind::SentencePiece, "", "",
                           NormalizerStep::kDummySpace | NormalizerStep::kEscapeSpace |
                               NormalizerStep::kRemoveExtraSpace}};
  for (const size_t i : {2, 3}) {
    PreTokenizerStep step;
    step.kind = PreTokenizerStep::Kind::Metaspace;
    step.pattern = "▁";
    step.prepend = i == 2 ? MetaspacePrepend::First : MetaspacePrepend::Always;
    step.split = false;
    specs[i].pre_tokenizer = {step};
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    const auto tokenizer = make(specs[i]);
    const auto after = [&](std::vector<int32_t> before, std::string_view text) {
      return *tokenizer->encode(text, {.before = before});
    };
    EXPECT_THAT(*tokenizer->encode("a b"), ElementsAre(1, 2, 4, 2, 5)) << i;
    EXPECT_THAT(after({1, 2, 4}, " b"), ElementsAre(2, 5)) << i;
    EXPECT_THAT(after({1, 2, 4}, "b"), ElementsAre(5)) << i;
    EXPECT_THAT(after({1, 2, 0}, "b"), ElementsAre(5)) << i << ": an unknown character is text";
    EXPECT_THAT(after({1}, "b"), ElementsAre(2, 5)) << i << ": the first text after BOS";
    EXPECT_THAT(after({}, "b"), ElementsAre(1, 2, 5)) << i;
    if (i != 2) // which puts it before the first text alone
      EXPECT_THAT(after({2, 4, 1}, "b"), ElementsAre(2, 5)) << i << ": apart from what was before";
    EXPECT_THAT(after({4}, ""), IsEmpty()) << i;
  }
  TokenizerSpec bytes = bytes_and();
  bytes.pre_tokenizer.resize(1);
  bytes.pre_tokenizer[0].kind = PreTokenizerStep::Kind::PrefixSpace;
  const auto tokenizer = make(bytes);
  EXPECT_THAT(*tokenizer->encode("a"), ElementsAre(' ', 'a'));
  EXPECT_THAT(*tokenizer->encode("a", {.before = std::vector<int32_t>{'b'}}), ElementsAre('a'));
}

TEST(TokenizerSpec, SurvivesStorage) {
  const TokenizerSpec spec = everything();
  const std::string bytes = serialize(spec);
  // Unaligned, as a section of a file may be to someone who reads it whole.
  const std::string shifted = "x" + bytes;
  const TokenizerSpec back = *deserialize(std::string_view(shifted).substr(1));
  EXPECT_EQ(serialize(back), bytes);
  EXPECT_EQ(back.tokens, spec.tokens);
  EXPECT_EQ(back.kinds, spec.kinds);
  EXPECT_EQ(back.merges.size(), 2u);
  EXPECT_EQ(back.pre_tokenizer[1].pattern, spec.pre_tokenizer[1].pattern);
  EXPECT_TRUE(back.pre_tokenizer[1].invert);
  EXPECT_EQ(back.added_tokens[0].content, "<é>");
  EXPECT_TRUE(back.added_tokens[0].lstrip && !back.added_tokens[0].rstrip);
  EXPECT_EQ(back.prefix_ids, spec.prefix_ids);
  EXPECT_EQ(back.eos_ids, spec.eos_ids);
  EXPECT_EQ(back.chat_template, spec.chat_template);
  ASSERT_EQ(back.normalizers.size(), 6u);
  EXPECT_EQ(back.normalizers[2].kind, NormalizerStep::Kind::Bert);
  EXPECT_EQ(back.normalizers[4].content, "yz");
  EXPECT_EQ(back.pre_tokenizer[2].prepend, MetaspacePrepend::First);
  EXPECT_FALSE(back.pre_tokenizer[2].split);
  EXPECT_EQ(back.scores, spec.scores);
  EXPECT_EQ(back.decoding.replacements[0].to, "bc");
  EXPECT_EQ(back.decoding.strip, 3u);
  EXPECT_TRUE(back.decoding.silent_unused);
  ASSERT_EQ(back.named_tokens.size(), 1u);
  EXPECT_EQ(back.named_tokens[0].name, "pad_token");
  EXPECT_EQ(back.named_tokens[0].token, "<pad>");
  for (const ModelKind kind :
       {ModelKind::SentencePieceBpe, ModelKind::Unigram, ModelKind::WordPiece}) {
    TokenizerSpec other = back;
    other.model = kind;
    EXPECT_EQ(deserialize(serialize(other))->model, kind);
  }
}

// What an artifact from before there were normalizer steps holds.
TEST(TokenizerSpec, ReadsTheNormalizerOfOldArtifacts) {
  const auto section = [](uint8_t normalizer) {
    flatbuffers::FlatBufferBuilder builder;
    const auto bytes = builder.CreateVector(std::vector<uint8_t>{'a'});
    const auto ends = builder.CreateVector(std::vector<uint32_t>{1});
    const auto kinds = builder.CreateVector(std::vector<uint8_t>{0});
    fb::TokenizerBuilder root(builder);
    root.add_token_bytes(bytes);
    root.add_token_ends(ends);
    root.add_token_kinds(kinds);
    root.add_normalizer(normalizer);
    fb::FinishTokenizerBuffer(builder, root.Finish());
    return std::string(reinterpret_cast<const char *>(builder.GetBufferPointer()),
                       builder.GetSize());
  };
  EXPECT_TRUE(deserialize(section(0))->normalizers.empty());
  const TokenizerSpec nfc = *deserialize(section(1));
  ASSERT_EQ(nfc.normalizers.size(), 1u);
  EXPECT_EQ(nfc.normalizers[0].kind, NormalizerStep::Kind::Nfc);
  EXPECT_FALSE(deserialize(section(3)).ok());
}

TEST(TokenizerSpec, ReadsNoDamagedBytes) {
  EXPECT_FALSE(deserialize("").ok());
  EXPECT_FALSE(deserialize("QRNT").ok());
  const std::string bytes = serialize(everything());
  for (size_t size = 0; size < bytes.size(); size += 7)
    (void)deserialize(std::string_view(bytes).substr(0, size));
  EXPECT_FALSE(deserialize(std::string_view(bytes).substr(0, bytes.size() / 2)).ok());
}

// Each byte changed in turn, in several ways: no crash, and what is accepted can be used.
// Tests that scores whose doubles do not lie as doubles may are damage. Words of 4 bytes in their
// place lie so or so, as what stands before them decides.
TEST(TokenizerSpec, ReadsNoMisplacedScores) {
  int refused = 0;
  for (const size_t before : {0, 1}) {
    flatbuffers::FlatBufferBuilder builder;
    const auto bytes = builder.CreateVector(std::vector<uint8_t>{'a'});
    const auto ends = builder.CreateVector(std::vector<uint32_t>{1});
    const auto kinds = builder.CreateVector(std::vector<uint8_t>{0});
    builder.CreateVector(std::vector<uint32_t>(16)); // zeros that the scores reach into
    const flatbuffers::Offset<flatbuffers::Vector<double>> scores(
        builder.CreateVector(std::vector<uint32_t>(2)).o);
    builder.CreateVector(std::vector<uint32_t>(before));
    fb::TokenizerBuilder root(builder);
    root.add_token_bytes(bytes);
    root.add_token_ends(ends);
    root.add_token_kinds(kinds);
    root.add_scores(scores);
    fb::FinishTokenizerBuffer(builder, root.Finish());
    refused += !deserialize(
                    {reinterpret_cast<const char *>(builder.GetBufferPointer()), builder.GetSize()})
                    .ok();
  }
  EXPECT_EQ(refused, 1);
}

TEST(TokenizerSpec, SurvivesMutation) {
  TokenizerSpec spec = everything();
  const std::string good = serialize(spec);
  std::mt19937 random(11);
  for (size_t i = 0; i < good.size(); ++i)
    for (const unsigned change : {1u, 0x80u, 1u + static_cast<unsigned>(random() % 255)}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ static_cast<char>(change));
      absl::StatusOr<TokenizerSpec> read = deserialize(bad);
      if (!read.ok())
        continue;
      const auto tokenizer = Tokenizer::create(*std::move(read));
      if (tokenizer.ok())
        (void)(*tokenizer)
            ->decode((*tokenizer)->encode("abc <é>").value_or(std::vector<int32_t>()));
    }
}

} // namespace
} // namespace quern::text
