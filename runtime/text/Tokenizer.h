// Text to token ids and back, as a TokenizerSpec says.
//
// Everything here is immutable after creation and safe to use from any thread.
#ifndef QUERN_RUNTIME_TEXT_TOKENIZER_H
#define QUERN_RUNTIME_TEXT_TOKENIZER_H

#include "runtime/text/AddedTokens.h"
#include "runtime/text/BytePairEncoder.h"
#include "runtime/text/PreTokenizer.h"
#include "runtime/text/TokenizerSpec.h"

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern::text {

struct EncodeOptions {
  /// Put the model's prefix and suffix (BOS, EOS) around the text.
  bool add_special = true;
  /// Read the spellings of special tokens as those tokens. If not, they are plain text; added
  /// tokens that are not special are found either way (as in llama.cpp and `tokenizers`).
  bool parse_special = true;
};

class Tokenizer {
public:
  /// Fails where the spec does not validate, names a model or pattern this build does not run, or
  /// lacks what its model needs.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> create(TokenizerSpec spec);

  /// The ids of `text`. Bytes that are not UTF-8 are read as U+FFFD. Fails only where a
  /// pre-tokenizer pattern exceeds its work limit (PreTokenizer.h).
  absl::StatusOr<std::vector<int32_t>> encode(std::string_view text,
                                              const EncodeOptions &options = {}) const;

  /// The text of `ids`: their pieces joined, what is not UTF-8 replaced by U+FFFD. Ids outside the
  /// vocabulary (a model's logits may be wider than its vocabulary) have no text.
  /// `skip_special`: leave out control and unknown tokens.
  std::string decode(std::span<const int32_t> ids, bool skip_special = false) const;

  /// The bytes of one token, perhaps a part of a code point; empty outside the vocabulary.
  std::string_view piece(int32_t id) const;

  int32_t vocab_size() const { return static_cast<int32_t>(spec_.tokens.size()); }
  bool contains(int32_t id) const { return id >= 0 && id < vocab_size(); }
  /// Whether `id` ends an answer.
  bool is_end(int32_t id) const;
  /// Whether `id` is a control or unknown token.
  bool is_special(int32_t id) const;
  /// The id of the token stored as `token` ("Ġthe", "<|im_end|>"), -1 if there is none. Searches.
  int32_t find(std::string_view token) const;

  /// What it was made from, but for `merges`, which are emptied.
  const TokenizerSpec &spec() const { return spec_; }

private:
  Tokenizer(TokenizerSpec spec, PreTokenizer pre_tokenizer);
  absl::Status encode_text(std::string_view text, std::vector<int32_t> &ids) const;
  void encode_word(std::string_view word, std::vector<int32_t> &symbols,
                   std::vector<int32_t> &ids) const;

  TokenizerSpec spec_;
  PreTokenizer pre_tokenizer_;
  BytePairEncoder merger_;
  AddedTokens raw_added_;        ///< found in raw text
  AddedTokens normalized_added_; ///< found in normalized text
  std::array<int32_t, 256> byte_ids_;
  std::string piece_bytes_; ///< of all tokens, one after the other
  std::vector<uint32_t> piece_ends_;
  /// Normal tokens by their bytes, if ignore_merges.
  absl::flat_hash_map<std::string_view, int32_t, std::hash<std::string_view>> words_;
};

/// Turns a stream of ids into text as it comes, never cutting a code point: what push returned plus
/// flush is what Tokenizer::decode gives for all ids at once.
class StreamDecoder {
public:
  /// `tokenizer` must outlive this.
  explicit StreamDecoder(const Tokenizer &tokenizer, bool skip_special = false)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  /// The text that is certain after one more id.
  std::string push(int32_t id);

  /// What was held back, as U+FFFD; the decoder is then as new.
  std::string flush();

private:
  const Tokenizer &tokenizer_;
  bool skip_special_;
  std::string held_; ///< the beginning of a code point
};

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_TOKENIZER_H
