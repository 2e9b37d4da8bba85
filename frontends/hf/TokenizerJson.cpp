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

/// What goes around a text, of files that do not say it themselves.
void surround(const Config &config, const TokenizerClass &known_class, SpecBuilder &to) {
  const auto id_of = [&](std::string_view name) {
    if (name == "bos_token" || name == "eos_token")
      return to.find(name == "bos_token" ? to.spec.bos_token : to.spec.eos_token);
    for (const text::NamedToken &token : to.spec.named_tokens)
      if (token.name == name)
        return to.find(token.token);
    return -1;
  };
  const auto put = [&](bool wanted, std::string_view name, std::vector<int32_t> &ids) {
    if (const int32_t id = wanted ? id_of(name) : -1; id >= 0)
      ids = {id};
  };
  const bool classifies = known_class.cls_and_sep;
  const auto flag = [&](const char *key) { return config.value(key, json()) == json(true); };
  put(classifies || flag("add_bos_token"), classifies ? "cls_token" : "bos_token",
      to.spec.prefix_ids);
  put(classifies || flag("add_eos_token"), classifies ? "sep_token" : "eos_token",
      to.spec.suffix_ids);
  if (classifies && to.spec.pair_ids.empty()) {
    to.spec.pair_ids = to.spec.suffix_ids;
    to.spec.pair_types = true;
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

absl::StatusOr<Config> parse_config(const char *file, const std::string &content) {
  if (content.empty())
    return Config::object();
  absl::StatusOr<Config> value = parse_ordered_json(content, file);
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

namespace {

/// tokenizer.json's added_tokens. Their ids are what `tokenizers` makes them, whatever is said.
absl::Status read_added_tokens(const json &list, SpecBuilder &to) {
  size_t moved = 0;
  std::string example;
  for (const json &token : list) {
    const std::optional<int32_t> said = to.id_of(member(token, "id"));
    if (!said)
      return invalid("tokenizer.json: an added token has no valid id");
    to.listed[*said] = added_token_of(token);
    const int32_t id = to.add_token(added_token_of(token));
    if (id >= 0 && id != *said && moved++ == 0)
      example = text::concat("\"", text_of(token, "content"), "\" has ", id, ", not ", *said);
  }
  if (moved > 0)
    to.notes.push_back(text::concat("tokenizer.json: ", moved,
                                    " added tokens have other ids than are written there, as "
                                    "`tokenizers` counts them: ",
                                    example));
  return absl::OkStatus();
}

/// tokenizer.json, or what other files are in its terms.
absl::StatusOr<TokenizerSpec> tokenizer_of(const json &root, const TokenizerFiles &files,
                                           const TokenizerClass *known_class, bool is_file,
                                           Notes *notes) {
  absl::StatusOr<TokenizerConfigs> configs = parse_configs(files);
  if (!configs.ok())
    return configs.status();
  SpecBuilder to;
  to.id_limit =
      std::min(text::kMaxTokens, files.tokenizer_json.size() + files.vocab_json.size() +
                                     files.vocab_txt.size() + files.tokenizer_config_json.size());
  if (absl::Status s = read_model(member(root, "model"), to); !s.ok())
    return s;
  if (absl::Status s = read_added_tokens(member(root, "added_tokens"), to); !s.ok())
    return s;
  if (is_file)
    known_class = tokenizer_class(configs->tokenizer, configs->model);
  absl::Status steps = read_normalizer(member(root, "normalizer"), to);
  add_to(steps,
         read_pre_tokenizer(
             pre_tokenizer_of(member(root, "pre_tokenizer"), configs->tokenizer, known_class), to));
  add_to(steps, read_decoder(member(root, "decoder"), to));
  add_to(steps, read_post_processor(member(root, "post_processor"), to));
  if (!steps.ok())
    return steps;
  TokenizerSpec &spec = to.spec;
  const auto spells_bytes = [](const auto &step) {
    return step.kind == text::PreTokenizerStep::Kind::Bytes;
  };
  if (is_file && known_class)
    note_other_steps(*known_class, configs->tokenizer, to);
  // Of Llama's class are the many that came after Llama 2 and have nothing of it.
  if (known_class && std::string_view(known_class->name) == "LlamaTokenizer" &&
      std::any_of(spec.pre_tokenizer.begin(), spec.pre_tokenizer.end(), spells_bytes))
    known_class = nullptr;
  recognize_byte_level(spec);
  if (absl::Status s = read_special_tokens(*configs, known_class, /*in_place=*/false, to); !s.ok())
    return s;
  if (!is_file)
    surround(configs->tokenizer, *known_class, to);
  if (absl::Status s = read_generation(files, *configs, to); !s.ok())
    return s;
  if (to.decodes_bytes)
    for (size_t i = 0; i < spec.tokens.size(); ++i)
      if (spec.kinds[i] == TokenKind::Normal && text::byte_of_token(spec.tokens[i]) >= 0)
        spec.kinds[i] = TokenKind::Byte;
  if (spec.model == text::ModelKind::Unigram)
    spec.scores.resize(spec.tokens.size()); // added tokens are found before the model sees them
  return finish(to, notes);
}

} // namespace

absl::StatusOr<TokenizerSpec> tokenizer_from_json(const TokenizerFiles &files, Notes *notes) {
  absl::StatusOr<json> root = parse_object("tokenizer.json", files.tokenizer_json);
  if (!root.ok())
    return root.status();
  return tokenizer_of(*root, files, nullptr, /*is_file=*/true, notes);
}

absl::StatusOr<TokenizerSpec> tokenizer_from_vocabulary(const TokenizerFiles &files, Notes *notes) {
  static const TokenizerClass gpt2 = {
      .name = "", .special_tokens = {}, .pipeline = TokenizerClass::Pipeline::Gpt2};
  absl::StatusOr<TokenizerConfigs> configs = parse_configs(files);
  if (!configs.ok())
    return configs.status();
  const TokenizerClass *known_class = vocabulary_class(configs->tokenizer, configs->model);
  const bool words = files.vocab_json.empty();
  if (known_class && words != (known_class->pipeline == TokenizerClass::Pipeline::WordPiece))
    known_class = nullptr;
  if (!known_class && words)
    return absl::UnimplementedError(
        "vocab.txt: it is read as BERT's, and no config says that it is\nhint: say "
        "\"tokenizer_class\": "
        "\"BertTokenizer\" in tokenizer_config.json, or save the model with a tokenizer.json");
  if (!known_class) {
    known_class = &gpt2;
    if (notes)
      notes->push_back("vocab.json and merges.txt are read as GPT-2's: no config names a tokenizer "
                       "class that Quern knows");
  }
  absl::StatusOr<json> root = vocabulary_as_json(files, *configs, known_class->pipeline);
  if (!root.ok())
    return root.status();
  return tokenizer_of(*root, files, known_class, /*is_file=*/false, notes);
}

absl::StatusOr<std::optional<TokenizerSpec>> load_tokenizer(const std::filesystem::path &folder,
                                                            Notes *notes,
                                                            std::span<const std::string> damaged) {
  TokenizerFiles files;
  struct Vocabulary {
    const char *name;
    std::string *bytes;
    absl::StatusOr<TokenizerSpec> (*read)(const TokenizerFiles &, Notes *);
  };
  const Vocabulary vocabularies[] = {
      {"tokenizer.json", &files.tokenizer_json, &tokenizer_from_json},
      {"tokenizer.model", &files.sentence_piece_model, &tokenizer_from_sentence_piece},
      {"spiece.model", &files.sentence_piece_model, &tokenizer_from_sentence_piece},
      {"vocab.json", &files.vocab_json, &tokenizer_from_vocabulary},
      {"vocab.txt", &files.vocab_txt, &tokenizer_from_vocabulary},
      {kWorldVocabulary, &files.world_vocabulary, &tokenizer_from_world_vocabulary}};
  std::error_code error;
  const auto *const vocabulary =
      std::find_if(std::begin(vocabularies), std::end(vocabularies),
                   [&](const auto &v) { return std::filesystem::exists(folder / v.name, error); });
  if (vocabulary == std::end(vocabularies))
    return std::nullopt;
  std::vector<std::pair<std::filesystem::path, std::string *>> names = {
      {vocabulary->name, vocabulary->bytes},
      {"tokenizer_config.json", &files.tokenizer_config_json},
      {"special_tokens_map.json", &files.special_tokens_map_json},
      {"added_tokens.json", &files.added_tokens_json},
      {"generation_config.json", &files.generation_config_json},
      {"config.json", &files.config_json},
      {"chat_template.jinja", &files.chat_template_jinja},
      {"chat_template.json", &files.chat_template_json}};
  if (vocabulary->bytes == &files.vocab_json)
    names.emplace_back("merges.txt", &files.merges_txt);
  std::vector<std::string> templates;
  for (const auto &entry :
       std::filesystem::directory_iterator(folder / "additional_chat_templates", error))
    if (entry.path().extension() == ".jinja")
      templates.push_back(entry.path().stem().string());
  std::sort(templates.begin(), templates.end());
  files.additional_chat_templates.reserve(templates.size());
  for (const std::string &name : templates)
    names.emplace_back(std::filesystem::path("additional_chat_templates") / (name + ".jinja"),
                       &files.additional_chat_templates.emplace_back(name, "").second);
  for (const auto &[name, content] : names) {
    if (name != vocabulary->name && std::ranges::find(damaged, name.string()) != damaged.end())
      continue;
    absl::StatusOr<std::string> read = read_file(folder / name);
    if (!read.ok())
      return read.status();
    *content = *std::move(read);
  }
  absl::StatusOr<TokenizerSpec> spec = vocabulary->read(files, notes);
  if (!spec.ok())
    return spec.status();
  return *std::move(spec);
}

} // namespace quern::hf
