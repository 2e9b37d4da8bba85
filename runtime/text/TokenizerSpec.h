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
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern::text {

/// How words become tokens.
enum class ModelKind : uint8_t {
  ByteLevelBpe,     ///< merges of bytes, spelled in GPT-2's alphabet
  SentencePieceBpe, ///< merges of characters; one without a token becomes bytes, or unknown
  Unigram,          ///< the cut into tokens with the highest sum of scores; those of kind
                    ///< UserDefined take part that are not `added_tokens`
  WordPiece,        ///< the longest token first
  WordLevel,        ///< a word is a token, or unknown
  LongestMatch,     ///< the longest token first, of a word's bytes: tokens are bytes as they are
};

/// What a token is for. Control and unknown tokens have no text of their own in an answer.
enum class TokenKind : uint8_t { Normal, Control, UserDefined, Unknown, Byte, Unused };

/// One step of what is done to text before tokens are looked for in it.
struct NormalizerStep {
  enum class Kind : uint8_t {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
    Lowercase,     ///< each code point by itself
    Strip,         ///< takes white space off the ends: kLeft, kRight
    StripAccents,  ///< takes combining marks out
    Replace,       ///< `pattern`, a text, becomes `content`
    ReplaceRegex,  ///< what matches `pattern` becomes `content`
    Prepend,       ///< puts `content` before text that is not empty
    Precompiled,   ///< `content` is a charsmap (Charsmap.h), applied as `tokenizers` does
    Bert,          ///< kCleanText, kChinese, kStripAccents, kLowercase
    Nmt,           ///< drops control characters, makes white space spaces
    SentencePiece, ///< `content` is a charsmap or empty; kDummySpace, kRemoveExtraSpace,
                   ///< kEscapeSpace, kSpaceSuffix, kMarksAreText: SentencePiece's own
    Bytes,         ///< spells each byte in GPT-2's alphabet (ByteAlphabet.h)
  };
  static constexpr uint8_t kLeft = 1, kRight = 2;
  static constexpr uint8_t kCleanText = 1; ///< drops control characters, makes white space spaces
  static constexpr uint8_t kChinese = 2;   ///< puts spaces around Chinese characters
  static constexpr uint8_t kStripAccents = 4, kLowercase = 8;
  static constexpr uint8_t kDummySpace = 1; ///< a space goes before the text
  static constexpr uint8_t kRemoveExtraSpace =
      2;                                       ///< of spaces at the ends, and of runs all but one
  static constexpr uint8_t kEscapeSpace = 4;   ///< a space is spelled U+2581
  static constexpr uint8_t kSpaceSuffix = 8;   ///< kDummySpace puts it behind the text
  static constexpr uint8_t kMarksAreText = 16; ///< U+2581 in the text itself is no space

  Kind kind = Kind::Nfc;
  std::string pattern;
  std::string content;
  uint8_t flags = 0;
};

/// What becomes of a match and of the text between matches.
enum class SplitBehavior : uint8_t {
  Isolated,           ///< both become words
  Removed,            ///< the text between becomes words, the matches go
  MergedWithPrevious, ///< a match ends the word before it
  MergedWithNext,     ///< a match begins the word behind it
  Contiguous,         ///< matches in a row are one word
};

/// Where a Metaspace step puts a mark before a word that does not start with one.
enum class MetaspacePrepend : uint8_t { Always, First, Never };

/// One step of cutting text into words.
struct PreTokenizerStep {
  enum class Kind : uint8_t {
    Split,       ///< cut each word by `pattern`
    PrefixSpace, ///< put a space before each word that does not start with one
    Metaspace,   ///< spell spaces as the character `pattern`, see `prepend` and `split`
    Bytes,       ///< spell each byte in GPT-2's alphabet (ByteAlphabet.h)
  };
  Kind kind = Kind::Split;
  /// A regular expression as published with the model: Oniguruma's syntax with Unicode classes
  /// (PatternDialect.h says which part of it is understood).
  std::string pattern;
  SplitBehavior behavior = SplitBehavior::Isolated;
  /// Match and between change places.
  bool invert = false;
  MetaspacePrepend prepend = MetaspacePrepend::Always;
  bool split = true; ///< Metaspace: each mark begins a word
};

/// `from` becomes `to`.
struct Replacement {
  std::string from;
  std::string to;
};

/// How tokens become text again. A byte-level token stands for its bytes and a token of kind Byte
/// for its byte; of every other the text is
///   1. its spelling, with the `replacements` made in their order;
///   2. with each `space` as a space, or in the first token of a text as nothing;
///   3. in other tokens than the first: without `continuation`, or, if it does not begin with that,
///      after `separator`;
///   4. without the spaces before English punctuation and contractions, if `clean_up`;
///   5. without `suffix` at its end, in whose place a space goes before the next token.
/// From the start of the whole text up to `strip` spaces are taken, or (kStripEach) one from each
/// token until one has text.
struct Decoding {
  static constexpr uint32_t kStripEach = UINT32_MAX;

  std::vector<Replacement> replacements;
  std::string space;
  std::string separator;
  std::string continuation;
  std::string suffix;
  bool clean_up = false;
  uint32_t strip = 0;
  /// Whether tokens are spelled in GPT-2's alphabet; absent: those of ByteLevelBpe are.
  std::optional<bool> byte_level;
  /// Tokens of kind Unused have no text (llama.cpp), though a model may make them.
  bool silent_unused = false;
};

/// A token by the name that chat templates know it by: "pad_token", "image_token".
struct NamedToken {
  std::string name;
  std::string token;
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
  bool normalized = false;  ///< found in normalized text
  bool single_word = false; ///< found only where no letter or digit stands next to it
};

struct TokenizerSpec {
  ModelKind model = ModelKind::ByteLevelBpe;
  /// By id, as stored in the model: byte-level tokens in GPT-2's alphabet ("Ġthe"), added tokens in
  /// plain text. Bytes are not required to be UTF-8.
  std::vector<std::string> tokens;
  std::vector<TokenKind> kinds; ///< by id, as many as tokens
  std::vector<Merge> merges;    ///< by rank
  /// By merge, where some are equals (of which the leftmost goes first); empty: none are.
  std::vector<uint32_t> merge_ranks;
  std::vector<double> scores; ///< by id, logarithms; Unigram only
  /// A word that is a normal token is that token, whatever merging would give (Llama 3).
  bool ignore_merges = false;
  /// A character without a token becomes the tokens <0x00>..<0xFF> of its bytes, if all are there.
  bool byte_fallback = false;
  /// Those tokens are found by their spelling, too: "<0x41>" in a text becomes the one of "A".
  bool byte_spellings = false;
  /// What a byte or character without a token becomes; -1: it is dropped.
  int32_t unk_id = -1;
  bool fuse_unk = false;            ///< neighbouring unknowns become one
  std::string continuation;         ///< WordPiece, BPE: what tokens inside a word begin with ("##")
  std::string word_end;             ///< BPE: what tokens at the end of a word end with ("</w>")
  uint32_t max_word_characters = 0; ///< WordPiece: longer words are unknown; 0: no limit
  std::vector<NormalizerStep> normalizers;
  std::vector<PreTokenizerStep> pre_tokenizer;
  Decoding decoding;
  std::vector<AddedToken> added_tokens;
  std::vector<int32_t> prefix_ids; ///< put before a text (BOS), where EncodeOptions::add_special
  std::vector<int32_t> suffix_ids; ///< put after it (EOS)
  /// Put between two texts that are one input (a query and what may answer it); empty: the
  /// tokenizer puts none together. `pair_types`: tokens behind these are of type 1, not 0.
  std::vector<int32_t> pair_ids;
  bool pair_types = false;
  int32_t bos_id = -1;          ///< -1: none
  std::vector<int32_t> eos_ids; ///< any of these ends an answer
  std::string bos_token;        ///< as chat templates spell them; may be empty
  std::string eos_token;
  std::vector<NamedToken> named_tokens; ///< the others that have a name, for templates too
  std::string chat_template;            ///< Jinja source; empty: none
};

/// Tokens a vocabulary may have, and bytes a token, a pattern or a template may have.
inline constexpr size_t kMaxTokens = size_t{1} << 24;
inline constexpr size_t kMaxText = size_t{1} << 20;
/// Bytes a charsmap, and any other text that a step puts in, may have.
inline constexpr size_t kMaxCharsmap = size_t{1} << 24;
inline constexpr size_t kMaxInsert = size_t{1} << 12;
/// Tokens that may have a name.
inline constexpr size_t kMaxNamed = size_t{1} << 16;

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

/// Turns spelled merges into ids. The parts and their concatenation, from whose right part the
/// first `continuation` bytes are left out, must be tokens; the error names the merge that has one
/// missing.
absl::StatusOr<std::vector<Merge>> resolve_merges(const std::vector<std::string> &tokens,
                                                  const std::vector<MergeText> &merges,
                                                  size_t continuation = 0);

/// The merges of a SentencePiece BPE vocabulary, which has scores instead: any two tokens whose
/// concatenation is a token, the highest score first. Control and unknown tokens take no part.
/// `scores` has one number a token. `ranks` stays empty where no two merges of different tokens
/// have the same score.
std::vector<Merge> merges_from_scores(const std::vector<std::string> &tokens,
                                      const std::vector<TokenKind> &kinds,
                                      const std::vector<float> &scores,
                                      std::vector<uint32_t> &ranks);

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_TOKENIZERSPEC_H
