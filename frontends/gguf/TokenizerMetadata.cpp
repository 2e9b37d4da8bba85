#include "frontends/gguf/TokenizerMetadata.h"

#include "runtime/text/Tokenizer.h"

#include "runtime/text/Message.h"

#include <algorithm>
#include <span>

namespace quern::gguf {
namespace {

using text::TokenKind;

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
constexpr const char *kCjk = "[一-龥\u3040-ゟ゠-ヿ]+";

/// Patterns, each applied to the words the one before it left.
struct Pre {
  std::vector<const char *> names;
  std::vector<const char *> patterns;
  bool ignore_merges = false;
  bool add_bos = false; ///< where tokenizer.ggml.add_bos_token is absent
};

const std::vector<Pre> &known_pres() {
  static const std::vector<Pre> pres = {
      // "default" is what llama.cpp takes for files too old to say.
      {{"", "default"}, {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, kDigits, "[0-9][0-9][0-9]"}},
      {{"gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4",
        "modern-bert", "gigachat", "a.x-4.0", "mellum"},
       {kGpt2}},
      {{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b",
        "mellum2"},
       {kDigit, kGpt2}},
      {{"falcon"}, {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2, "[0-9][0-9][0-9]"}},
      {{"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"},
       {kLlama3},
       /*ignore_merges=*/true,
       /*add_bos=*/true},
      {{"dbrx", "smaug-bpe", "glm4", "chatglm-bpe"}, {kLlama3}},
      {{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "stablelm2", "megrez", "hunyuan", "grok-2",
        "solar-open"},
       {kQwen2}},
      {{"qwen35"}, {kQwen35}},
      {{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"}, {kUpTo3Digits, kCjk, kDeepSeek3}},
  };
  return pres;
}

absl::StatusOr<const Pre *> find_pre(const std::string &name) {
  for (const Pre &pre : known_pres())
    if (std::find(pre.names.begin(), pre.names.end(), name) != pre.names.end())
      return &pre;
  return absl::UnimplementedError(
      text::concat("tokenizer.ggml.pre: \"", name, "\" is not a pre-tokenizer Quern knows"));
}

// Spellings that end an answer even where no key says so, as llama.cpp has it: chat models are
// often published with the base model's eos_token_id.
constexpr std::string_view kEndSpellings[] = {
    "<|eot_id|>",      "<|im_end|>",         "<|end|>",    "<|return|>", "<|call|>",
    "<end_of_turn>",   "<|endoftext|>",      "<|eom_id|>", "<EOT>",      "_<EOT>",
    "<|end_of_text|>", "<end_of_utterance>", "<eos>",      "</s>",       "<｜end▁of▁sentence｜>"};

absl::StatusOr<std::vector<TokenKind>> token_kinds(const TokenizerMetadata &metadata) {
  if (metadata.token_types.empty())
    return std::vector<TokenKind>(metadata.tokens.size(), TokenKind::Normal);
  if (metadata.token_types.size() != metadata.tokens.size())
    return absl::InvalidArgumentError(
        text::concat("tokenizer.ggml.token_type: ", metadata.token_types.size(), " types for ",
                     metadata.tokens.size(), " tokens"));
  static constexpr TokenKind kByType[] = {
      TokenKind::Normal,      TokenKind::Normal, TokenKind::Unknown, TokenKind::Control,
      TokenKind::UserDefined, TokenKind::Unused, TokenKind::Byte};
  std::vector<TokenKind> kinds;
  kinds.reserve(metadata.tokens.size());
  for (int32_t type : metadata.token_types) {
    if (type < 0 || static_cast<size_t>(type) >= std::size(kByType))
      return absl::InvalidArgumentError(
          text::concat("tokenizer.ggml.token_type: ", type, " is not a token type"));
    kinds.push_back(kByType[type]);
  }
  return kinds;
}

absl::StatusOr<std::vector<text::Merge>> read_merges(const TokenizerMetadata &metadata) {
  std::vector<text::MergeText> merges;
  merges.reserve(metadata.merges.size());
  for (std::string_view merge : metadata.merges) {
    // The left part may itself begin with a space.
    const size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == merge.size())
      return absl::InvalidArgumentError(text::concat("tokenizer.ggml.merges: entry ", merges.size(),
                                                     " (\"", merge, "\") is not two tokens"));
    merges.push_back({merge.substr(0, space), merge.substr(space + 1)});
  }
  absl::StatusOr<std::vector<text::Merge>> resolved = text::resolve_merges(metadata.tokens, merges);
  if (!resolved.ok())
    return absl::InvalidArgumentError(
        text::concat("tokenizer.ggml.merges: ", text::message_of(resolved.status())));
  return resolved;
}

/// The id under `key`, -1 if absent.
absl::StatusOr<int32_t> token_id(const char *key, std::optional<int64_t> id, size_t tokens) {
  if (!id)
    return -1;
  if (*id < 0 || static_cast<uint64_t>(*id) >= tokens)
    return absl::InvalidArgumentError(
        text::concat(key, ": ", *id, " is outside the vocabulary of ", tokens, " tokens"));
  return static_cast<int32_t>(*id);
}

void add_end(int32_t id, std::vector<int32_t> &ends) {
  if (id >= 0 && std::find(ends.begin(), ends.end(), id) == ends.end())
    ends.push_back(id);
}

absl::Status read_special_ids(const TokenizerMetadata &metadata, const Pre &pre,
                              text::TokenizerSpec &spec) {
  const struct {
    const char *key;
    std::optional<int64_t> id;
  } ends[] = {{"tokenizer.ggml.eos_token_id", metadata.eos_id},
              {"tokenizer.ggml.eot_token_id", metadata.eot_id},
              {"tokenizer.ggml.eom_token_id", metadata.eom_id}};
  for (const auto &[key, value] : ends) {
    absl::StatusOr<int32_t> id = token_id(key, value, spec.tokens.size());
    if (!id.ok())
      return id.status();
    add_end(*id, spec.eos_ids);
  }
  const bool has_eos = metadata.eos_id.has_value();
  absl::StatusOr<int32_t> bos =
      token_id("tokenizer.ggml.bos_token_id", metadata.bos_id, spec.tokens.size());
  if (!bos.ok())
    return bos.status();
  spec.bos_id = *bos;
  if (spec.bos_id >= 0)
    spec.bos_token = spec.tokens[static_cast<size_t>(spec.bos_id)];
  if (has_eos)
    spec.eos_token = spec.tokens[static_cast<size_t>(*metadata.eos_id)];
  if (metadata.add_bos.value_or(pre.add_bos)) {
    if (spec.bos_id < 0)
      return absl::InvalidArgumentError(
          "tokenizer.ggml.add_bos_token is true, but tokenizer.ggml.bos_token_id is absent");
    spec.prefix_ids = {spec.bos_id};
  }
  if (metadata.add_eos.value_or(false)) {
    if (!has_eos)
      return absl::InvalidArgumentError(
          "tokenizer.ggml.add_eos_token is true, but tokenizer.ggml.eos_token_id is absent");
    spec.suffix_ids = {static_cast<int32_t>(*metadata.eos_id)};
  }
  // gpt-oss's <|end|> ends a message of an answer, not the answer; its <|return|> tells it apart.
  const auto is_control = [&](std::string_view spelling) {
    const auto it = std::find(spec.tokens.begin(), spec.tokens.end(), spelling);
    return it != spec.tokens.end() &&
           spec.kinds[static_cast<size_t>(it - spec.tokens.begin())] == TokenKind::Control;
  };
  const bool harmony = is_control("<|return|>") && is_control("<|call|>");
  for (size_t i = 0; i < spec.tokens.size(); ++i)
    if (spec.kinds[i] == TokenKind::Control && !(harmony && spec.tokens[i] == "<|end|>") &&
        std::find(std::begin(kEndSpellings), std::end(kEndSpellings), spec.tokens[i]) !=
            std::end(kEndSpellings))
      add_end(static_cast<int32_t>(i), spec.eos_ids);
  return absl::OkStatus();
}

} // namespace

absl::StatusOr<text::TokenizerSpec> tokenizer_from_metadata(const TokenizerMetadata &metadata) {
  if (metadata.model != "gpt2")
    return absl::UnimplementedError(text::concat(
        "tokenizer.ggml.model: \"", metadata.model,
        "\" is not supported; byte-level BPE (\"gpt2\") is. The model runs on raw ids"));
  absl::StatusOr<const Pre *> pre = find_pre(metadata.pre);
  if (!pre.ok())
    return pre.status();

  text::TokenizerSpec spec;
  spec.tokens = metadata.tokens;
  absl::StatusOr<std::vector<TokenKind>> kinds = token_kinds(metadata);
  if (!kinds.ok())
    return kinds.status();
  spec.kinds = *std::move(kinds);
  absl::StatusOr<std::vector<text::Merge>> merges = read_merges(metadata);
  if (!merges.ok())
    return merges.status();
  spec.merges = *std::move(merges);
  spec.ignore_merges = (*pre)->ignore_merges;
  for (const char *pattern : (*pre)->patterns)
    spec.pre_tokenizer.push_back({.pattern = pattern});
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    const TokenKind kind = spec.kinds[i];
    if (kind == TokenKind::Control || kind == TokenKind::UserDefined || kind == TokenKind::Unknown)
      spec.added_tokens.push_back({.content = spec.tokens[i],
                                   .id = static_cast<int32_t>(i),
                                   .special = kind != TokenKind::UserDefined});
  }
  if (absl::Status s = read_special_ids(metadata, **pre, spec); !s.ok())
    return s;
  spec.chat_template = metadata.chat_template;
  // What the runtime would refuse is refused here, where the model's author can be named.
  if (absl::StatusOr<std::unique_ptr<text::Tokenizer>> trial = text::Tokenizer::create(spec);
      !trial.ok())
    return trial.status();
  return spec;
}

} // namespace quern::gguf
