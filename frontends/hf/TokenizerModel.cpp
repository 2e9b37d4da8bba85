#include "frontends/hf/TokenizerParts.h"
#include "runtime/text/Message.h"
#include "runtime/text/Utf8.h"
#include "runtime/text/WordModel.h"

#include <cmath>

namespace quern::hf {
namespace {

using nlohmann::json;
using text::TokenKind;

absl::Status invalid(const std::string &what) { return absl::InvalidArgumentError(what); }

/// {"token": id, ...}.
absl::Status read_vocabulary(const json &vocab, SpecBuilder &to) {
  if (!vocab.is_object())
    return invalid("tokenizer.json: model.vocab is not an object");
  for (const auto &[token, value] : vocab.items()) {
    const std::optional<int32_t> id = to.id_of(value);
    if (!id)
      return invalid(text::concat("tokenizer.json: model.vocab: \"", token, "\" has no valid id"));
    to.put_token(token, *id, TokenKind::Normal);
  }
  return absl::OkStatus();
}

absl::Status read_unknown(const json &model, SpecBuilder &to) {
  const std::string unk = text_of(model, "unk_token");
  if (unk.empty())
    return absl::OkStatus();
  const std::optional<int32_t> id = to.id_of(member(member(model, "vocab"), unk.c_str()));
  if (!id)
    return invalid(text::concat("tokenizer.json: model.unk_token \"", unk, "\" is no token"));
  to.spec.unk_id = *id;
  return absl::OkStatus();
}

absl::Status read_merges(const json &list, SpecBuilder &to) {
  if (!list.is_array())
    return invalid("tokenizer.json: model.merges is not a list");
  std::vector<text::MergeText> merges;
  merges.reserve(list.size());
  for (const json &merge : list) {
    text::MergeText parts;
    if (merge.is_string()) { // "left right"
      const std::string_view both = merge.get_ref<const std::string &>();
      const size_t space = both.find(' ');
      if (space != std::string_view::npos)
        parts = {both.substr(0, space), both.substr(space + 1)};
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      parts = {merge[0].get_ref<const std::string &>(), merge[1].get_ref<const std::string &>()};
    }
    if (parts.left.empty() || parts.right.empty())
      return invalid(text::concat("tokenizer.json: model.merges: entry ", merges.size(),
                                  " is not two tokens"));
    merges.push_back(parts);
  }
  absl::StatusOr<std::vector<text::Merge>> resolved =
      text::resolve_merges(to.spec.tokens, merges, text::count_code_points(to.spec.continuation));
  if (!resolved.ok())
    return invalid(
        text::concat("tokenizer.json: model.merges: ", text::message_of(resolved.status())));
  to.spec.merges = *std::move(resolved);
  return absl::OkStatus();
}

absl::Status read_bpe(const json &model, SpecBuilder &to) {
  to.spec.model = text::ModelKind::SentencePieceBpe; // unless the pre-tokenizer ends in ByteLevel
  to.spec.continuation = text_of(model, "continuing_subword_prefix");
  to.spec.word_end = text_of(model, "end_of_word_suffix");
  if (const json &dropout = member(model, "dropout");
      dropout.is_number() && dropout.get<double>() != 0)
    return unsupported("model", "dropout");
  to.spec.ignore_merges = flag_of(model, "ignore_merges", false);
  to.spec.fuse_unk = flag_of(model, "fuse_unk", false);
  to.spec.byte_fallback = flag_of(model, "byte_fallback", false);
  if (absl::Status s = read_vocabulary(member(model, "vocab"), to); !s.ok())
    return s;
  if (absl::Status s = read_unknown(model, to); !s.ok())
    return s;
  return read_merges(member(model, "merges"), to);
}

absl::Status read_unigram(const json &model, SpecBuilder &to) {
  to.spec.model = text::ModelKind::Unigram;
  to.spec.byte_fallback = flag_of(model, "byte_fallback", false);
  to.spec.byte_spellings = true;
  const json &vocab = member(model, "vocab"); // [["token", score], ...]
  if (!vocab.is_array())
    return invalid("tokenizer.json: model.vocab is not a list");
  for (const json &entry : vocab) {
    const bool fits = entry.is_array() && entry.size() == 2 && entry[0].is_string() &&
                      entry[1].is_number() && std::isfinite(entry[1].get<double>());
    if (!fits)
      return invalid(text::concat("tokenizer.json: model.vocab: entry ", to.spec.tokens.size(),
                                  " is not a token and its score"));
    to.put_token(entry[0].get<std::string>(), static_cast<int32_t>(to.spec.tokens.size()),
                 TokenKind::Normal);
    to.spec.scores.push_back(entry[1].get<double>());
  }
  if (const json &unk = member(model, "unk_id"); !unk.is_null()) {
    const std::optional<int32_t> id = number_of(unk, to.spec.tokens.size());
    if (!id)
      return invalid("tokenizer.json: model.unk_id is no token");
    to.spec.unk_id = *id;
  }
  return absl::OkStatus();
}

absl::Status read_word_piece(const json &model, SpecBuilder &to) {
  to.spec.model = text::ModelKind::WordPiece;
  const json &prefix = member(model, "continuing_subword_prefix");
  to.spec.continuation = prefix.is_string() ? prefix.get<std::string>() : "##";
  const json &longest = member(model, "max_input_chars_per_word");
  const std::optional<int32_t> limit = number_of(longest, INT32_MAX);
  if (!longest.is_null() && (!limit || *limit == 0))
    return invalid("tokenizer.json: model.max_input_chars_per_word is not a number of characters");
  to.spec.max_word_characters = static_cast<uint32_t>(limit.value_or(100));
  if (absl::Status s = read_vocabulary(member(model, "vocab"), to); !s.ok())
    return s;
  if (absl::Status s = read_unknown(model, to); !s.ok())
    return s;
  return to.spec.unk_id >= 0 ? absl::OkStatus()
                             : invalid("tokenizer.json: model.unk_token is missing");
}

absl::Status read_word_level(const json &model, SpecBuilder &to) {
  to.spec.model = text::ModelKind::WordLevel;
  if (absl::Status s = read_vocabulary(member(model, "vocab"), to); !s.ok())
    return s;
  const std::string unk = text_of(model, "unk_token"); // if it is no token, there is none
  to.spec.unk_id = to.id_of(member(member(model, "vocab"), unk.c_str())).value_or(-1);
  return absl::OkStatus();
}

} // namespace

absl::Status read_model(const json &model, SpecBuilder &to) {
  const std::string type = text_of(model, "type");
  if (type == "BPE" || (type.empty() && member(model, "merges").is_array()))
    return read_bpe(model, to);
  if (type == "Unigram" || (type.empty() && member(model, "vocab").is_array()))
    return read_unigram(model, to);
  if (type == "WordPiece")
    return read_word_piece(model, to);
  if (type == "WordLevel")
    return read_word_level(model, to);
  return unsupported("model", type.empty() ? "of no type" : type);
}

} // namespace quern::hf
