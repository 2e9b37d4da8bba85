#include "frontends/hf/TokenizerJson.h"

#include "frontends/hf/AllOf.h"
#include "frontends/hf/JsonText.h"
#include "frontends/hf/SentencePieceModel.h"
#include "frontends/hf/TokenizerParts.h"
#include "runtime/text/Message.h"
#include "runtime/text/Tokenizer.h"
#include "runtime/text/WordModel.h"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace quern::hf {
namespace {

using nlohmann::json;
using text::TokenizerSpec;
using text::TokenKind;

constexpr uintmax_t kMaxFile = uintmax_t{1} << 30;

absl::Status invalid(const std::string &what) { return absl::InvalidArgumentError(what); }

/// A file's bytes, empty if there is none.
absl::StatusOr<std::string> read_file(const std::filesystem::path &path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error) && !error)
    return std::string();
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (error)
    return invalid(text::concat(path.string(), ": cannot be read: ", error.message()));
  if (size > kMaxFile)
    return invalid(
        text::concat(path.string(), ": ", size, " bytes, at most ", kMaxFile, " are expected"));
  std::ifstream file(path, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.good() && !file.eof())
    return absl::UnavailableError(text::concat(path.string(), ": cannot be read"));
  return content;
}

/// Byte-level BPE as most have it: words are spelled in bytes last, by nothing else, for a model
/// whose tokens do not tell their place in a word. The runtime has a model for it that spells
/// nothing.
void recognize_byte_level(TokenizerSpec &spec) {
  const auto spells = [](const auto &step) {
    return step.kind == std::decay_t<decltype(step)>::Kind::Bytes;
  };
  if (spec.model == text::ModelKind::SentencePieceBpe && !spec.byte_fallback &&
      spec.continuation.empty() && spec.word_end.empty() && !spec.pre_tokenizer.empty() &&
      spells(spec.pre_tokenizer.back()) &&
      std::count_if(spec.pre_tokenizer.begin(), spec.pre_tokenizer.end(), spells) == 1 &&
      std::none_of(spec.normalizers.begin(), spec.normalizers.end(), spells)) {
    spec.model = text::ModelKind::ByteLevelBpe;
    spec.pre_tokenizer.pop_back();
  }
}

} // namespace

absl::Status unsupported(std::string_view part, std::string_view what) {
  return absl::UnimplementedError(
      text::concat("tokenizer.json: ", part, " ", what, " is not supported"));
}

absl::StatusOr<json> parse_object(const char *file, const std::string &content) {
  absl::StatusOr<json> value = parse_json(content, file);
  if (value.ok() && !value->is_object())
    return invalid(text::concat(file, ": not a JSON object"));
  return value;
}

const json &member(const json &object, const char *key) {
  static const json null;
  if (!object.is_object())
    return null;
  const auto it = object.find(key);
  return it == object.end() ? null : *it;
}

std::string text_of(const json &object, const char *key) {
  const json &value = member(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

bool flag_of(const json &object, const char *key, bool fallback) {
  const json &value = member(object, key);
  return value.is_boolean() ? value.get<bool>() : fallback;
}

std::optional<int32_t> number_of(const json &value, size_t limit) {
  if (!value.is_number_integer() || value.get<double>() < 0 ||
      value.get<double>() >= static_cast<double>(limit))
    return std::nullopt;
  return value.get<int32_t>();
}

void SpecBuilder::put_token(std::string content, int32_t id, TokenKind kind) {
  const auto i = static_cast<size_t>(id);
  if (i >= spec.tokens.size()) {
    spec.tokens.resize(i + 1);
    spec.kinds.resize(i + 1, TokenKind::Unused);
  }
  spec.tokens[i] = std::move(content);
  spec.kinds[i] = kind;
}

int32_t SpecBuilder::find(std::string_view token) const {
  for (const text::AddedToken &added : spec.added_tokens)
    if (added.content == token)
      return added.id;
  const auto it = std::find(spec.tokens.begin(), spec.tokens.end(), token);
  return it == spec.tokens.end() ? -1 : static_cast<int32_t>(it - spec.tokens.begin());
}

absl::StatusOr<TokenizerSpec> tokenizer_from_json(const TokenizerFiles &files) {
  absl::StatusOr<json> root = parse_object("tokenizer.json", files.tokenizer_json);
  if (!root.ok())
    return root.status();
  SpecBuilder to;
  to.id_limit =
      std::min(text::kMaxTokens, files.tokenizer_json.size() + files.tokenizer_config_json.size());
  if (absl::Status s = read_model(member(*root, "model"), to); !s.ok())
    return s;
  for (const json &token : member(*root, "added_tokens"))
    if (absl::Status s = add_token("tokenizer.json", token, to.id_of(member(token, "id")), to);
        !s.ok())
      return s;
  absl::Status steps;
  for (const auto &[key, read] :
       {std::pair{"normalizer", &read_normalizer}, std::pair{"pre_tokenizer", &read_pre_tokenizer},
        std::pair{"decoder", &read_decoder}, std::pair{"post_processor", &read_post_processor}})
    add_to(steps, read(member(*root, key), to));
  if (!steps.ok())
    return steps;
  if (absl::Status s = read_configs(files, to); !s.ok())
    return s;
  TokenizerSpec &spec = to.spec;
  recognize_byte_level(spec);
  if (to.decodes_bytes)
    for (size_t i = 0; i < spec.tokens.size(); ++i)
      if (spec.kinds[i] == TokenKind::Normal && text::byte_of_token(spec.tokens[i]) >= 0)
        spec.kinds[i] = TokenKind::Byte;
  if (spec.model == text::ModelKind::Unigram)
    spec.scores.resize(spec.tokens.size()); // added tokens are found before the model sees them
  // What the runtime would refuse is refused here, where the model's author can be named.
  if (absl::StatusOr<std::unique_ptr<text::Tokenizer>> trial = text::Tokenizer::create(spec);
      !trial.ok())
    return trial.status();
  return std::move(spec);
}

absl::StatusOr<std::optional<TokenizerSpec>> load_tokenizer(const std::filesystem::path &folder) {
  std::error_code error;
  const bool has_json = std::filesystem::exists(folder / "tokenizer.json", error);
  const char *vocabulary = "tokenizer.json";
  for (const char *name : {"spiece.model", "tokenizer.model"})
    if (!has_json && std::filesystem::exists(folder / name, error))
      vocabulary = name;
  if (!std::filesystem::exists(folder / vocabulary, error))
    return std::nullopt;
  TokenizerFiles files;
  std::string &bytes = has_json ? files.tokenizer_json : files.sentence_piece_model;
  const std::pair<const char *, std::string *> names[] = {
      {vocabulary, &bytes},
      {"tokenizer_config.json", &files.tokenizer_config_json},
      {"special_tokens_map.json", &files.special_tokens_map_json},
      {"generation_config.json", &files.generation_config_json},
      {"config.json", &files.config_json},
      {"chat_template.jinja", &files.chat_template_jinja}};
  for (const auto &[name, content] : names) {
    absl::StatusOr<std::string> read = read_file(folder / name);
    if (!read.ok())
      return read.status();
    *content = *std::move(read);
  }
  absl::StatusOr<TokenizerSpec> spec =
      has_json ? tokenizer_from_json(files) : tokenizer_from_sentence_piece(files);
  if (!spec.ok())
    return spec.status();
  return *std::move(spec);
}

} // namespace quern::hf
