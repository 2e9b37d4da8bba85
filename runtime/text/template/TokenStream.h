// The tokens of a template, and the first error, as the two halves of the parser share them.
#ifndef QUERN_RUNTIME_TEXT_TEMPLATE_TOKENSTREAM_H
#define QUERN_RUNTIME_TEXT_TEMPLATE_TOKENSTREAM_H

#include "runtime/text/Message.h"
#include "runtime/text/template/Ast.h"
#include "runtime/text/template/Lexer.h"

namespace quern::text::jinja {

/// After an error the stream stands at its End, so that every loop ends.
class TokenStream {
public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token &peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  Token next() {
    Token token = peek();
    if (at_ + 1 < tokens_.size())
      ++at_;
    return token;
  }
  bool at(Token::Kind kind) const { return peek().kind == kind; }
  bool at_operator(std::string_view op, size_t ahead = 0) const {
    return peek(ahead).kind == Token::Kind::Operator && peek(ahead).text == op;
  }
  bool at_name(std::string_view name, size_t ahead = 0) const {
    return peek(ahead).kind == Token::Kind::Name && peek(ahead).text == name;
  }
  bool take_operator(std::string_view op) {
    const bool taken = at_operator(op);
    if (taken)
      next();
    return taken;
  }
  bool take_name(std::string_view name) {
    const bool taken = at_name(name);
    if (taken)
      next();
    return taken;
  }
  void expect_operator(std::string_view op) {
    if (!take_operator(op))
      fail(concat("'", op, "' expected, not ", described()));
  }
  std::string expect_name() {
    if (at(Token::Kind::Name))
      return next().text;
    fail(concat("a name expected, not ", described()));
    return {};
  }

  bool ok() const { return status_.ok(); }
  const absl::Status &status() const { return status_; }
  void fail(const std::string &message) {
    if (ok())
      status_ =
          absl::InvalidArgumentError(concat("chat template, line ", peek().line, ": ", message));
    at_ = tokens_.size() - 1;
  }
  /// The next token, for an error.
  std::string described() const {
    switch (peek().kind) {
    case Token::Kind::BlockEnd:
    case Token::Kind::VariableEnd:
      return "the end of the tag";
    case Token::Kind::End:
      return "the end of the template";
    default:
      return concat("'", peek().text, "'");
    }
  }

private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
  absl::Status status_;
};

/// Levels of nesting a template may have: expressions, and blocks inside blocks.
inline constexpr int kMaxNesting = 100;

/// Parses expressions from a stream. After an error they are not null but mean nothing.
class ExpressionParser {
public:
  explicit ExpressionParser(TokenStream &in) : in_(in) {}

  /// With `a if b else c`.
  ExprPtr expression();
  /// Without it, as after `in` and `if`.
  ExprPtr plain_expression();
  /// One expression, or a tuple without parentheses. `conditional`: see the two above.
  ExprPtr tuple(bool conditional);
  /// What can be assigned to. `attribute`: also `name.attribute`.
  ExprPtr target(bool attribute);
  /// `name(args)|name(args)` on `value`.
  ExprPtr filters(ExprPtr value);
  /// What can follow a value: attributes, subscripts, calls.
  ExprPtr postfix(ExprPtr value);
  ExprPtr primary();

private:
  using Level = ExprPtr (ExpressionParser::*)();
  ExprPtr make(Expr::Kind kind);
  void add(Expr &parent, ExprPtr kid);
  ExprPtr chain(Expr::Kind kind, Level operand, std::string_view word);
  ExprPtr conjunction();
  ExprPtr negation();
  ExprPtr comparison();
  ExprPtr sum();
  ExprPtr concatenation();
  ExprPtr product();
  ExprPtr power();
  ExprPtr unary();
  ExprPtr unary(bool with_filters);
  ExprPtr arithmetic(Level operand, std::initializer_list<std::string_view> ops);
  ExprPtr named_filter(ExprPtr value);
  ExprPtr test(ExprPtr value);
  ExprPtr call(ExprPtr callee);
  ExprPtr subscript(ExprPtr value);
  ExprPtr bracketed();
  void arguments(Expr &into);

  TokenStream &in_;
  int depth_ = 0;
};

} // namespace quern::text::jinja

#endif // QUERN_RUNTIME_TEXT_TEMPLATE_TOKENSTREAM_H
