// rwkv_vocab_v20230424.txt, RWKV's World vocabulary: a line a token, its id, its spelling as Python
// writes it, and its length in bytes. No text is cut into words, and always the longest token goes
// first; id 0 is none of the file's tokens and ends a text.
#include "frontends/PythonLiteral.h"
#include "frontends/hf/TokenizerParts.h"
#include "runtime/text/Message.h"

#include <charconv>

namespace quern::hf {
namespace {

using nlohmann::json;

constexpr const char *kEnd = "<|rwkv_tokenizer_end_of_text|>";

/// What the configs call the token 0.
std::string end_of_text(const TokenizerConfigs &configs) {
  const json tokenizer = configs.tokenizer, map = configs.special_tokens_map;
  const json &added = member(tokenizer, "added_tokens_decoder");
  for (const json *named :
       {&member(added, "0"), &member(tokenizer, "eos_token"), &member(map, "eos_token")}) {
    const std::string name =
        named->is_string() ? named->get<std::string>() : text_of(*named, "content");
    if (!name.empty())
      return name;
  }
  return kEnd;
}

/// A line's id and token.
std::optional<std::pair<int32_t, std::string>> parse_line(std::string_view line, size_t limit) {
  const size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || last <= first + 1)
    return std::nullopt;
  size_t id = 0, size = 0;
  const auto whole = [](std::string_view text, size_t &value) {
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    return result.ec == std::errc() && result.ptr == text.data() + text.size();
  };
  std::optional<std::string> token = parse_python_literal(line.substr(first + 1, last - first - 1));
  if (!whole(line.substr(0, first), id) || id < 1 || id >= limit ||
      !whole(line.substr(last + 1), size) || !token || token->empty() || token->size() != size)
    return std::nullopt;
  return std::pair(static_cast<int32_t>(id), *std::move(token));
}

} // namespace

absl::StatusOr<text::TokenizerSpec> tokenizer_from_world_vocabulary(const TokenizerFiles &files,
                                                                    Notes *notes) {
  absl::StatusOr<TokenizerConfigs> configs = parse_configs(files);
  if (!configs.ok())
    return configs.status();
  SpecBuilder to;
  to.id_limit = std::min(text::kMaxTokens,
                         files.world_vocabulary.size() + files.tokenizer_config_json.size());
  to.spec.model = text::ModelKind::LongestMatch;
  const std::string end = end_of_text(*configs);
  to.put_token(end, 0, text::TokenKind::Control);
  std::string_view rest = files.world_vocabulary;
  for (size_t number = 1; !rest.empty(); ++number) {
    const size_t stop = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, stop);
    rest.remove_prefix(std::min(stop + 1, rest.size()));
    if (line.ends_with('\r'))
      line.remove_suffix(1);
    if (line.empty() && rest.empty())
      break;
    std::optional<std::pair<int32_t, std::string>> token = parse_line(line, to.id_limit);
    if (!token)
      return absl::InvalidArgumentError(
          text::concat(kWorldVocabulary, ": line ", number,
                       " is not an id, a token as Python spells it, and its length in bytes"
                       "\nhint: take the file as it was published with the model"));
    to.put_token(std::move(token->second), token->first, text::TokenKind::Normal);
  }
  to.spec.added_tokens.push_back({.content = end, .id = 0, .special = true});
  const TokenizerClass own = {
      .name = "", .special_tokens = {{"bos_token", end.c_str()}, {"eos_token", end.c_str()}}};
  if (absl::Status s = read_special_tokens(*configs, &own, /*in_place=*/true, to); !s.ok())
    return s;
  if (absl::Status s = read_generation(files, *configs, to); !s.ok())
    return s;
  return finish(to, notes);
}

} // namespace quern::hf
