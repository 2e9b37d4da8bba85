// What a tokenizer is, as plain data: filled by an importer when a model is compiled, stored as the
// artifact's tokenizer section, read back by the runtime (Tokenizer.h executes it).
//
// A text becomes ids so:
//   1. added tokens that are not `normalized` are found in the raw text (leftmost, then longest);
//   2. what lies between them is normalized, and `normalized` added tokens are found in it;
//   3. what lies between those is cut into words by the pre_tokenizer steps, in order;
//   4. each word becomes ids by the model;
//   5. prefix_ids and suffix_ids go around the whole.
// That is the pipeline of Hugging Face's `tokenizers`; GGUF's vocabularies are expressed in it.
#ifndef QUERN_RUNTIME_TEXT_TOKENIZERSPEC_H
#define QUERN_RUNTIME_TEXT_TOKENIZERSPEC_H

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quern::text {

/// How words become tokens. Only byte-level BPE runs today; the others have their number so that an
/// artifact that holds one is refused by name.
enum class ModelKind : uint8_t { ByteLevelBpe, SentencePieceBpe, Unigram, WordPiece };

/// What a token is for. Control and unknown tokens have no text of their own in an answer.
enum class TokenKind : uint8_t { Normal, Control, UserDefined, Unknown, Byte, Unused };

enum class Normalizer : uint8_t { None, Nfc };

/// What becomes of a match and of the text between matches.
enum class SplitBehavior : uint8_t {
  Isolated, ///< both become words
  Removed,  ///< the text between becomes words, the matches go
};

/// One step of cutting text into words.
struct PreTokenizerStep {
  enum class Kind : uint8_t {
    Split,       ///< cut each word by `pattern`
    PrefixSpace, ///< put a space before each word that does not start with one
  };
  Kind kind = Kind::Split;
  /// A regular expression as published with the model: Oniguruma's syntax with Unicode classes
  /// (PatternDialect.h says which part of it is understood).
  std::string pattern;
  SplitBehavior behavior = SplitBehavior::Isolated;
  /// Match and between change places.
  bool invert = false;
};

/// `left` followed by `right` becomes `result`. Earlier merges in the list go first.
struct Merge {
  int32_t left = 0;
  int32_t right = 0;
  int32_t result = 0;
};

/// A token that is found in the text before any model sees it.
struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool special = false; ///< a control token: plain text where EncodeOptions::parse_special is off
  bool lstrip = false;  ///< swallows the white space before it
  bool rstrip = false;  ///< swallows the white space after it
  bool normalized = false; ///< found in normalized text
};

struct TokenizerSpec {
  ModelKind model = ModelKind::ByteLevelBpe;
  /// By id, as stored in the model: byte-level tokens in GPT-2's alphabet ("Ġthe"), added tokens in
  /// plain text. Bytes are not required to be UTF-8.
  std::vector<std::string> tokens;
  std::vector<TokenKind> kinds; ///< by id, as many as tokens
  std::vector<Merge> merges;    ///< by rank
  /// A word that is a normal token is that token, whatever merging would give (Llama 3).
  bool ignore_merges = false;
  /// What a byte without a token becomes; -1: it is dropped.
  int32_t unk_id = -1;
  bool fuse_unk = false; ///< neighbouring unknowns become one
  Normalizer normalizer = Normalizer::None;
  std::vector<PreTokenizerStep> pre_tokenizer;
  std::vector<AddedToken> added_tokens;
  std::vector<int32_t> prefix_ids; ///< put before a text (BOS), where EncodeOptions::add_special
  std::vector<int32_t> suffix_ids; ///< put after it (EOS)
  int32_t bos_id = -1;             ///< -1: none
  std::vector<int32_t> eos_ids;    ///< any of these ends an answer
  std::string bos_token;           ///< as chat templates spell them; may be empty
  std::string eos_token;
  std::string chat_template; ///< Jinja source; empty: none
};

/// Tokens a vocabulary may have, and bytes a token, a pattern or a template may have.
inline constexpr size_t kMaxTokens = size_t{1} << 24;
inline constexpr size_t kMaxText = size_t{1} << 20;

/// Checks what every user of a spec relies on: kinds match tokens, ids lie in the vocabulary, enums
/// have known values, sizes are within the limits above. The error names the field.
absl::Status validate(const TokenizerSpec &spec);

/// The bytes of a tokenizer section. `spec` must validate.
std::string serialize(const TokenizerSpec &spec);

/// Reads a tokenizer section. Any bytes are safe; what is not a valid tokenizer is refused.
absl::StatusOr<TokenizerSpec> deserialize(std::string_view bytes);

/// A merge as vocabularies spell it: two tokens as stored.
struct MergeText {
  std::string_view left;
  std::string_view right;
};

/// Turns spelled merges into ids. The parts and their concatenation must be tokens; the error names
/// the merge that has one missing.
absl::StatusOr<std::vector<Merge>> resolve_merges(const std::vector<std::string> &tokens,
                                                  const std::vector<MergeText> &merges);

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_TOKENIZERSPEC_H
