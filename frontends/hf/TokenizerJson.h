// The tokenizer of a Hugging Face model folder as a TokenizerSpec.
//
// tokenizer.json says how text becomes ids; tokenizer_config.json, special_tokens_map.json,
// generation_config.json, config.json and chat_template.jinja name the BOS and EOS tokens and the
// chat template. As in transformers, whether BOS and EOS are added is tokenizer.json's
// post_processor to say: tokenizer_config.json's add_bos_token is for models without a
// tokenizer.json. Those have a SentencePiece model (SentencePieceModel.h).
//
// Understood: models BPE (byte-level, or by characters; with byte fallback, a prefix of continuing
// tokens, a suffix of a word's last), Unigram, WordPiece and WordLevel; normalizers NFC, NFD, NFKC,
// NFKD, Lowercase, Strip, StripAccents, Replace, Prepend, Precompiled, BertNormalizer, Nmt,
// ByteLevel; pre-tokenizers ByteLevel, Split, Digits, Punctuation, Whitespace, WhitespaceSplit,
// BertPreTokenizer, Metaspace, CharDelimiterSplit, FixedLength, UnicodeScripts; decoders ByteLevel,
// Replace, ByteFallback, Fuse, Strip, Metaspace, WordPiece, BPEDecoder; post_processors ByteLevel,
// TemplateProcessing, RobertaProcessing, BertProcessing; and Sequences of them. Anything else is an
// error that names it.
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
  std::string tokenizer_json;       ///< this one or
  std::string sentence_piece_model; ///< this one is needed: tokenizer.model or spiece.model
  std::string tokenizer_config_json;
  std::string special_tokens_map_json;
  std::string generation_config_json;
  std::string config_json;
  std::string chat_template_jinja;
};

/// The spec, which validates and which text::Tokenizer::create accepts. Errors name the file and
/// the part of it.
absl::StatusOr<text::TokenizerSpec> tokenizer_from_json(const TokenizerFiles &files);

/// Reads the files of a model's folder; nullopt if it has neither tokenizer.json nor a
/// SentencePiece model. tokenizer.json goes first.
absl::StatusOr<std::optional<text::TokenizerSpec>>
load_tokenizer(const std::filesystem::path &folder);

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_TOKENIZERJSON_H
