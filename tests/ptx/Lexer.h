// Words, numbers and marks of PTX text.
#ifndef QUERN_TESTS_PTX_LEXER_H
#define QUERN_TESTS_PTX_LEXER_H

#include "tests/ptx/Syntax.h"

#include <absl/status/status.h>

#include <string_view>

namespace quern::ptx {

struct Token {
  enum class Kind : u8 { Word, Integer, Single, Double, Text, Mark, End };
  Kind kind = Kind::End;
  std::string_view text; ///< of a word with its dots; of a mark its one character
  u64 bits = 0;
  int line = 1;

  bool is(std::string_view mark) const {
    return (kind == Kind::Mark || kind == Kind::Word) && text == mark;
  }
};

/// Reads tokens one after another. The text has to outlive it.
class Lexer {
public:
  explicit Lexer(std::string_view text) : text_(text) {}

  /// The next token; an error for what can begin none.
  absl::Status next(Token &token);

private:
  absl::Status skip_blanks();
  absl::Status number(Token &token);

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
};

absl::Status error_at(int line, std::string_view what);

/// Thrown inside parser and decoder only; their entry functions make a status of it.
struct Refusal {
  absl::Status status;
};

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_LEXER_H
