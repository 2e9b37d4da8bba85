// The parser's state: directives and variables are in Parser.cpp, statements in Statements.cpp.
#ifndef QUERN_TESTS_PTX_PARSING_H
#define QUERN_TESTS_PTX_PARSING_H

#include "tests/ptx/Lexer.h"
#include "tests/ptx/Syntax.h"
#include "tests/ptx/Words.h"

#include <absl/status/status.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quern::ptx {

/// Of one module's text. What it does not know it refuses by throwing, which parse() makes a status
/// of.
class Parser {
public:
  explicit Parser(std::string_view text) : lexer_(text) { advance(); }

  ModuleSyntax module();

private:
  [[noreturn]] void refuse(std::string_view what) { throw Refusal{error_at(token_.line, what)}; }
  [[noreturn]] void unexpected(std::string_view wanted) {
    refuse(concat("expected ", wanted, ", found ",
                  token_.kind == Token::Kind::End ? "the end" : token_.text));
  }
  void advance() {
    if (absl::Status status = lexer_.next(token_); !status.ok())
      throw Refusal{status};
  }
  bool at(std::string_view mark) const { return token_.is(mark); }
  bool take(std::string_view mark) {
    if (!at(mark))
      return false;
    advance();
    return true;
  }
  void expect(std::string_view mark) {
    if (!take(mark))
      unexpected(mark);
  }
  std::string word(std::string_view what) {
    if (token_.kind != Token::Kind::Word)
      unexpected(what);
    std::string text(token_.text);
    advance();
    return text;
  }
  u64 integer(std::string_view what) {
    const bool minus = take("-");
    if (token_.kind != Token::Kind::Integer)
      unexpected(what);
    const u64 bits = token_.bits;
    advance();
    return minus ? 0 - bits : bits;
  }
  int small(std::string_view what) {
    const u64 value = integer(what);
    if (value > 1 << 20)
      refuse(concat(what, " of ", value));
    return static_cast<int>(value);
  }

  void version();
  void target();
  void skip_debug_section();
  void skip_to_semicolon();
  Variable variable(Space space, bool is_extern);
  void initializer(Variable &variable, u64 element);
  void function(bool entry);
  void formals(std::vector<u32> &into);
  void tuning();
  void body();
  void block();
  void registers();
  void statement(std::string opcode);
  void declare(const std::string &name, Operand::Kind kind, u32 index);
  Operand operand();
  Operand plain();
  Operand named(std::string text);
  u64 offset();
  template <class Each> void list(std::string_view end, Each each) {
    while (!take(end)) {
      each();
      if (!at(end))
        expect(",");
    }
  }

  /// `%r<10>`: registers by number.
  struct Range {
    u32 first, count; ///< in FunctionSyntax::registers
  };
  struct Scope {
    std::map<std::string, std::pair<Operand::Kind, u32>, std::less<>> names;
    std::map<std::string, Range, std::less<>> ranges;
    int number = 0;
  };
  Lexer lexer_;
  Token token_;
  ModuleSyntax module_;
  FunctionSyntax *function_ = nullptr;
  std::vector<Scope> scopes_;
  bool guarded_ = false;
  Operand guard_;
  u64 bytes_ = 0;     ///< of variables so far
  u64 registers_ = 0; ///< of all functions so far
};

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_PARSING_H
