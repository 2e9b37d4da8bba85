// The tokenizer of a Hugging Face model folder as a TokenizerSpec.
//
// tokenizer.json says how text becomes ids; without one a SentencePiece model does
// (SentencePieceModel.h), or vocab.json and merges.txt, or vocab.txt (VocabularyFiles.cpp), or
// rwkv_vocab_v20230424.txt (WorldVocabulary.cpp).
// tokenizer_config.json, special_tokens_map.json and added_tokens.json say which tokens are special
// and add some (TokenizerSpecialTokens.cpp), generation_config.json and config.json which end an
// answer. Chat templates are in chat_template.jinja, additional_chat_templates/,
// tokenizer_config.json or chat_template.json, the first of them that has one. As in transformers,
// whether BOS and EOS are added is tokenizer.json's post_processor to say: tokenizer_config.json's
// add_bos_token is for models without a tokenizer.json; its add_prefix_space is for the byte-level
// classes, and with split_special_tokens special tokens are not found in a text.
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
#include <span>
#include <string>
#include <utility>
#include <vector>

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
  std::string vocab_json, merges_txt; ///< or these two
  std::string vocab_txt;              ///< or this one
  std::string world_vocabulary;       ///< or this one, rwkv_vocab_v20230424.txt
  std::string added_tokens_json;
  std::string chat_template_json;
  /// Name and contents of additional_chat_templates/NAME.jinja.
  std::vector<std::pair<std::string, std::string>> additional_chat_templates;
};

/// What a reader of the files is told beside the tokenizer: what is unusual but no error.
using Notes = std::vector<std::string>;

/// The spec, which validates and which text::Tokenizer::create accepts. Errors name the file and
/// the part of it. `notes` may be null.
absl::StatusOr<text::TokenizerSpec> tokenizer_from_json(const TokenizerFiles &files,
                                                        Notes *notes = nullptr);

/// The same of vocab.json and merges.txt, or of vocab.txt.
absl::StatusOr<text::TokenizerSpec> tokenizer_from_vocabulary(const TokenizerFiles &files,
                                                              Notes *notes = nullptr);

/// The same of RWKV's World vocabulary.
inline constexpr const char *kWorldVocabulary = "rwkv_vocab_v20230424.txt";
absl::StatusOr<text::TokenizerSpec> tokenizer_from_world_vocabulary(const TokenizerFiles &files,
                                                                    Notes *notes = nullptr);

/// Reads the files of a model's folder; nullopt if it has no vocabulary. tokenizer.json goes first,
/// then a SentencePiece model, then vocab.json, then vocab.txt, then the World vocabulary. What
/// lies beside the vocabulary is passed over where `damaged` names it, so that one file's damage,
/// said already, hides nothing of the others.
absl::StatusOr<std::optional<text::TokenizerSpec>>
load_tokenizer(const std::filesystem::path &folder, Notes *notes = nullptr,
               std::span<const std::string> damaged = {});

} // namespace quern::hf

#endif // QUERN_FRONTENDS_HF_TOKENIZERJSON_H
