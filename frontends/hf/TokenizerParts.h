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
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace quern::hf {

/// "tokenizer.json: PART WHAT is not supported".
absl::Status unsupported(std::string_view part, std::string_view what);

/// Parses a file whose top level is an object.
absl::StatusOr<nlohmann::json> parse_object(const char *file, const std::string &content);

/// An object as Python writes it: keys keep their order, and what JSON has not (Infinity, NaN) is
/// null. An empty object where there is no such file.
using Config = nlohmann::ordered_json;
absl::StatusOr<Config> parse_config(const char *file, const std::string &content);

/// Member `key` of an object, null if absent.
const nlohmann::json &member(const nlohmann::json &object, const char *key);
std::string text_of(const nlohmann::json &object, const char *key);
bool flag_of(const nlohmann::json &object, const char *key, bool fallback);

/// An integer of 0 to `limit` - 1.
std::optional<int32_t> number_of(const nlohmann::json &value, size_t limit);

/// A tokenizer as it is put together.
class SpecBuilder {
public:
  text::TokenizerSpec spec;
  Notes notes;
  /// Ids lie below this: the files' size, since a token takes more than a byte of them.
  size_t id_limit = text::kMaxTokens;
  bool decodes_bytes = false;  ///< the decoder has ByteFallback
  bool splits_special = false; ///< a special token's spelling in a text is text
  /// tokenizer.json's added tokens by the ids written there.
  std::map<int32_t, text::AddedToken> listed;

  std::optional<int32_t> id_of(const nlohmann::json &value) const {
    return number_of(value, id_limit);
  }
  void put_token(std::string content, int32_t id, text::TokenKind kind);
  /// The id of the token spelled so, -1 if there is none.
  int32_t find(std::string_view token);
  /// The added token spelled so, or null.
  const text::AddedToken *find_added(std::string_view token);

  /// Adds a token as `tokenizers` does and returns its id, -1 if it has no content: the id that its
  /// spelling has, else the next one. `token.id` is not looked at. Of one that was added before the
  /// flags are the new ones, but what is special stays so.
  int32_t add_token(text::AddedToken token);
  /// The id that the next new token gets.
  int32_t next_id();

private:
  void make_index();

  /// The tokens by their spelling, and the index of those in spec.added_tokens; made when they are
  /// first asked for.
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<std::string, size_t> added_;
  bool indexed_ = false;
  size_t next_ = 0; ///< the model's own tokens, or one more than the last added one's id
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

/// An added token as JSON has it: {"content": "<s>", "lstrip": false, ...}.
text::AddedToken added_token_of(const nlohmann::json &token, bool special = false);

/// A tokenizer class of transformers, as far as a tokenizer's files leave things to it.
struct TokenizerClass {
  const char *name; ///< without "Fast"
  /// What special tokens are called where the files do not say: name, token, name, token, ...
  std::vector<std::pair<const char *, const char *>> special_tokens;
  /// How vocab.json and merges.txt (for WordPiece: vocab.txt) are to be read.
  enum class Pipeline : uint8_t { None, Gpt2, NormalizedGpt2, Qwen2, Cohere, WordPiece };
  Pipeline pipeline = Pipeline::None;
  bool cls_and_sep = false; ///< go around a text
};
/// The class that transformers makes of a model's configs, null: one that adds nothing.
const TokenizerClass *tokenizer_class(const Config &tokenizer_config, const Config &model_config);
/// The same where vocab.json, merges.txt or vocab.txt must be read; null: it is not known.
const TokenizerClass *vocabulary_class(const Config &tokenizer_config, const Config &model_config);

/// tokenizer.json's pre_tokenizer with what tokenizer_config.json's add_prefix_space says of the
/// space before a text, which a byte-level class asks for there.
nlohmann::json pre_tokenizer_of(nlohmann::json step, const Config &tokenizer_config,
                                const TokenizerClass *known_class);
/// Notes what transformers' class does otherwise than tokenizer.json says, which counts. After the
/// steps are read.
void note_other_steps(const TokenizerClass &known_class, const Config &tokenizer_config,
                      SpecBuilder &to);

/// The files beside a vocabulary, parsed.
struct TokenizerConfigs {
  Config tokenizer, special_tokens_map, added_tokens, model;
};
absl::StatusOr<TokenizerConfigs> parse_configs(const TokenizerFiles &files);

/// Which tokens are special, by the configs and a class's defaults, and what they are called. New
/// ones are added to the vocabulary. `in_place`: an id that the configs give a token counts where
/// the vocabulary has it (SentencePiece models); else it does not, as in `tokenizers`.
absl::Status read_special_tokens(const TokenizerConfigs &configs, const TokenizerClass *defaults,
                                 bool in_place, SpecBuilder &to);

/// What ends an answer, and the chat template. After read_special_tokens.
absl::Status read_generation(const TokenizerFiles &files, const TokenizerConfigs &configs,
                             SpecBuilder &to);

/// Notes, in one line, what generation_config.json asks of sampling that `quern-run run` does
/// otherwise, and the flags that say the same.
void note_sampling(const Config &config, Notes &notes);

/// Checks the spec as the runtime will and hands it over.
absl::StatusOr<text::TokenizerSpec> finish(SpecBuilder &to, Notes *notes);

/// What vocab.json and merges.txt, or vocab.txt, are in tokenizer.json's terms.
absl::StatusOr<nlohmann::json> vocabulary_as_json(const TokenizerFiles &files,
                                                  const TokenizerConfigs &configs,
                                                  TokenizerClass::Pipeline pipeline);

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_TOKENIZERPARTS_H
