#include "frontends/hf/TokenizerParts.h"
#include "runtime/text/Message.h"

#include <algorithm>

namespace quern::hf {
namespace {

using nlohmann::json;

/// Rows a model may have beyond its tokenizer's tokens, of which one may yet end an answer.
constexpr size_t kMostPadding = 65536;

void add_end(int32_t id, std::vector<int32_t> &ends) {
  if (std::find(ends.begin(), ends.end(), id) == ends.end())
    ends.push_back(id);
}

/// A key of a model's config, or of what it holds for its language model.
json model_key(const Config &config, const char *key) {
  for (const Config *object :
       {&config, config.contains("text_config") ? &config["text_config"] : nullptr})
    if (object && object->is_object() && object->contains(key) && !(*object)[key].is_null())
      return json((*object)[key]);
  return {};
}

/// eos_token_id: an id or a list of ids. Ids that name no token are noted. `rows`: how many the
/// model has, which may be more than there are tokens.
void read_end_ids(const char *file, const json &value, size_t rows, SpecBuilder &to) {
  for (const json &entry : value.is_array() ? value : json::array({value})) {
    if (entry.is_null())
      continue;
    const size_t tokens = to.spec.tokens.size();
    const std::optional<int32_t> id =
        number_of(entry, std::max(tokens, std::min(rows, tokens + kMostPadding)));
    if (!id || static_cast<size_t>(*id) >= tokens)
      to.notes.push_back(text::concat(
          file, ": eos_token_id ", entry.dump(), " names none of the ", tokens, " tokens",
          id ? ", though the model can make it: it ends an answer" : ": it ends nothing"));
    if (!id)
      continue;
    if (static_cast<size_t>(*id) >= tokens)
      to.put_token("", *id, text::TokenKind::Unused);
    add_end(*id, to.spec.eos_ids);
  }
}

/// Of a template, a list of named ones or an object of them, what is used: "default".
class Templates {
public:
  void add(const std::string &name, const std::string &source) {
    if (name.empty() || name == "default")
      default_ = default_.empty() ? source : default_;
    else
      named_.emplace_back(name, source);
  }
  void add(const Config &value) {
    if (value.is_string())
      add("", value.get<std::string>());
    if (value.is_object())
      for (const auto &[name, entry] : value.items())
        if (entry.is_string())
          add(name, entry.get<std::string>());
    for (const Config &entry : value.is_array() ? value : Config::array())
      add(text_of(json(entry), "name"), text_of(json(entry), "template"));
  }
  bool found() const { return !default_.empty(); }

  /// The first there is, where none is the default.
  std::string choose(Notes &notes) const {
    if (found() || named_.empty())
      return default_;
    std::string names;
    for (const auto &[name, source] : named_)
      names += (names.empty() ? "" : ", ") + name;
    notes.push_back(text::concat("none of the chat templates is the default; of ", names,
                                 " the first is used"));
    return named_.front().second;
  }

private:
  std::string default_;
  std::vector<std::pair<std::string, std::string>> named_;
};

} // namespace

text::AddedToken added_token_of(const json &token, bool special) {
  text::AddedToken added;
  added.content = text_of(token, "content");
  added.special = special || flag_of(token, "special", false);
  added.lstrip = flag_of(token, "lstrip", false);
  added.rstrip = flag_of(token, "rstrip", false);
  added.normalized = flag_of(token, "normalized", !added.special);
  added.single_word = flag_of(token, "single_word", false);
  return added;
}

absl::StatusOr<TokenizerConfigs> parse_configs(const TokenizerFiles &files) {
  TokenizerConfigs configs;
  for (const auto &[name, content, value] :
       {std::tuple{"tokenizer_config.json", &files.tokenizer_config_json, &configs.tokenizer},
        std::tuple{"special_tokens_map.json", &files.special_tokens_map_json,
                   &configs.special_tokens_map},
        std::tuple{"added_tokens.json", &files.added_tokens_json, &configs.added_tokens},
        std::tuple{"config.json", &files.config_json, &configs.model}}) {
    absl::StatusOr<Config> parsed = parse_config(name, *content);
    if (!parsed.ok())
      return parsed.status();
    *value = *std::move(parsed);
  }
  return configs;
}

absl::Status read_generation(const TokenizerFiles &files, const TokenizerConfigs &configs,
                             SpecBuilder &to) {
  if (const int32_t eos = to.spec.eos_token.empty() ? -1 : to.find(to.spec.eos_token); eos >= 0)
    add_end(eos, to.spec.eos_ids);
  absl::StatusOr<Config> generation =
      parse_config("generation_config.json", files.generation_config_json);
  if (!generation.ok())
    return generation.status();
  note_sampling(*generation, to.notes);
  // generation_config.json is what generation reads; config.json answers where it is silent.
  const std::optional<int32_t> vocab =
      number_of(model_key(configs.model, "vocab_size"), text::kMaxTokens);
  const auto rows = static_cast<size_t>(vocab.value_or(0));
  if (const json ends = model_key(*generation, "eos_token_id"); !ends.is_null())
    read_end_ids("generation_config.json", ends, rows, to);
  else
    read_end_ids("config.json", model_key(configs.model, "eos_token_id"), rows, to);

  Templates templates;
  templates.add("", files.chat_template_jinja);
  for (const auto &[name, source] : files.additional_chat_templates)
    templates.add(name, source);
  if (!templates.found())
    templates.add(configs.tokenizer.value("chat_template", Config()));
  if (!templates.found() && !files.chat_template_json.empty()) {
    // What a processor of text and images reads.
    absl::StatusOr<Config> processor = parse_config("chat_template.json", files.chat_template_json);
    if (!processor.ok())
      return processor.status();
    templates.add(processor->value("chat_template", Config()));
  }
  to.spec.chat_template = templates.choose(to.notes);
  return absl::OkStatus();
}

} // namespace quern::hf
