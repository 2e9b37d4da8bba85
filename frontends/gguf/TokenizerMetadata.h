// A GGUF file's tokenizer.* metadata as a TokenizerSpec.
//
// What the keys mean is llama.cpp's to say, and where the published tokenizer differs, the ids here
// are llama.cpp's. But for WordPiece, whose text is normalized as BERT's authors do it. What
// tokenizer.ggml.pre names is in PreTokenizers.h.
#ifndef QUERN_FRONTENDS_GGUF_TOKENIZERMETADATA_H
#define QUERN_FRONTENDS_GGUF_TOKENIZERMETADATA_H

#include "runtime/text/TokenizerSpec.h"

#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace quern::gguf {

/// The metadata, already read from the file. A key the file has not is empty or nullopt.
struct TokenizerMetadata {
  std::string model;                ///< tokenizer.ggml.model: "gpt2" is byte-level BPE, "llama"
                                    ///< SentencePiece BPE, "t5" unigram, "bert" WordPiece
  std::string pre;                  ///< tokenizer.ggml.pre
  std::vector<std::string> tokens;  ///< tokenizer.ggml.tokens
  std::vector<int32_t> token_types; ///< tokenizer.ggml.token_type: 1 normal, 2 unknown, 3 control,
                                    ///< 4 user-defined, 5 unused, 6 byte; empty: all normal
  std::vector<float> scores;        ///< tokenizer.ggml.scores; empty: all 0
  std::vector<std::string> merges;  ///< tokenizer.ggml.merges: "left right"
  std::optional<int64_t> bos_id;    ///< tokenizer.ggml.bos_token_id
  std::optional<int64_t> eos_id;    ///< tokenizer.ggml.eos_token_id
  std::optional<int64_t> eot_id;    ///< tokenizer.ggml.eot_token_id
  std::optional<int64_t> eom_id;    ///< tokenizer.ggml.eom_token_id
  std::optional<int64_t> unk_id;    ///< tokenizer.ggml.unknown_token_id
  std::optional<int64_t> sep_id;    ///< tokenizer.ggml.seperator_token_id (spelled so)
  std::optional<int64_t> pad_id;    ///< tokenizer.ggml.padding_token_id
  std::optional<int64_t> cls_id;    ///< tokenizer.ggml.cls_token_id
  std::optional<int64_t> mask_id;   ///< tokenizer.ggml.mask_token_id
  /// tokenizer.ggml.fim_{pre,suf,mid,pad,rep,sep}_token_id, which fill in the middle.
  std::array<std::optional<int64_t>, 6> fill_in_ids;
  std::optional<bool> add_bos;                  ///< tokenizer.ggml.add_bos_token
  std::optional<bool> add_eos;                  ///< tokenizer.ggml.add_eos_token
  std::optional<bool> add_space_prefix;         ///< tokenizer.ggml.add_space_prefix
  std::optional<bool> remove_extra_whitespaces; ///< tokenizer.ggml.remove_extra_whitespaces
  std::optional<bool> lowercase;                ///< tokenizer.ggml.normalizer.lowercase
  std::optional<bool> strip_accents;            ///< tokenizer.ggml.normalizer.strip_accents
  std::string precompiled_charsmap;             ///< tokenizer.ggml.precompiled_charsmap, as bytes
  std::string name;          ///< general.name: Phi-3's tokens take the space behind them
  std::string chat_template; ///< tokenizer.chat_template
};

/// The spec, which validates and which text::Tokenizer::create accepts. Errors name the key. What
/// llama.cpp takes, or only warns of, goes to `notes`, which may be null.
absl::StatusOr<text::TokenizerSpec>
tokenizer_from_metadata(const TokenizerMetadata &metadata,
                        std::vector<std::string> *notes = nullptr);

} // namespace quern::gguf

#endif // QUERN_FRONTENDS_GGUF_TOKENIZERMETADATA_H
