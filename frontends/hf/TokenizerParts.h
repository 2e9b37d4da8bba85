// Between the files that import tokenizers: reading the parts of tokenizer.json and of the configs
// beside it. TokenizerJson.h is what others include.
#ifndef QUERN_FRONTENDS_HF_TOKENIZERPARTS_H
#define QUERN_FRONTENDS_HF_TOKENIZERPARTS_H

#include "frontends/hf/TokenizerJson.h"
#include "runtime/text/TokenizerSpec.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace quern::hf {

/// "tokenizer.json: PART WHAT is not supported".
absl::Status unsupported(std::string_view part, std::string_view what);

/// Parses a file whose top level is an object.
absl::StatusOr<nlohmann::json> parse_object(const char *file, const std::string &content);

/// Member `key` of an object, null if absent.
const nlohmann::json &member(const nlohmann::json &object, const char *key);
std::string text_of(const nlohmann::json &object, const char *key);
bool flag_of(const nlohmann::json &object, const char *key, bool fallback);

/// An integer of 0 to `limit` - 1.
std::optional<int32_t> number_of(const nlohmann::json &value, size_t limit);

/// A tokenizer as it is put together.
struct SpecBuilder {
  text::TokenizerSpec spec;
  /// Ids lie below this: the files' size, since a token takes more than a byte of them.
  size_t id_limit = text::kMaxTokens;
  bool decodes_bytes = false; ///< the decoder has ByteFallback

  std::optional<int32_t> id_of(const nlohmann::json &value) const {
    return number_of(value, id_limit);
  }
  void put_token(std::string content, int32_t id, text::TokenKind kind);
  /// The id of the token spelled so, -1 if there is none.
  int32_t find(std::string_view token) const;
};

/// What a step says it is, for messages and for finding it.
std::string type_of(const nlohmann::json &step);
/// A Metaspace step's prepend_scheme, in all its spellings.
absl::StatusOr<text::MetaspacePrepend> prepend_of(const nlohmann::json &step);

absl::Status read_model(const nlohmann::json &model, SpecBuilder &to);
absl::Status read_normalizer(const nlohmann::json &normalizer, SpecBuilder &to);
absl::Status read_pre_tokenizer(const nlohmann::json &step, SpecBuilder &to);
absl::Status read_decoder(const nlohmann::json &decoder, SpecBuilder &to);
absl::Status read_post_processor(const nlohmann::json &processor, SpecBuilder &to);

/// One entry of added_tokens or added_tokens_decoder. Of two with one id or content the first
/// counts.
absl::Status add_token(const char *file, const nlohmann::json &token, std::optional<int32_t> id,
                       SpecBuilder &to);

/// The files beside the vocabulary: BOS, EOS, added tokens, the chat template.
absl::Status read_configs(const TokenizerFiles &files, SpecBuilder &to);

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_TOKENIZERPARTS_H
