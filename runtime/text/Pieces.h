// The text of tokens, as a TokenizerSpec's Decoding says.
#ifndef QUERN_RUNTIME_TEXT_PIECES_H
#define QUERN_RUNTIME_TEXT_PIECES_H

#include "runtime/text/TokenizerSpec.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quern::text {

/// Where in a text the next token stands.
struct TextPlace {
  bool first = true;  ///< no token has come yet
  bool space = false; ///< a space goes before the next token, if there is one
  uint32_t strip;     ///< spaces still to be taken off the start
};

class Pieces {
public:
  /// `spellings`: by id, what the tokens are spelled like; they need not outlive the call. Fails
  /// where the pieces are far longer than the tokens.
  static absl::StatusOr<Pieces> create(const TokenizerSpec &spec,
                                       const std::vector<std::string_view> &spellings);

  /// The bytes of token `id`, which must be one, inside a text.
  std::string_view get(int32_t id) const;

  TextPlace start() const { return {.strip = decoding_.strip}; }
  /// Appends the bytes of token `id` at `place`, which moves on.
  void append(int32_t id, TextPlace &place, std::string &out) const;

private:
  std::string first_piece(int32_t id) const;
  static std::string spell(const Decoding &decoding, std::string_view token, bool first);

  Decoding decoding_;
  std::string bytes_; ///< of all pieces, one after the other
  std::vector<uint32_t> ends_;
  /// How tokens are spelled, where the first of a text differs from others; else empty.
  std::string spelled_;
  std::vector<uint32_t> spelled_ends_;
  std::vector<bool> literal_; ///< by id: the bytes are the piece, wherever it stands
  std::vector<bool> spaced_;  ///< by id: had Decoding::suffix; empty: none has
};

} // namespace quern::text

#endif // QUERN_RUNTIME_TEXT_PIECES_H
