// The tokenizer of a Hugging Face model folder as a TokenizerSpec.
//
// tokenizer.json says how text becomes ids; tokenizer_config.json, special_tokens_map.json,
// generation_config.json, config.json and chat_template.jinja name the BOS and EOS tokens and the
// chat template. As in transformers, whether BOS and EOS are added is tokenizer.json's
// post_processor to say: tokenizer_config.json's add_bos_token is for models without a
// tokenizer.json.
//
// Understood: model BPE with a ByteLevel pre-tokenizer, after Split, Digits or Punctuation;
// normalizer NFC or none; post_processor ByteLevel, TemplateProcessing, RobertaProcessing or
// BertProcessing. Anything else is an error that names it.
#ifndef QUERN_FRONTENDS_HF_TOKENIZERJSON_H
#define QUERN_FRONTENDS_HF_TOKENIZERJSON_H

#include "runtime/text/TokenizerSpec.h"

#include <absl/status/statusor.h>

#include <filesystem>
#include <optional>
#include <string>

namespace quern::hf {

/// The contents of the files; empty: there is no such file.
struct TokenizerFiles {
  std::string tokenizer_json; ///< the only one that is needed
  std::string tokenizer_config_json;
  std::string special_tokens_map_json;
  std::string generation_config_json;
  std::string config_json;
  std::string chat_template_jinja;
};

/// The spec, which validates and which text::Tokenizer::create accepts. Errors name the file and
/// the part of it.
absl::StatusOr<text::TokenizerSpec> tokenizer_from_json(const TokenizerFiles &files);

/// Reads the files of a model's folder; nullopt if it has no tokenizer.json.
absl::StatusOr<std::optional<text::TokenizerSpec>>
load_tokenizer(const std::filesystem::path &folder);

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_TOKENIZERJSON_H
