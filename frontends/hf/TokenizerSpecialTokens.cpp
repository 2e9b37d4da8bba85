// Which tokens are special, and by what names: what transformers makes of tokenizer_config.json,
// special_tokens_map.json and added_tokens.json.
//
// Where tokenizer_config.json has added_tokens_decoder, it is complete and the other two files are
// not read; else what special_tokens_map.json says goes before what tokenizer_config.json says. A
// token may be named by one of seven standard names, by another that ends in "_token", by the names
// in extra_special_tokens, where there are none of these by those in model_specific_special_tokens,
// or stand in a list without a name. All of them are special, whether the vocabulary has them or
// not.
#include "frontends/hf/TokenizerParts.h"
#include "runtime/text/Message.h"

#include <absl/strings/numbers.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace quern::hf {
namespace {

using nlohmann::json;
using text::AddedToken;

constexpr const char *kStandard[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                     "pad_token", "cls_token", "mask_token"};

bool is_standard(std::string_view name) {
  return std::find(std::begin(kStandard), std::end(kStandard), name) != std::end(kStandard);
}

bool is_there(const Config &object, const char *key) {
  return object.contains(key) && !object[key].is_null() && !object[key].empty();
}

/// Whether a key is the name of a token of the model's own kind.
bool is_own_name(std::string_view key) { return key.ends_with("_token") && !is_standard(key); }

/// "<s>", or {"content": "<s>", ...}.
std::string content_of(const json &token) {
  return token.is_string() ? token.get<std::string>() : text_of(token, "content");
}

class SpecialTokens {
  using Names = std::vector<std::pair<std::string, json>>;

public:
  SpecialTokens(const TokenizerConfigs &configs, SpecBuilder &to)
      : values_(configs.tokenizer), to_(to) {}

  absl::Status read(const TokenizerConfigs &configs, const TokenizerClass *defaults,
                    bool in_place) {
    move_additional();
    take_names();
    const bool complete = values_.contains("added_tokens_decoder");
    if (!complete)
      merge_map(configs.special_tokens_map);
    const absl::Status status =
        complete ? list_decoder(values_["added_tokens_decoder"]) : list_added(configs.added_tokens);
    if (!status.ok())
      return status;
    move_additional(); // those of the map, where there are no others
    if (defaults)
      for (const auto &[name, token] : defaults->special_tokens)
        if (!values_.contains(name)) {
          values_[name] = token;
          by_default_.insert(token);
        }
    collect_names();
    add_all(in_place, configs);
    return absl::OkStatus();
  }

private:
  /// additional_special_tokens is extra_special_tokens' old name.
  void move_additional() {
    if (!is_there(values_, "additional_special_tokens") ||
        is_there(values_, "extra_special_tokens"))
      return;
    values_["extra_special_tokens"] = values_["additional_special_tokens"];
    values_.erase("additional_special_tokens");
  }

  /// The names that transformers takes out of tokenizer_config.json as it is read. Its tokens with
  /// flags are not yet tokens then, and stay.
  void take_names() {
    std::vector<std::string> taken;
    for (const auto &[key, value] : values_.items())
      if (is_own_name(key) && value.is_string()) {
        set(key, value, own_);
        taken.push_back(key);
      }
    for (const std::string &key : taken)
      values_.erase(key);
    take_extra();
    if (own_.empty())
      take_all(values_.value("model_specific_special_tokens", Config()));
  }

  void take_extra() {
    const Config extra = values_.value("extra_special_tokens", Config());
    if (!extra.is_object())
      return;
    take_all(extra);
    values_.erase("extra_special_tokens");
  }

  void take_all(const Config &names) {
    if (!names.is_object())
      return;
    for (const auto &[key, value] : names.items())
      set(key, value, own_);
  }

  void merge_map(const Config &map) {
    for (const auto &[key, value] : map.items()) {
      Config merged = value;
      if (key == "extra_special_tokens" && value.is_array() && values_.contains(key) &&
          values_[key].is_array()) {
        merged = values_[key];
        for (const Config &token : value)
          if (std::find(merged.begin(), merged.end(), token) == merged.end())
            merged.push_back(token);
      }
      values_[key] = std::move(merged);
    }
    take_extra();
  }

  /// Gives a name its token; one that is known keeps its place.
  static void set(const std::string &name, const Config &token, Names &names) {
    const auto known = std::ranges::find(names, name, &Names::value_type::first);
    if (known != names.end())
      known->second = token;
    else
      names.emplace_back(name, token);
  }

  void collect_names() {
    for (const char *key : kStandard)
      if (values_.contains(key))
        set(key, values_[key], named_);
    // Those that were taken say what a name means, but the others go before them.
    for (const auto &[key, value] : values_.items())
      if (is_own_name(key))
        set(key, value, named_);
    for (const auto &[key, value] : own_)
      set(key, value, named_);
    std::erase_if(named_, [](const auto &named) { return content_of(named.second).empty(); });
    list_ = values_.value("extra_special_tokens", Config());
    to_.splits_special = values_.value("split_special_tokens", Config()) == Config(true);
  }

  bool is_named(const std::string &content) const {
    return std::any_of(named_.begin(), named_.end(),
                       [&](const auto &named) { return content_of(named.second) == content; });
  }
  /// Whether the files themselves, by a standard name or in extra_special_tokens, say that it is
  /// special.
  bool is_said_special(const std::string &content) const {
    for (const char *key : kStandard)
      if (values_.contains(key) && content_of(json(values_[key])) == content)
        return true;
    const Config listed = values_.value("extra_special_tokens", Config());
    return listed.is_array() && std::any_of(listed.begin(), listed.end(), [&](const Config &token) {
             return content_of(json(token)) == content;
           });
  }

  absl::Status list_decoder(const Config &decoder) {
    if (!decoder.is_object())
      return absl::InvalidArgumentError(
          "tokenizer_config.json: added_tokens_decoder is not an object");
    for (const auto &[key, value] : decoder.items()) {
      int32_t id = 0;
      if (!absl::SimpleAtoi(key, &id) || id < 0 || std::cmp_greater_equal(id, text::kMaxTokens) ||
          !value.is_object())
        return absl::InvalidArgumentError(text::concat(
            "tokenizer_config.json: added_tokens_decoder: \"", key, "\" is no id of a token"));
      added_[id] = added_token_of(json(value));
    }
    return absl::OkStatus();
  }

  absl::Status list_added(const Config &added) {
    for (const auto &[content, value] : added.items()) {
      const std::optional<int32_t> id = number_of(json(value), text::kMaxTokens);
      if (!id)
        return absl::InvalidArgumentError(
            text::concat("added_tokens.json: \"", content, "\" has no valid id"));
      AddedToken token;
      token.content = content;
      token.special = is_said_special(content);
      token.normalized = !token.special;
      added_[*id] = std::move(token);
    }
    for (const auto &[id, token] : to_.listed)
      added_[id] = token;
    return absl::OkStatus();
  }

  /// Whether the vocabulary has the token, or the model can have it at the next id.
  bool has_room(const std::string &content, const TokenizerConfigs &configs) {
    const json rows = configs.model.value("vocab_size", Config());
    const std::optional<int32_t> known = number_of(rows, text::kMaxTokens);
    return to_.find(content) >= 0 || to_.next_id() < known.value_or(0);
  }

  void add_all(bool in_place, const TokenizerConfigs &configs) {
    size_t moved = 0;
    std::string example;
    const size_t own = to_.spec.tokens.size();
    for (auto &[id, token] : added_) {
      token.special = token.special || is_named(token.content);
      if (in_place)
        token.normalized = false; // as SentencePiece's, they cut the text as it is
      const auto i = static_cast<size_t>(id);
      if (in_place && i < own && to_.find(token.content) < 0)
        to_.put_token(token.content, id, text::TokenKind::Normal);
      const int32_t got = to_.add_token(token);
      if (got >= 0 && got != id && !to_.listed.contains(id) && moved++ == 0)
        example = text::concat("\"", token.content, "\" has ", got, ", not ", id);
    }
    if (moved > 0)
      to_.notes.push_back(
          text::concat("tokenizer_config.json: ", moved,
                       " added tokens have other ids than are written there: ", example));
    std::set<std::string> known;
    for (const AddedToken &token : to_.spec.added_tokens)
      known.insert(token.content);
    std::set<json> seen;
    const auto add = [&](const json &value, bool by_name) {
      if (!seen.insert(value).second)
        return;
      AddedToken token = value.is_string() ? AddedToken{.content = value.get<std::string>()}
                                           : added_token_of(value, by_name);
      token.special = value.is_string() || by_name || flag_of(value, "special", true);
      if (value.is_string() || !value.contains("normalized"))
        token.normalized = false;
      const bool by_default = by_default_.contains(token.content);
      if (!known.contains(token.content) && (!by_default || has_room(token.content, configs)))
        to_.add_token(std::move(token));
    };
    for (const auto &[name, value] : named_)
      add(value, /*by_name=*/true);
    for (const Config &value : list_.is_array() ? list_ : Config::array())
      add(json(value), /*by_name=*/false);
    for (const auto &[name, value] : named_) {
      std::string content = content_of(value);
      if (name == "bos_token") {
        to_.spec.bos_id = to_.find(content);
        to_.spec.bos_token = std::move(content);
      } else if (name == "eos_token") {
        to_.spec.eos_token = std::move(content);
      } else {
        to_.spec.named_tokens.push_back({name, std::move(content)});
      }
    }
  }

  Config values_; ///< what a tokenizer is made with
  SpecBuilder &to_;
  Names own_;                           ///< that tokenizer_config.json gives, not by standard names
  Names named_;                         ///< all of them, in transformers' order
  std::set<std::string> by_default_;    ///< named by the class alone
  Config list_;                         ///< special tokens without a name
  std::map<int32_t, AddedToken> added_; ///< by the id that the files say
};

} // namespace

absl::Status read_special_tokens(const TokenizerConfigs &configs, const TokenizerClass *defaults,
                                 bool in_place, SpecBuilder &to) {
  return SpecialTokens(configs, to).read(configs, defaults, in_place);
}

} // namespace quern::hf
