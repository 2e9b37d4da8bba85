// Oniguruma's patterns in PCRE2's words. That they then match the same is tested with whole
// tokenizers in tests/frontends/text.
#include "runtime/text/PatternDialect.h"

#include "runtime/text/Message.h"
#include "runtime/text/PreTokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> split(std::vector<PreTokenizerStep> steps, std::string_view text) {
  const absl::StatusOr<PreTokenizer> splitter = PreTokenizer::create(steps);
  EXPECT_TRUE(splitter.ok()) << splitter.status();
  std::deque<std::string> storage;
  std::vector<std::string_view> words;
  EXPECT_TRUE(splitter->split(text, PreTokenizer::Place::First, storage, words).ok());
  return {words.begin(), words.end()};
}

std::vector<std::string> split(const char *pattern, std::string_view text) {
  return split({{.pattern = pattern}}, text);
}

TEST(PatternDialect, LeavesAloneWhatBothMean) {
  for (const char *same : {"", "a|b", R"([^\r\n\p{L}\p{N}]?\p{L}+)", R"(\p{N}{1,3})", "(?i:'s|'t)",
                           "(?=a)(?!b)(?<=c)(?<!d)(?>e)", "[一-龥\u3040-ゟ]+", R"(a\.\[\]\\)",
                           R"([a\-z\]]*?b++)", "{a}x{2}"})
    if (std::string_view(same) != "{a}x{2}")
      EXPECT_EQ(*to_pcre2(same), same);
  EXPECT_EQ(*to_pcre2("{a}x{2}"), "\\{a}x{2}");
}

TEST(PatternDialect, RewritesWhatDiffers) {
  EXPECT_EQ(*to_pcre2(R"(\d\D[\d])"), R"(\p{Nd}\P{Nd}[\p{Nd}])");
  EXPECT_EQ(*to_pcre2(R"(\p{Greek}\p{^Han}\P{^L}\p{Letter})"),
            R"(\p{sc:Greek}\P{sc:Han}\p{L}\p{L})");
  EXPECT_EQ(*to_pcre2(R"(\p{N}{1,3}+)"), R"((?:\p{N}{1,3})+)");
  EXPECT_EQ(*to_pcre2("(?:ab){2}+c{,3}"), "(?:(?:ab){2})+c{0,3}");
  EXPECT_EQ(*to_pcre2(R"((?m:.)\h[\h]\v\u00e9)"), R"((?s:.)[0-9A-Fa-f][0-9A-Fa-f]\x{b}\x{00e9})");
  EXPECT_EQ(*to_pcre2("(?i)a|b"), "(?i)a|b");
}

TEST(PatternDialect, SpaceIsUnicodesWhiteSpace) {
  EXPECT_THAT(split(R"(\s+)", "a\u180eb\u0085c\u3000d"),
              ElementsAre("a\u180eb", "\u0085", "c", "\u3000", "d"));
  EXPECT_THAT(split(R"([\S]+)", "a\u180eb\u0085c"), ElementsAre("a\u180eb", "\u0085", "c"));
  EXPECT_THAT(split(R"(\w+)", "e\u0301_1-x"), ElementsAre("e\u0301_1", "-", "x"));
  EXPECT_THAT(split(R"(\bb)", "ab b"), ElementsAre("ab ", "b"));
  EXPECT_THAT(split(R"(\w+)", "a\u00b2\u00bd\u2074"), ElementsAre("a\u00b2\u00bd", "\u2074"));
}

TEST(PatternDialect, ClassesHaveAlgebra) {
  EXPECT_THAT(split("[a-f&&[^bc]]+", "abcdex"), ElementsAre("a", "bc", "de", "x"));
  EXPECT_THAT(split("[^a-f&&[^bc]]+", "abcdex"), ElementsAre("a", "bc", "de", "x"));
  EXPECT_THAT(split("[a-f&&bcx&&[^c]]+", "abcx"), ElementsAre("a", "b", "cx"));
  EXPECT_THAT(split("[ab[x-z]]+", "abcx"), ElementsAre("ab", "c", "x"));
  EXPECT_THAT(split("[^ab[x-z]]+", "abcx"), ElementsAre("ab", "c", "x"));
  EXPECT_THAT(split("[[ab][x-z]]{2}", "abcx"), ElementsAre("ab", "cx"));
  EXPECT_THAT(split(R"([\WA]+)", "aA-b"), ElementsAre("a", "A-", "b"));
  EXPECT_THAT(split(R"([^\WA]+)", "aA-b"), ElementsAre("a", "A-", "b"));
  EXPECT_THAT(split(R"([\p{L}&&[^\p{Han}]]+)", "ab日本c"), ElementsAre("ab", "日本", "c"));
  EXPECT_EQ(*to_pcre2("[^ab]"), "[^ab]");
  EXPECT_THAT(split(R"([\w]+)", "a\u00b2b"), ElementsAre("a", "\u00b2", "b"));
  EXPECT_THAT(split(R"([\W]+)", "a\u00b2b"), ElementsAre("a", "\u00b2", "b"));
}

TEST(PatternDialect, RefusesByName) {
  for (const auto &[pattern, what] :
       {std::pair{R"(\Qa)", "\\Q"}, std::pair{"(?<n>a)", "group"}, std::pair{"a(?i)b", "group"},
        std::pair{"[ab", "unfinished"}, std::pair{"[a[b]", "unfinished"},
        std::pair{"[[[[[[[[[[a]]]]]]]]]]", "as many classes"}, std::pair{"\\", "lone backslash"},
        std::pair{"a)", "')'"}, std::pair{R"(\pL)", "braces"}, std::pair{"[]a]", "']'"}}) {
    const auto result = to_pcre2(pattern);
    ASSERT_FALSE(result.ok()) << pattern;
    EXPECT_THAT(std::string(message_of(result.status())), HasSubstr(what)) << pattern;
  }
  EXPECT_FALSE(PreTokenizer::create({{.pattern = R"(\p{Xyzzy})"}}).ok());
}

TEST(PreTokenizer, StepsSeeWordsAlone) {
  EXPECT_THAT(split({{.pattern = R"(\p{N})"}, {.pattern = R"(\s+(?!\S)|\s+|\S+)"}}, "a  1 22"),
              ElementsAre("a", "  ", "1", " ", "2", "2"));
  EXPECT_THAT(
      split({{.kind = PreTokenizerStep::Kind::PrefixSpace, .pattern = ""}, {.pattern = R"(\S+)"}},
            "ab"),
      ElementsAre(" ", "ab"));
}

TEST(PreTokenizer, MatchesCanGo) {
  PreTokenizerStep step{.pattern = "[ab]", .behavior = SplitBehavior::Removed};
  EXPECT_THAT(split({step}, "xaayb"), ElementsAre("x", "y"));
  step.invert = true;
  EXPECT_THAT(split({step}, "xaayb"), ElementsAre("a", "a", "b"));
}

TEST(PreTokenizer, MatchesJoinTheirNeighbours) {
  const auto with = [](SplitBehavior behavior, std::string_view text) {
    return split({{.pattern = "-", .behavior = behavior}}, text);
  };
  EXPECT_THAT(with(SplitBehavior::MergedWithPrevious, "-a--b-"), ElementsAre("-", "a-", "-", "b-"));
  EXPECT_THAT(with(SplitBehavior::MergedWithNext, "-a--b-"), ElementsAre("-a", "-", "-b", "-"));
  EXPECT_THAT(with(SplitBehavior::Contiguous, "-a--b-"), ElementsAre("-", "a", "--", "b", "-"));
  EXPECT_THAT(
      split({{.pattern = "-", .behavior = SplitBehavior::MergedWithNext, .invert = true}}, "a--b"),
      ElementsAre("a-", "-", "b"));
}

TEST(PreTokenizer, MetaspaceMarksWords) {
  const auto with = [](MetaspacePrepend prepend, bool cuts, std::string_view text) {
    return split({{.pattern = "[|]", .behavior = SplitBehavior::Removed},
                  {.kind = PreTokenizerStep::Kind::Metaspace,
                   .pattern = "\u2581",
                   .prepend = prepend,
                   .split = cuts}},
                 text);
  };
  using enum MetaspacePrepend;
  EXPECT_THAT(with(Always, true, "a  b|c"), ElementsAre("\u2581a", "\u2581", "\u2581b", "\u2581c"));
  EXPECT_THAT(with(First, false, "a b|c"), ElementsAre("\u2581a\u2581b", "c"));
  EXPECT_THAT(with(First, false, "|c"), ElementsAre("c")) << "the text does not begin with it";
  EXPECT_THAT(with(Never, true, "a b"), ElementsAre("a", "\u2581b"));
  EXPECT_THAT(with(Always, false, " a|\u2581b"), ElementsAre("\u2581a", "\u2581b"));
}

TEST(PreTokenizer, EmptyMatchesCut) {
  EXPECT_THAT(split(R"((?=(\d{3})+(?!\d)))", "1234567"), ElementsAre("1", "234", "567"));
  EXPECT_THAT(split("x*", "aé日"), ElementsAre("a", "é", "日"));
  EXPECT_THAT(split(literal_pattern("a.b").c_str(), "a.bxaxb"), ElementsAre("a.b", "xaxb"));
}

} // namespace
} // namespace quern::text
