// Text to token ids and back, as a TokenizerSpec says.
//
// Everything here is immutable after creation and safe to use from any thread.
#ifndef QUERN_RUNTIME_TEXT_TOKENIZER_H
#define QUERN_RUNTIME_TEXT_TOKENIZER_H

#include "runtime/text/AddedTokens.h"
#include "runtime/text/Normalize.h"
#include "runtime/text/Pieces.h"
#include "runtime/text/PreTokenizer.h"
#include "runtime/text/TokenizerSpec.h"
#include "runtime/text/WordModel.h"

#include <absl/status/statusor.h>

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
  /// What was encoded before, where the text goes on with it: then there is no prefix, and no space
  /// is put before the text unless a special token is the last. Of the text's own tokens it is not
  /// known where they would have been cut had all been one text.
  std::span<const int32_t> before = {};
};

class Tokenizer {
public:
  /// Fails where the spec does not validate, or holds a pattern or charsmap that cannot be run.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> create(TokenizerSpec spec);

  /// The ids of `text`. Bytes that are not UTF-8 are read as U+FFFD. Fails only where a pattern or
  /// normalizer exceeds its work limit (PreTokenizer.h, Normalize.h) or the text 1 GiB.
  absl::StatusOr<std::vector<int32_t>> encode(std::string_view text,
                                              const EncodeOptions &options = {}) const;

  /// The text of `ids`: their pieces joined, what is not UTF-8 replaced by U+FFFD. Ids outside the
  /// vocabulary (a model's logits may be wider than its vocabulary) have no text.
  /// `skip_special`: leave out control and unknown tokens. Where bytes spelled by byte tokens are
  /// no UTF-8, only the broken ones are replaced (`tokenizers` replaces all in a row, which a
  /// stream could not).
  std::string decode(std::span<const int32_t> ids, bool skip_special = false) const;

  /// The bytes of one token inside a text, perhaps a part of a code point; empty outside the
  /// vocabulary. Words of some vocabularies bring the space before them.
  std::string_view piece(int32_t id) const;

  int32_t vocab_size() const { return static_cast<int32_t>(spec_.tokens.size()); }
  bool contains(int32_t id) const { return id >= 0 && id < vocab_size(); }
  /// Whether `id` ends an answer.
  bool is_end(int32_t id) const;
  /// Whether `id` is a control or unknown token.
  bool is_special(int32_t id) const;
  /// The id of the token stored as `token` ("Ġthe", "<|im_end|>"), -1 if there is none. Searches.
  int32_t find(std::string_view token) const;

  /// What it was made from, but for `merges`, `merge_ranks` and `scores`, which are emptied.
  const TokenizerSpec &spec() const { return spec_; }

private:
  friend class StreamDecoder;
  Tokenizer(TokenizerSpec spec, Normalizer normalizer, PreTokenizer pre_tokenizer, Pieces pieces);
  absl::Status encode_text(std::string_view text, PreTokenizer::Place place,
                           std::vector<int32_t> &ids) const;
  PreTokenizer::Place place_after(std::span<const int32_t> before) const;

  TokenizerSpec spec_;
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  Pieces pieces_;
  std::unique_ptr<WordModel> model_;
  AddedTokens raw_added_;        ///< found in raw text
  AddedTokens normalized_added_; ///< found in normalized text
};

/// Turns a stream of ids into text as it comes, never cutting a code point: what push returned plus
/// flush is what Tokenizer::decode gives for all ids at once.
class StreamDecoder {
public:
  /// `tokenizer` must outlive this.
  explicit StreamDecoder(const Tokenizer &tokenizer, bool skip_special = false)
      : tokenizer_(tokenizer), skip_special_(skip_special), place_(tokenizer.pieces_.start()) {}

  /// The text that is certain after one more id.
  std::string push(int32_t id);

  /// What was held back, as U+FFFD; the decoder is then as new.
  std::string flush();

private:
  const Tokenizer &tokenizer_;
  bool skip_special_;
  TextPlace place_;
  std::string held_; ///< the beginning of a code point
};

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_TOKENIZER_H
