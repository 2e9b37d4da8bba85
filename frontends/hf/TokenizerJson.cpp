#include "frontends/hf/TokenizerJson.h"

#include "runtime/text/PatternDialect.h"
#include "runtime/text/Tokenizer.h"

#include "runtime/text/Message.h"
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace quern::hf {
namespace {

using nlohmann::json;
using text::PreTokenizerStep;
using text::SplitBehavior;
using text::TokenizerSpec;
using text::TokenKind;

constexpr const char *kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr uintmax_t kMaxFile = uintmax_t{1} << 30;

absl::Status invalid(const std::string &what) { return absl::InvalidArgumentError(what); }

absl::Status unsupported(std::string_view part, const std::string &what) {
  return absl::UnimplementedError(
      text::concat("tokenizer.json: ", part, " ", what, " is not supported"));
}

absl::StatusOr<json> parse(const char *file, const std::string &content) {
  json value = json::parse(content, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object())
    return invalid(text::concat(file, ": not a JSON object"));
  return value;
}

/// Member `key` of an object, null if absent.
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

/// A token id, or nullopt.
std::optional<int32_t> id_of(const json &value) {
  if (!value.is_number_integer() || value.get<double>() < 0 ||
      value.get<double>() >= static_cast<double>(text::kMaxTokens))
    return std::nullopt;
  return value.get<int32_t>();
}

class Importer {
public:
  absl::StatusOr<TokenizerSpec> run(const TokenizerFiles &files) {
    absl::StatusOr<json> root = parse("tokenizer.json", files.tokenizer_json);
    if (!root.ok())
      return root.status();
    for (const auto &read : {&Importer::read_model, &Importer::read_added_tokens})
      if (absl::Status s = (this->*read)(*root); !s.ok())
        return s;
    if (absl::Status s = read_normalizer(member(*root, "normalizer")); !s.ok())
      return s;
    if (absl::Status s = read_pre_tokenizer(member(*root, "pre_tokenizer")); !s.ok())
      return s;
    if (!byte_level_)
      return unsupported("pre_tokenizer", "without ByteLevel (SentencePiece-style BPE)");
    if (absl::Status s = read_decoder(member(*root, "decoder")); !s.ok())
      return s;
    if (absl::Status s = read_post_processor(member(*root, "post_processor")); !s.ok())
      return s;
    if (absl::Status s = read_configs(files); !s.ok())
      return s;
    // What the runtime would refuse is refused here, where the model's author can be named.
    if (absl::StatusOr<std::unique_ptr<text::Tokenizer>> trial = text::Tokenizer::create(spec_);
        !trial.ok())
      return trial.status();
    return std::move(spec_);
  }

private:
  absl::Status put_token(std::string content, int32_t id, TokenKind kind) {
    const auto i = static_cast<size_t>(id);
    if (i >= spec_.tokens.size()) {
      spec_.tokens.resize(i + 1);
      spec_.kinds.resize(i + 1, TokenKind::Unused);
    }
    spec_.tokens[i] = std::move(content);
    spec_.kinds[i] = kind;
    return absl::OkStatus();
  }

  absl::Status read_model(const json &root) {
    const json &model = member(root, "model");
    const std::string type = text_of(model, "type");
    if (type != "BPE" && !(type.empty() && member(model, "merges").is_array()))
      return unsupported("model", type.empty() ? "of no type" : type);
    for (const char *key : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (!text_of(model, key).empty())
        return unsupported("model", key);
    if (flag_of(model, "byte_fallback", false))
      return unsupported("model", "byte_fallback (SentencePiece-style BPE)");
    if (const json &dropout = member(model, "dropout");
        dropout.is_number() && dropout.get<double>() != 0)
      return unsupported("model", "dropout");
    spec_.ignore_merges = flag_of(model, "ignore_merges", false);
    spec_.fuse_unk = flag_of(model, "fuse_unk", false);

    const json &vocab = member(model, "vocab");
    if (!vocab.is_object())
      return invalid("tokenizer.json: model.vocab is not an object");
    for (const auto &[token, value] : vocab.items()) {
      const std::optional<int32_t> id = id_of(value);
      if (!id)
        return invalid(
            text::concat("tokenizer.json: model.vocab: \"", token, "\" has no valid id"));
      if (absl::Status s = put_token(token, *id, TokenKind::Normal); !s.ok())
        return s;
    }
    if (const std::string unk = text_of(model, "unk_token"); !unk.empty()) {
      const std::optional<int32_t> id = id_of(member(vocab, unk.c_str()));
      if (!id)
        return invalid(text::concat("tokenizer.json: model.unk_token \"", unk, "\" is no token"));
      spec_.unk_id = *id;
    }
    return read_merges(member(model, "merges"));
  }

  absl::Status read_merges(const json &list) {
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
    absl::StatusOr<std::vector<text::Merge>> resolved = text::resolve_merges(spec_.tokens, merges);
    if (!resolved.ok())
      return invalid(
          text::concat("tokenizer.json: model.merges: ", text::message_of(resolved.status())));
    spec_.merges = *std::move(resolved);
    return absl::OkStatus();
  }

  absl::Status add_token(const char *file, const json &token, std::optional<int32_t> id) {
    text::AddedToken added;
    added.content = text_of(token, "content");
    if (!id || added.content.empty())
      return invalid(text::concat(file, ": an added token has no content or no valid id"));
    if (flag_of(token, "single_word", false))
      return unsupported("added token", "\"" + added.content + "\" with single_word");
    added.id = *id;
    added.special = flag_of(token, "special", false);
    added.lstrip = flag_of(token, "lstrip", false);
    added.rstrip = flag_of(token, "rstrip", false);
    added.normalized = flag_of(token, "normalized", !added.special);
    for (const text::AddedToken &known : spec_.added_tokens)
      if (known.id == added.id || known.content == added.content)
        return absl::OkStatus();
    if (absl::Status s = put_token(added.content, added.id,
                                   added.special ? TokenKind::Control : TokenKind::UserDefined);
        !s.ok())
      return s;
    spec_.added_tokens.push_back(std::move(added));
    return absl::OkStatus();
  }

  absl::Status read_added_tokens(const json &root) {
    for (const json &token : member(root, "added_tokens"))
      if (absl::Status s = add_token("tokenizer.json", token, id_of(member(token, "id"))); !s.ok())
        return s;
    return absl::OkStatus();
  }

  absl::Status read_normalizer(const json &normalizer) {
    if (normalizer.is_null())
      return absl::OkStatus();
    const std::string type = text_of(normalizer, "type");
    if (type == "NFC") {
      spec_.normalizer = text::Normalizer::Nfc;
      return absl::OkStatus();
    }
    if (type != "Sequence")
      return unsupported("normalizer", type);
    for (const json &step : member(normalizer, "normalizers"))
      if (absl::Status s = read_normalizer(step); !s.ok())
        return s;
    return absl::OkStatus();
  }

  absl::Status read_pre_tokenizer(const json &step) {
    const std::string type = text_of(step, "type");
    if (byte_level_)
      return unsupported("pre_tokenizer", type + " after ByteLevel");
    if (type == "Sequence") {
      for (const json &inner : member(step, "pretokenizers"))
        if (absl::Status s = read_pre_tokenizer(inner); !s.ok())
          return s;
      return absl::OkStatus();
    }
    if (type == "ByteLevel") {
      byte_level_ = true;
      if (flag_of(step, "add_prefix_space", true))
        spec_.pre_tokenizer.push_back({.kind = PreTokenizerStep::Kind::PrefixSpace, .pattern = ""});
      if (flag_of(step, "use_regex", true))
        spec_.pre_tokenizer.push_back({.pattern = kGpt2Pattern});
      return absl::OkStatus();
    }
    if (type == "Digits") {
      const bool single = flag_of(step, "individual_digits", false);
      spec_.pre_tokenizer.push_back({.pattern = single ? R"(\p{N})" : R"(\p{N}+)"});
      return absl::OkStatus();
    }
    if (type == "Punctuation")
      return read_punctuation(step);
    if (type == "Split")
      return read_split(step);
    return unsupported("pre_tokenizer", type.empty() ? "of no type" : type);
  }

  absl::Status read_punctuation(const json &step) {
    const std::string behavior = text_of(step, "behavior");
    const bool contiguous = behavior == "Contiguous";
    if (!contiguous && behavior != "Isolated" && !behavior.empty())
      return unsupported("pre_tokenizer", "Punctuation with behavior " + behavior);
    spec_.pre_tokenizer.push_back(
        {.pattern = contiguous ? R"([\p{P}!-/:-@\[-`{-~]+)" : R"([\p{P}!-/:-@\[-`{-~])"});
    return absl::OkStatus();
  }

  absl::Status read_split(const json &step) {
    PreTokenizerStep split;
    const json &pattern = member(step, "pattern");
    if (member(pattern, "Regex").is_string())
      split.pattern = text_of(pattern, "Regex");
    else if (member(pattern, "String").is_string())
      split.pattern = text::literal_pattern(text_of(pattern, "String"));
    else
      return invalid("tokenizer.json: pre_tokenizer Split has no pattern");
    const std::string behavior = text_of(step, "behavior");
    if (behavior == "Removed")
      split.behavior = SplitBehavior::Removed;
    else if (behavior != "Isolated")
      return unsupported("pre_tokenizer", "Split with behavior " + behavior);
    split.invert = flag_of(step, "invert", false);
    spec_.pre_tokenizer.push_back(std::move(split));
    return absl::OkStatus();
  }

  absl::Status read_decoder(const json &decoder) {
    const std::string type = text_of(decoder, "type");
    if (type == "Sequence") {
      for (const json &step : member(decoder, "decoders"))
        if (absl::Status s = read_decoder(step); !s.ok())
          return s;
      return absl::OkStatus();
    }
    return decoder.is_null() || type == "ByteLevel" ? absl::OkStatus()
                                                    : unsupported("decoder", type);
  }

  absl::Status read_post_processor(const json &processor) {
    if (processor.is_null())
      return absl::OkStatus();
    const std::string type = text_of(processor, "type");
    if (type == "ByteLevel") // offsets only
      return absl::OkStatus();
    if (type == "Sequence") {
      for (const json &step : member(processor, "processors"))
        if (absl::Status s = read_post_processor(step); !s.ok())
          return s;
      return absl::OkStatus();
    }
    if (type == "TemplateProcessing")
      return read_template(processor);
    if (type == "RobertaProcessing" || type == "BertProcessing") {
      for (const auto &[key, ids] :
           {std::pair{"cls", &spec_.prefix_ids}, std::pair{"sep", &spec_.suffix_ids}}) {
        const json &token = member(processor, key); // [content, id]
        const std::optional<int32_t> id =
            token.is_array() && token.size() == 2 ? id_of(token[1]) : std::nullopt;
        if (!id)
          return invalid(
              text::concat("tokenizer.json: post_processor ", type, ": ", key, " is not a token"));
        *ids = {*id};
      }
      return absl::OkStatus();
    }
    return unsupported("post_processor", type);
  }

  absl::Status read_template(const json &processor) {
    const json &special = member(processor, "special_tokens");
    std::vector<int32_t> *ids = &spec_.prefix_ids;
    spec_.prefix_ids.clear();
    spec_.suffix_ids.clear();
    for (const json &piece : member(processor, "single")) {
      if (piece.is_object() && piece.contains("Sequence")) {
        ids = &spec_.suffix_ids;
        continue;
      }
      const std::string name = text_of(member(piece, "SpecialToken"), "id");
      const json &list = member(member(special, name.c_str()), "ids");
      if (!list.is_array())
        return invalid(text::concat("tokenizer.json: post_processor: special token \"", name,
                                    "\" has no ids"));
      for (const json &value : list) {
        const std::optional<int32_t> id = id_of(value);
        if (!id)
          return invalid(text::concat("tokenizer.json: post_processor: special token \"", name,
                                      "\" has an invalid id"));
        ids->push_back(*id);
      }
    }
    return absl::OkStatus();
  }

  /// "<s>" or {"content": "<s>", ...}.
  static std::string token_text(const json &config, const char *key) {
    const json &value = member(config, key);
    return value.is_object() ? text_of(value, "content") : text_of(config, key);
  }

  int32_t find(const std::string &token) const {
    for (const text::AddedToken &added : spec_.added_tokens)
      if (added.content == token)
        return added.id;
    const auto it = std::find(spec_.tokens.begin(), spec_.tokens.end(), token);
    return it == spec_.tokens.end() ? -1 : static_cast<int32_t>(it - spec_.tokens.begin());
  }

  void add_end(int32_t id) {
    if (std::find(spec_.eos_ids.begin(), spec_.eos_ids.end(), id) == spec_.eos_ids.end())
      spec_.eos_ids.push_back(id);
  }

  /// eos_token_id: an id or a list of ids. `found`: whether there was one.
  absl::Status read_end_ids(const char *file, const json &config, bool &found) {
    const json &value = member(config, "eos_token_id");
    found = !value.is_null();
    for (const json &entry : value.is_array() ? value : json::array({value})) {
      if (entry.is_null())
        continue;
      const std::optional<int32_t> id = id_of(entry);
      if (!id || static_cast<size_t>(*id) >= spec_.tokens.size())
        return invalid(text::concat(file, ": eos_token_id ", entry.dump(),
                                    " is outside the vocabulary of ", spec_.tokens.size(),
                                    " tokens"));
      add_end(*id);
    }
    return absl::OkStatus();
  }

  absl::Status read_configs(const TokenizerFiles &files) {
    json config, map;
    for (const auto &[name, content, value] :
         {std::tuple{"tokenizer_config.json", &files.tokenizer_config_json, &config},
          std::tuple{"special_tokens_map.json", &files.special_tokens_map_json, &map}}) {
      if (content->empty())
        continue;
      absl::StatusOr<json> parsed = parse(name, *content);
      if (!parsed.ok())
        return parsed.status();
      *value = *std::move(parsed);
    }
    if (const json &extra = member(config, "added_tokens_decoder"); extra.is_object())
      for (const auto &[key, token] : extra.items())
        if (absl::Status s =
                add_token("tokenizer_config.json", token, id_of(json::parse(key, nullptr, false)));
            !s.ok())
          return s;
    spec_.bos_token = token_text(config, "bos_token");
    if (spec_.bos_token.empty())
      spec_.bos_token = token_text(map, "bos_token");
    spec_.eos_token = token_text(config, "eos_token");
    if (spec_.eos_token.empty())
      spec_.eos_token = token_text(map, "eos_token");
    if (!spec_.bos_token.empty())
      spec_.bos_id = find(spec_.bos_token);
    if (const int32_t eos = spec_.eos_token.empty() ? -1 : find(spec_.eos_token); eos >= 0)
      add_end(eos);

    // generation_config.json is what generation reads; config.json answers where it is silent.
    bool found = false;
    for (const auto &[name, content] :
         {std::pair{"generation_config.json", &files.generation_config_json},
          std::pair{"config.json", &files.config_json}}) {
      if (found || content->empty())
        continue;
      absl::StatusOr<json> parsed = parse(name, *content);
      if (!parsed.ok())
        return parsed.status();
      if (absl::Status s = read_end_ids(name, *parsed, found); !s.ok())
        return s;
    }
    spec_.chat_template = files.chat_template_jinja.empty()
                              ? chat_template(member(config, "chat_template"))
                              : files.chat_template_jinja;
    return absl::OkStatus();
  }

  /// A template, or a list of named ones, of which "default" or else the first is meant.
  static std::string chat_template(const json &value) {
    if (value.is_string())
      return value.get<std::string>();
    std::string chosen;
    if (value.is_array())
      for (const json &entry : value)
        if (chosen.empty() || text_of(entry, "name") == "default")
          chosen = text_of(entry, "template");
    return chosen;
  }

  TokenizerSpec spec_;
  bool byte_level_ = false;
};

/// A file's bytes, empty if there is none.
absl::StatusOr<std::string> read_file(const std::filesystem::path &path) {
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (error)
    return std::string();
  if (size > kMaxFile)
    return invalid(
        text::concat(path.string(), ": ", size, " bytes, at most ", kMaxFile, " are expected"));
  std::ifstream file(path, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.good() && !file.eof())
    return absl::UnavailableError(text::concat(path.string(), ": cannot be read"));
  return content;
}

} // namespace

absl::StatusOr<TokenizerSpec> tokenizer_from_json(const TokenizerFiles &files) {
  return Importer().run(files);
}

absl::StatusOr<std::optional<TokenizerSpec>> load_tokenizer(const std::filesystem::path &folder) {
  std::error_code error;
  if (!std::filesystem::exists(folder / "tokenizer.json", error))
    return std::nullopt;
  TokenizerFiles files;
  const std::pair<const char *, std::string *> names[] = {
      {"tokenizer.json", &files.tokenizer_json},
      {"tokenizer_config.json", &files.tokenizer_config_json},
      {"special_tokens_map.json", &files.special_tokens_map_json},
      {"generation_config.json", &files.generation_config_json},
      {"config.json", &files.config_json},
      {"chat_template.jinja", &files.chat_template_jinja}};
  for (const auto &[name, content] : names) {
    absl::StatusOr<std::string> bytes = read_file(folder / name);
    if (!bytes.ok())
      return bytes.status();
    *content = *std::move(bytes);
  }
  absl::StatusOr<TokenizerSpec> spec = tokenizer_from_json(files);
  if (!spec.ok())
    return spec.status();
  return *std::move(spec);
}

} // namespace quern::hf
