#include "frontends/gguf/PreTokenizers.h"

#include "runtime/text/Message.h"

#include <algorithm>

namespace quern::gguf {
namespace {

// The patterns, as published in the models' own tokenizer.json. llama.cpp spells some differently
// to the same effect.
constexpr const char *kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char *kLlama3 =
    R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char *kQwen2 =
    R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char *kQwen35 =
    R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char *kDeepSeek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char *kDigit = R"(\p{N})";
constexpr const char *kDigits = R"(\p{N}+)";
constexpr const char *kUpTo3Digits = R"(\p{N}{1,3})";
// Digits in threes, counted from the last one; the first of them go with what is before.
constexpr const char *kThousands = R"(\P{N}*\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N})))";
constexpr const char *kCjk = "[一-龥\u3040-ゟ゠-ヿ]+";
// Cased letters, where llama.cpp takes ASCII's case and counts every other letter as both.
#define QUERN_UPPER R"((?:(?=\p{L})[^a-z]))"
#define QUERN_LOWER R"((?:(?=\p{L})[^A-Z]))"
#define QUERN_CONTRACTION R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]))"
#define QUERN_SPACES R"(|\s*[\r\n]+|\s+(?!\S)|\s+)"
constexpr const char *kTekken =
    R"([^\r\n\p{L}\p{N}]?)" QUERN_UPPER "*" QUERN_LOWER R"(+|[^\r\n\p{L}\p{N}]?)" QUERN_UPPER
    "+" QUERN_LOWER R"(*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*)" QUERN_SPACES;
constexpr const char *kGpt4o =
    R"([^\r\n\p{L}\p{N}]?)" QUERN_UPPER "*" QUERN_LOWER "+" QUERN_CONTRACTION
    R"(?|[^\r\n\p{L}\p{N}]?)" QUERN_UPPER "+" QUERN_LOWER "*" QUERN_CONTRACTION
    R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*)" QUERN_SPACES;
constexpr const char *kSeedCoder =
    QUERN_CONTRACTION R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+)" QUERN_SPACES;
constexpr const char *kMiniCpm5 =
    QUERN_CONTRACTION R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*)" QUERN_SPACES;
// Letters and marks, of which only ASCII's have a case.
constexpr const char *kGraniteEmbedding =
    R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}&&[^a-z]]*[\p{L}\p{M}&&[^A-Z]]+)" QUERN_CONTRACTION
    R"(?|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}&&[^a-z]]+[\p{L}\p{M}&&[^A-Z]]*)" QUERN_CONTRACTION
    R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*)" QUERN_SPACES;
// GPT-4o's with letters of no case at all.
constexpr const char *kTinyAya = R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+)" QUERN_CONTRACTION
                                 R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*)" QUERN_SPACES;
constexpr const char *kYoutu = R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+)" QUERN_CONTRACTION
                               R"(?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*)" QUERN_SPACES;
constexpr const char *kKimiK2 =
    R"(\p{Han}+|[^\r\n\p{L}\p{N}]?[\p{L}&&[^\p{Han}]]+)" QUERN_CONTRACTION
    R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)" QUERN_SPACES;
constexpr const char *kUfakzeka =
    R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)" QUERN_SPACES;
constexpr const char *kBailingMoe =
    QUERN_CONTRACTION R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
                      R"(|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr const char *kExaoneMoe =
    QUERN_CONTRACTION R"(|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N})"
                      R"(| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr const char *kJais2 = QUERN_CONTRACTION
    R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+)"
    R"(|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S))"
    R"(|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})";
#undef QUERN_UPPER
#undef QUERN_LOWER
#undef QUERN_CONTRACTION
#undef QUERN_SPACES
// BLOOM's: everything up to the next space or sentence mark of Latin, Chinese, Hindi or Arabic.
constexpr const char *kBloom = R"( ?[^(\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+)";
constexpr const char *kNewline = R"([\r\n])";
constexpr const char *kDeepSeekLetters =
    R"(\s?[)"
    R"(A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293)"
    R"(\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a)"
    R"(\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556)"
    R"(\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b)"
    R"(\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d)"
    R"(\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe)"
    R"(\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4)"
    R"(\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128)"
    R"(\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184)"
    R"(\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b)"
    R"(\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17)"
    R"(\uff21-\uff3a\uff41-\uff5a𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃)"
    R"(]+)";
constexpr const char *kDeepSeekMarks =
    R"(\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3001\u3002]+)";
// White space is none of it, as it is none of the marks.
constexpr const char *kDeepSeekCjk = R"([\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff&&\S]+)";
constexpr const char *kSpark =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+)";
constexpr const char *kYoutuScripts =
    R"([가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥\u3040-ゟ゠-ヿ]+)";
constexpr const char *kAfMoeScripts =
    R"([一-鿿㐀-䶿豈-﫿\u3040-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿\u0e80-\u0effក-\u17ffက-႟ꩠ-ꩿ\ua9e0-\ua9ff)"
    R"(가-\ud7afᄀ-ᇿ]+)";

const std::vector<PreTokenizer> &known() {
  static const std::vector<PreTokenizer> pres = {
      // "default" is what llama.cpp takes for files too old to say.
      {{"", "default"}, {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, kDigits, "[0-9][0-9][0-9]"}},
      {{"gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4",
        "modern-bert", "gigachat", "a.x-4.0", "mellum", "jina-es", "jina-de", "jina-v2-es",
        "jina-v2-de"},
       {kGpt2}},
      {{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b",
        "mellum2"},
       {kDigit, kGpt2}},
      {{"falcon"}, {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2, "[0-9][0-9][0-9]"}},
      {{"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
        "jina-v5-nano"},
       {kLlama3},
       /*ignore_merges=*/true,
       /*add_bos=*/true},
      {{"dbrx", "smaug-bpe", "chatglm-bpe"}, {kLlama3}},
      {{"glm4", "glm5"}, {kLlama3}, /*ignore_merges=*/true},
      {{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "stablelm2", "megrez", "hunyuan", "grok-2",
        "solar-open"},
       {kQwen2}},
      {{"qwen35"}, {kQwen35}},
      {{"tekken"}, {kTekken}, /*ignore_merges=*/true, /*add_bos=*/true},
      {{"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}, {kGpt4o}},
      {{"bloom", "poro-chat", "gpt3-finnish"}, {kBloom}},
      {{"viking"}, {kBloom, kDigit}},
      {{"deepseek-llm"},
       {kNewline, kDeepSeekLetters, kDeepSeekMarks, R"(\s+\z)", kDeepSeekCjk, kDigits}},
      {{"deepseek-coder"}, {kNewline, R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepSeekCjk, kDigit}},
      {{"seed-coder"}, {kSeedCoder}},
      {{"minicpm5"}, {kUpTo3Digits, kMiniCpm5}, /*ignore_merges=*/true},
      {{"bailingmoe", "bailingmoe2", "llada-moe"}, {kBailingMoe}},
      {{"exaone-moe"}, {kExaoneMoe}},
      {{"jais-2"}, {kJais2}},
      {{"granite-embed-multi-97m"}, {kGraniteEmbedding}, /*ignore_merges=*/true},
      {{"tiny_aya", "cohere2moe"}, {kThousands, kTinyAya}},
      {{"youtu"}, {kYoutuScripts, kYoutu}, /*ignore_merges=*/true},
      {{"kimi-k2"}, {kKimiK2}},
      {{"ufakzeka"}, {kUfakzeka}},
      {{"superbpe"}, {kDigits, R"((?=(\d{3})+(?!\d)))"}},
      {{"laguna"}, {R"([^\n]+|\n+)", kQwen2}},
      {{"afmoe"}, {kThousands, kAfMoeScripts, kDeepSeek3}},
      {{"spark2_5"}, {kUpTo3Digits, kCjk, kSpark, kDigit}},
      {{"chameleon"},
       {"<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z", "[\t\n]|    |  ", kDigit,
        R"([\p{P}!-/:-@\[-`{-~])", kGpt2},
       /*ignore_merges=*/false,
       /*add_bos=*/true},
      {{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"}, {kUpTo3Digits, kCjk, kDeepSeek3}},
  };
  return pres;
}

} // namespace

absl::StatusOr<const PreTokenizer *> find_pre_tokenizer(const std::string &name) {
  for (const PreTokenizer &pre : known())
    if (std::find(pre.names.begin(), pre.names.end(), name) != pre.names.end())
      return &pre;
  return absl::UnimplementedError(
      text::concat("tokenizer.ggml.pre: \"", name, "\" is not a pre-tokenizer Quern knows"));
}

} // namespace quern::gguf
