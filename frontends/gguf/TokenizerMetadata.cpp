#include "frontends/gguf/TokenizerMetadata.h"

#include "frontends/PythonLiteral.h"
#include "frontends/gguf/PreTokenizers.h"
#include "runtime/text/Message.h"
#include "runtime/text/Tokenizer.h"
#include "runtime/text/Utf8.h"
#include "runtime/text/template/RenderChat.h"

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <cctype>
#include <cmath>

namespace quern::gguf {
namespace {

using text::NormalizerStep;
using text::TokenKind;

constexpr const char *kSpace = "\u2581";

// What files get wrong about their tokens is put right by spelling, as llama.cpp has it.
//
// These end an answer even where no key says so, and are control tokens whatever their type: chat
// models are often published with the base model's eos_token_id.
constexpr std::string_view kEndSpellings[] = {"<|eot_id|>",
                                              "<|im_end|>",
                                              "<|end|>",
                                              "<|return|>",
                                              "<|call|>",
                                              "<|flush|>",
                                              "<|calls|>",
                                              "<eos>",
                                              "<|tool_response>",
                                              "</s>",
                                              "<end_of_turn>",
                                              "<|endoftext|>",
                                              "<|eom_id|>",
                                              "<EOT>",
                                              "_<EOT>",
                                              "[EOT]",
                                              "[EOS]",
                                              "<turn|>",
                                              "<|end_of_text|>",
                                              "<end_of_utterance>",
                                              "[e~[",
                                              "<｜end▁of▁sentence｜>"};
// Control tokens of filling in the middle. The first three groups only mark a place; the others
// end an answer. Of a group the first that is found counts.
constexpr std::string_view kFillIn[][8] = {
    {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>",
     "<|code_prefix|>", "<|prefix|>"},
    {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>",
     "<|code_suffix|>", "<|suffix|>"},
    {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>",
     "<|code_middle|>", "<|middle|>"},
    {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"},
    {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"},
    {"<|file_sep|>"}};
constexpr size_t kFillInPlaces = 3;
// gpt-oss's, which are part of an answer.
constexpr std::string_view kParts[] = {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"};

using Notes = std::vector<std::string>;

/// An array with an element a token. More than that are passed over, as llama.cpp has it.
absl::Status check_length(const char *key, size_t length, const char *elements, size_t tokens,
                          Notes &notes) {
  if (length < tokens)
    return absl::InvalidArgumentError(
        text::concat(key, ": ", length, " ", elements, " for ", tokens, " tokens"));
  if (length > tokens)
    notes.push_back(text::concat(key, ": ", length, " ", elements, " for ", tokens,
                                 " tokens; the last are passed over"));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<TokenKind>> token_kinds(const TokenizerMetadata &metadata,
                                                   Notes &notes) {
  if (metadata.token_types.empty()) {
    notes.push_back("tokenizer.ggml.token_type is missing: every token counts as a word, so that "
                    "special tokens are not found in a text, but for those known by their names");
    return std::vector<TokenKind>(metadata.tokens.size(), TokenKind::Normal);
  }
  if (absl::Status s = check_length("tokenizer.ggml.token_type", metadata.token_types.size(),
                                    "types", metadata.tokens.size(), notes);
      !s.ok())
    return s;
  static constexpr TokenKind kByType[] = {
      TokenKind::Normal,      TokenKind::Normal, TokenKind::Unknown, TokenKind::Control,
      TokenKind::UserDefined, TokenKind::Unused, TokenKind::Byte};
  std::vector<TokenKind> kinds;
  kinds.reserve(metadata.tokens.size());
  for (size_t i = 0; i < metadata.tokens.size(); ++i) {
    const int32_t type = metadata.token_types[i];
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

void add_end(int32_t id, std::vector<int32_t> &ends) {
  if (id >= 0 && std::find(ends.begin(), ends.end(), id) == ends.end())
    ends.push_back(id);
}

/// What a model has where the keys are absent.
struct Defaults {
  int32_t bos = -1, eos = -1, unk = -1, sep = -1;
  bool add_bos = false, add_eos = false;
};

/// A special token's id by its key. One that names no token is noted and counts as absent.
class SpecialIds {
public:
  SpecialIds(size_t tokens, Notes &notes) : tokens_(tokens), notes_(notes) {}

  int32_t get(const char *key, std::optional<int64_t> id, int32_t fallback = -1) const {
    if (fallback >= 0 && static_cast<size_t>(fallback) >= tokens_)
      fallback = -1;
    if (!id)
      return fallback;
    if (*id >= 0 && static_cast<uint64_t>(*id) < tokens_)
      return static_cast<int32_t>(*id);
    notes_.push_back(
        text::concat("tokenizer.ggml.", key, ": ", *id, " names none of the ", tokens_, " tokens",
                     fallback < 0 ? std::string(": it is passed over")
                                  : text::concat("; this model's usual one is taken, ", fallback)));
    return fallback;
  }

private:
  size_t tokens_;
  Notes &notes_;
};

absl::Status read_special_ids(const TokenizerMetadata &metadata, const Defaults &defaults,
                              text::TokenizerSpec &spec, Notes &notes) {
  const SpecialIds ids(spec.tokens.size(), notes);
  const int32_t eos = ids.get("eos_token_id", metadata.eos_id, defaults.eos);
  const int32_t bos = ids.get("bos_token_id", metadata.bos_id, defaults.bos);
  const int32_t unk = ids.get("unknown_token_id", metadata.unk_id, defaults.unk);
  const int32_t sep = ids.get("seperator_token_id", metadata.sep_id, defaults.sep);
  for (const int32_t id :
       {eos, ids.get("eot_token_id", metadata.eot_id), ids.get("eom_token_id", metadata.eom_id)})
    add_end(id, spec.eos_ids);
  spec.bos_id = bos;
  if (spec.model != text::ModelKind::ByteLevelBpe) // which drops what it has no token for
    spec.unk_id = unk;
  if (bos >= 0)
    spec.bos_token = spec.tokens[static_cast<size_t>(bos)];
  if (eos >= 0)
    spec.eos_token = spec.tokens[static_cast<size_t>(eos)];
  for (const auto &[name, id] :
       {std::pair{"unk_token", unk}, std::pair{"sep_token", sep},
        std::pair{"pad_token", ids.get("padding_token_id", metadata.pad_id)},
        std::pair{"cls_token", ids.get("cls_token_id", metadata.cls_id)},
        std::pair{"mask_token", ids.get("mask_token_id", metadata.mask_id)}})
    if (id >= 0)
      spec.named_tokens.push_back({name, spec.tokens[static_cast<size_t>(id)]});
  // A flag without an id cannot be meant; an id that is none was noted.
  if (metadata.add_bos == true && !metadata.bos_id && bos < 0)
    return absl::InvalidArgumentError(
        "tokenizer.ggml.add_bos_token is true, but tokenizer.ggml.bos_token_id is absent");
  if (metadata.add_eos == true && !metadata.eos_id && eos < 0)
    return absl::InvalidArgumentError(
        "tokenizer.ggml.add_eos_token is true, but tokenizer.ggml.eos_token_id is absent");
  if (metadata.add_bos.value_or(defaults.add_bos) && bos >= 0)
    spec.prefix_ids = {bos};
  if (metadata.add_eos.value_or(defaults.add_eos) && eos >= 0)
    spec.suffix_ids = {eos};
  if (defaults.sep >= 0 && sep >= 0)
    spec.suffix_ids = {sep};
  return absl::OkStatus();
}

/// Puts right what tokens are, by their spelling or, for filling in, their keys, and says which of
/// them end an answer.
std::vector<int32_t> correct_kinds(const TokenizerMetadata &metadata, text::TokenizerSpec &spec,
                                   Notes &notes) {
  absl::flat_hash_map<std::string_view, size_t, std::hash<std::string_view>> known;
  for (const std::string_view spelling : kEndSpellings)
    known.emplace(spelling, spec.tokens.size());
  for (const auto &group : kFillIn)
    for (const std::string_view spelling : group)
      known.emplace(spelling, spec.tokens.size());
  for (const std::string_view spelling : kParts)
    known.emplace(spelling, spec.tokens.size());
  for (size_t i = 0; i < spec.tokens.size(); ++i)
    if (const auto it = known.find(spec.tokens[i]); it != known.end())
      it->second = i;
  const auto find = [&](std::string_view spelling) {
    const size_t i = spelling.empty() ? spec.tokens.size() : known.at(spelling);
    return i < spec.tokens.size() ? std::optional<size_t>(i) : std::nullopt;
  };

  std::vector<int32_t> ends;
  static constexpr const char *kFillInKeys[] = {"fim_pre_token_id", "fim_suf_token_id",
                                                "fim_mid_token_id", "fim_pad_token_id",
                                                "fim_rep_token_id", "fim_sep_token_id"};
  const SpecialIds ids(spec.tokens.size(), notes);
  for (size_t i = 0; i < std::size(kFillIn); ++i) {
    // A key's token keeps its type and ends an answer all the same.
    if (const int32_t id = ids.get(kFillInKeys[i], metadata.fill_in_ids[i]); id >= 0) {
      if (i >= kFillInPlaces)
        add_end(id, ends);
      continue;
    }
    for (const std::string_view spelling : kFillIn[i])
      if (const std::optional<size_t> token = find(spelling)) {
        spec.kinds[*token] = TokenKind::Control;
        if (i >= kFillInPlaces)
          add_end(static_cast<int32_t>(*token), ends);
        break;
      }
  }
  // <|end|> ends a message of an answer, not the answer, where others end answers; Gemma 4 has a
  // </s> that is mere text.
  const bool call = find("<|call|>") || find("<|calls|>");
  const bool only_message = call && (find("<|return|>") || find("<|flush|>"));
  for (const std::string_view spelling : kEndSpellings)
    if (const std::optional<size_t> token = find(spelling)) {
      const bool part = spelling == "<|end|>" && only_message;
      const bool text = spelling == "</s>" && find("<|tool_response>");
      spec.kinds[*token] = part   ? TokenKind::UserDefined
                           : text ? TokenKind::Normal
                                  : TokenKind::Control;
      if (!part && !text)
        add_end(static_cast<int32_t>(*token), ends);
    }
  for (const std::string_view spelling : kParts)
    if (const std::optional<size_t> token = find(spelling))
      spec.kinds[*token] = TokenKind::UserDefined;
  return ends;
}

/// Whether words of more than a byte are among the tokens, for which there must be merges.
bool needs_merges(const text::TokenizerSpec &spec) {
  for (size_t i = 0; i < spec.tokens.size(); ++i)
    if (spec.kinds[i] == TokenKind::Normal && text::count_code_points(spec.tokens[i]) > 1)
      return true;
  return false;
}

absl::Status read_byte_level(const TokenizerMetadata &metadata, Defaults &defaults,
                             text::TokenizerSpec &spec, Notes &notes) {
  absl::StatusOr<const PreTokenizer *> pre = find_pre_tokenizer(metadata.pre);
  if (!pre.ok())
    return pre.status();
  if (metadata.merges.empty() && metadata.pre != "kimi-k2" && needs_merges(spec))
    return absl::InvalidArgumentError(
        "tokenizer.ggml.merges: there are none, without which a gpt2 vocabulary makes a token of "
        "each byte\nhint: convert the model again, or get it from elsewhere");
  if (metadata.pre.empty())
    notes.push_back(
        "tokenizer.ggml.pre is missing: texts are cut into words in llama.cpp's default "
        "way and not in the model's, so its answers get worse; convert the model again");
  for (TokenKind &kind : spec.kinds) // bytes are spelled otherwise here
    kind = kind == TokenKind::Byte ? TokenKind::Unused : kind;
  absl::StatusOr<std::vector<text::Merge>> merges = read_merges(metadata);
  if (!merges.ok())
    return merges.status();
  spec.model = text::ModelKind::ByteLevelBpe;
  spec.merges = *std::move(merges);
  spec.ignore_merges = (*pre)->ignore_merges;
  for (const char *pattern : (*pre)->patterns) {
    text::PreTokenizerStep step;
    step.pattern = pattern;
    spec.pre_tokenizer.push_back(std::move(step));
  }
  defaults.add_bos = (*pre)->add_bos;
  return absl::OkStatus();
}

absl::Status check_scores(const TokenizerMetadata &metadata, Notes &notes) {
  if (absl::Status s = check_length("tokenizer.ggml.scores", metadata.scores.size(), "scores",
                                    metadata.tokens.size(), notes);
      !s.ok())
    return s;
  for (float score : metadata.scores)
    if (!std::isfinite(score))
      return absl::InvalidArgumentError("tokenizer.ggml.scores: a score is not a number");
  return absl::OkStatus();
}

void add_normalizer(text::TokenizerSpec &spec, NormalizerStep::Kind kind, std::string pattern,
                    std::string content, unsigned flags = 0) {
  spec.normalizers.push_back(
      {kind, std::move(pattern), std::move(content), static_cast<uint8_t>(flags)});
}

/// Llama 2, Mistral, Gemma: merges by score over text with its spaces spelled U+2581.
absl::Status read_sentence_piece(const TokenizerMetadata &metadata, Defaults &defaults,
                                 text::TokenizerSpec &spec, Notes &notes) {
  std::vector<float> scores(metadata.tokens.size());
  if (metadata.scores.empty()) {
    notes.push_back(
        "tokenizer.ggml.scores is missing: all tokens count alike, from the left, which "
        "is hardly how the model was trained");
  } else {
    if (absl::Status s = check_scores(metadata, notes); !s.ok())
      return s;
    std::copy_n(metadata.scores.begin(), scores.size(), scores.begin());
  }
  spec.model = text::ModelKind::SentencePieceBpe;
  spec.byte_fallback = true;
  spec.merges = text::merges_from_scores(spec.tokens, spec.kinds, scores, spec.merge_ranks);
  const bool prefix = metadata.add_space_prefix.value_or(true);
  if (prefix)
    add_normalizer(spec, NormalizerStep::Kind::Prepend, "", " ");
  add_normalizer(spec, NormalizerStep::Kind::Replace, " ", kSpace);
  spec.decoding.replacements.push_back({kSpace, " "});
  spec.decoding.strip = prefix ? 1 : 0;
  defaults = {.bos = 1, .eos = 2, .unk = 0, .add_bos = true};
  return absl::OkStatus();
}

/// T5: unigram.
absl::Status read_unigram(const TokenizerMetadata &metadata, Defaults &defaults,
                          text::TokenizerSpec &spec, Notes &notes) {
  if (absl::Status s = check_scores(metadata, notes); !s.ok())
    return s;
  spec.model = text::ModelKind::Unigram;
  spec.scores.assign(metadata.scores.begin(),
                     metadata.scores.begin() + static_cast<ptrdiff_t>(metadata.tokens.size()));
  const bool prefix = metadata.add_space_prefix.value_or(true);
  add_normalizer(spec, NormalizerStep::Kind::SentencePiece, "", metadata.precompiled_charsmap,
                 NormalizerStep::kEscapeSpace | NormalizerStep::kMarksAreText |
                     (prefix ? NormalizerStep::kDummySpace : 0) |
                     (metadata.remove_extra_whitespaces.value_or(false)
                          ? NormalizerStep::kRemoveExtraSpace
                          : 0));
  spec.decoding.replacements.push_back({kSpace, " "});
  spec.decoding.strip = prefix ? 1 : 0;
  defaults = {.eos = 1, .unk = 2, .add_eos = true};
  return absl::OkStatus();
}

/// BERT. GGUF spells a token that begins a word with U+2581 and one inside a word as it is; here it
/// is the other way round, as BERT was published.
absl::Status read_word_piece(const TokenizerMetadata &metadata, Defaults &defaults,
                             text::TokenizerSpec &spec, Notes &) {
  spec.model = text::ModelKind::WordPiece;
  spec.continuation = "##";
  spec.max_word_characters = 100;
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    std::string &token = spec.tokens[i];
    if (spec.kinds[i] == TokenKind::Control || spec.kinds[i] == TokenKind::Unknown)
      continue;
    if (token.starts_with(kSpace) && token != kSpace)
      token.erase(0, std::string_view(kSpace).size());
    else
      token.insert(0, spec.continuation);
  }
  const bool lowercase = metadata.lowercase.value_or(true);
  add_normalizer(
      spec, NormalizerStep::Kind::Bert, "", "",
      NormalizerStep::kCleanText | NormalizerStep::kChinese |
          (lowercase ? NormalizerStep::kLowercase : 0) |
          (metadata.strip_accents.value_or(lowercase) ? NormalizerStep::kStripAccents : 0));
  for (const auto &[pattern, behavior] :
       {std::pair{R"(\s+)", text::SplitBehavior::Removed},
        std::pair{R"([\p{P}!-/:-@\[-`{-~])", text::SplitBehavior::Isolated}}) {
    text::PreTokenizerStep step;
    step.pattern = pattern;
    step.behavior = behavior;
    spec.pre_tokenizer.push_back(std::move(step));
  }
  spec.decoding.separator = " ";
  spec.decoding.continuation = spec.continuation;
  spec.decoding.clean_up = true;
  defaults = {.bos = 101, .unk = 100, .sep = 102, .add_bos = true};
  return absl::OkStatus();
}

/// RWKV's World: the longest token first; tokens are spelled as Python writes bytes.
absl::Status read_world(const TokenizerMetadata &, Defaults &, text::TokenizerSpec &spec, Notes &) {
  spec.model = text::ModelKind::LongestMatch;
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    if (spec.kinds[i] != TokenKind::Normal)
      continue;
    std::optional<std::string> token = unescape_python(spec.tokens[i], /*bytes=*/true);
    if (!token)
      return absl::InvalidArgumentError(
          text::concat("tokenizer.ggml.tokens: token ", i, ", \"", spec.tokens[i],
                       "\", has an escape that Python does not write\nhint: convert the model "
                       "again, or get it from elsewhere"));
    spec.tokens[i] = *std::move(token);
  }
  return absl::OkStatus();
}

/// As llama.cpp, which knows these models by their name: the file does not say it.
bool tokens_take_space_behind(const TokenizerMetadata &metadata) {
  std::string name = metadata.name;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return name.find("phi-3") != std::string::npos || name.find("phi3") != std::string::npos;
}

void add_tokens(const TokenizerMetadata &metadata, text::TokenizerSpec &spec) {
  const bool rstrip = tokens_take_space_behind(metadata);
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    const TokenKind kind = spec.kinds[i];
    if (kind != TokenKind::Control && kind != TokenKind::UserDefined && kind != TokenKind::Unknown)
      continue;
    text::AddedToken token;
    token.content = spec.tokens[i];
    token.id = static_cast<int32_t>(i);
    token.special = kind != TokenKind::UserDefined;
    token.rstrip = rstrip && token.content != "<unk>" && token.content != "<s>" &&
                   token.content != "<|endoftext|>";
    spec.added_tokens.push_back(std::move(token));
  }
}

void note_duplicates(const std::vector<std::string> &tokens, Notes &notes) {
  absl::flat_hash_map<std::string_view, size_t, std::hash<std::string_view>> ids;
  size_t count = 0;
  std::string example;
  for (size_t i = 0; i < tokens.size(); ++i)
    if (const auto [it, fresh] = ids.try_emplace(tokens[i], i);
        !fresh && !tokens[i].empty() && count++ == 0)
      example = text::concat("\"", tokens[i], "\" has the ids ", it->second, " and ", i);
  if (count > 0)
    notes.push_back(text::concat("tokenizer.ggml.tokens: ", count, " of the ", tokens.size(),
                                 " tokens are there before: ", example));
}

} // namespace

absl::StatusOr<text::TokenizerSpec> tokenizer_from_metadata(const TokenizerMetadata &metadata,
                                                            Notes *all_notes) {
  text::TokenizerSpec spec;
  Notes notes;
  spec.tokens = metadata.tokens;
  spec.decoding.silent_unused = true;
  absl::StatusOr<std::vector<TokenKind>> kinds = token_kinds(metadata, notes);
  if (!kinds.ok())
    return kinds.status();
  spec.kinds = *std::move(kinds);
  static constexpr struct {
    std::string_view model;
    absl::Status (*read)(const TokenizerMetadata &, Defaults &, text::TokenizerSpec &, Notes &);
  } kModels[] = {{"gpt2", read_byte_level},
                 {"llama", read_sentence_piece},
                 {"t5", read_unigram},
                 {"bert", read_word_piece},
                 {"rwkv", read_world}};
  const auto *const model = std::find_if(std::begin(kModels), std::end(kModels),
                                         [&](const auto &m) { return m.model == metadata.model; });
  if (model == std::end(kModels))
    return absl::UnimplementedError(text::concat(
        "tokenizer.ggml.model: \"", metadata.model,
        "\" is not supported; gpt2, llama, t5, bert and rwkv are. The model runs on raw ids"));
  note_duplicates(spec.tokens, notes);
  // WordPiece's tokens are respelled when they are read.
  const std::vector<int32_t> ends = correct_kinds(metadata, spec, notes);
  Defaults defaults;
  if (absl::Status s = model->read(metadata, defaults, spec, notes); !s.ok())
    return s;
  add_tokens(metadata, spec);
  if (absl::Status s = read_special_ids(metadata, defaults, spec, notes); !s.ok())
    return s;
  for (const int32_t id : ends)
    add_end(id, spec.eos_ids);
  spec.chat_template = metadata.chat_template;
  for (std::string &fault : text::template_faults(spec.chat_template))
    notes.push_back(std::move(fault));
  // What the runtime would refuse is refused here, where the model's author can be named.
  if (absl::StatusOr<std::unique_ptr<text::Tokenizer>> trial = text::Tokenizer::create(spec);
      !trial.ok())
    return trial.status();
  if (all_notes)
    all_notes->insert(all_notes->end(), notes.begin(), notes.end());
  return spec;
}

} // namespace quern::gguf
