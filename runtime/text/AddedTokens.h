// Finds added tokens ("<|im_start|>") in text.
#ifndef QUERN_RUNTIME_TEXT_ADDEDTOKENS_H
#define QUERN_RUNTIME_TEXT_ADDEDTOKENS_H

#include "runtime/text/TokenizerSpec.h"
#include "runtime/text/Trie.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace quern::text {

/// A piece of a text: an added token, or the text between two.
struct Segment {
  std::string_view text; ///< of the token too, without white space it swallowed
  int32_t id = -1;       ///< the added token; -1: text
};

class AddedTokens {
public:
  /// Tokens with an empty content are never found. Of equal contents the first wins.
  explicit AddedTokens(std::vector<AddedToken> tokens);

  /// Cuts `text` at its added tokens: the leftmost, and of those that start there the longest. A
  /// token that must be a single word and is not is text; none is looked for inside it.
  /// `special`: whether special tokens count; if not, one that would match is passed over.
  void cut(std::string_view text, bool special, std::vector<Segment> &segments) const;

private:
  struct Match {
    int32_t token = -1; ///< index into tokens_
    size_t size = 0;
  };
  Match longest_at(std::string_view text, bool special) const;

  std::vector<AddedToken> tokens_;
  Trie trie_; ///< indices into tokens_
};

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_ADDEDTOKENS_H
