#include "frontends/hf/TokenizerParts.h"

#include "runtime/text/Message.h"

#include <algorithm>

namespace quern::hf {
namespace {

using nlohmann::json;

absl::Status invalid(const std::string &what) { return absl::InvalidArgumentError(what); }

/// "<s>" or {"content": "<s>", ...}.
std::string token_text(const json &config, const char *key) {
  const json &value = member(config, key);
  return value.is_object() ? text_of(value, "content") : text_of(config, key);
}

void add_end(int32_t id, std::vector<int32_t> &ends) {
  if (std::find(ends.begin(), ends.end(), id) == ends.end())
    ends.push_back(id);
}

/// eos_token_id: an id or a list of ids. `found`: whether there was one.
absl::Status read_end_ids(const char *file, const json &config, bool &found, SpecBuilder &to) {
  const json &value = member(config, "eos_token_id");
  found = !value.is_null();
  for (const json &entry : value.is_array() ? value : json::array({value})) {
    if (entry.is_null())
      continue;
    const std::optional<int32_t> id = to.id_of(entry);
    if (!id || static_cast<size_t>(*id) >= to.spec.tokens.size())
      return invalid(text::concat(file, ": eos_token_id ", entry.dump(),
                                  " is outside the vocabulary of ", to.spec.tokens.size(),
                                  " tokens"));
    add_end(*id, to.spec.eos_ids);
  }
  return absl::OkStatus();
}

/// A template, or a list of named ones, of which "default" or else the first is meant.
std::string chat_template(const json &value) {
  if (value.is_string())
    return value.get<std::string>();
  std::string chosen;
  if (value.is_array())
    for (const json &entry : value)
      if (chosen.empty() || text_of(entry, "name") == "default")
        chosen = text_of(entry, "template");
  return chosen;
}

} // namespace

absl::Status add_token(const char *file, const json &token, std::optional<int32_t> id,
                       SpecBuilder &to) {
  text::AddedToken added;
  added.content = text_of(token, "content");
  if (!id || added.content.empty())
    return invalid(text::concat(file, ": an added token has no content or no valid id"));
  added.id = *id;
  added.special = flag_of(token, "special", false);
  added.lstrip = flag_of(token, "lstrip", false);
  added.rstrip = flag_of(token, "rstrip", false);
  added.normalized = flag_of(token, "normalized", !added.special);
  added.single_word = flag_of(token, "single_word", false);
  for (const text::AddedToken &known : to.spec.added_tokens)
    if (known.id == added.id || known.content == added.content)
      return absl::OkStatus();
  // A token of the model's own stays one: words may become it where it is not found as an added
  // token. But no text becomes a special token that was not found.
  const auto i = static_cast<size_t>(added.id);
  const bool own = !added.special && i < to.spec.tokens.size() &&
                   to.spec.kinds[i] == text::TokenKind::Normal &&
                   to.spec.tokens[i] == added.content;
  if (!own)
    to.put_token(added.content, added.id,
                 added.special ? text::TokenKind::Control : text::TokenKind::UserDefined);
  to.spec.added_tokens.push_back(std::move(added));
  return absl::OkStatus();
}

absl::Status read_configs(const TokenizerFiles &files, SpecBuilder &to) {
  json config, map;
  for (const auto &[name, content, value] :
       {std::tuple{"tokenizer_config.json", &files.tokenizer_config_json, &config},
        std::tuple{"special_tokens_map.json", &files.special_tokens_map_json, &map}}) {
    if (content->empty())
      continue;
    absl::StatusOr<json> parsed = parse_object(name, *content);
    if (!parsed.ok())
      return parsed.status();
    *value = *std::move(parsed);
  }
  if (const json &extra = member(config, "added_tokens_decoder"); extra.is_object())
    for (const auto &[key, token] : extra.items())
      if (absl::Status s = add_token("tokenizer_config.json", token,
                                     to.id_of(json::parse(key, nullptr, false)), to);
          !s.ok())
        return s;
  to.spec.bos_token = token_text(config, "bos_token");
  if (to.spec.bos_token.empty())
    to.spec.bos_token = token_text(map, "bos_token");
  to.spec.eos_token = token_text(config, "eos_token");
  if (to.spec.eos_token.empty())
    to.spec.eos_token = token_text(map, "eos_token");
  if (!to.spec.bos_token.empty())
    to.spec.bos_id = to.find(to.spec.bos_token);
  if (const int32_t eos = to.spec.eos_token.empty() ? -1 : to.find(to.spec.eos_token); eos >= 0)
    add_end(eos, to.spec.eos_ids);

  // generation_config.json is what generation reads; config.json answers where it is silent.
  bool found = false;
  for (const auto &[name, content] :
       {std::pair{"generation_config.json", &files.generation_config_json},
        std::pair{"config.json", &files.config_json}}) {
    if (found || content->empty())
      continue;
    absl::StatusOr<json> parsed = parse_object(name, *content);
    if (!parsed.ok())
      return parsed.status();
    if (absl::Status s = read_end_ids(name, *parsed, found, to); !s.ok())
      return s;
  }
  to.spec.chat_template = files.chat_template_jinja.empty()
                              ? chat_template(member(config, "chat_template"))
                              : files.chat_template_jinja;
  return absl::OkStatus();
}

} // namespace quern::hf
