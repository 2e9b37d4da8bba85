#include "runtime/text/template/Parser.h"

#include "runtime/text/template/TokenStream.h"

#include <algorithm>

namespace quern::text::jinja {
namespace {

using Names = std::initializer_list<std::string_view>;

class Parser {
public:
  explicit Parser(std::vector<Token> tokens) : in_(std::move(tokens)), expressions_(in_) {}

  absl::StatusOr<Body> run() {
    Body all = body({});
    if (!in_.ok())
      return in_.status();
    return all;
  }

private:
  /// Statements up to a tag that begins with one of `ends`, of which the name is the next token; up
  /// to the end of the template where there are none.
  Body body(Names ends) {
    Body statements;
    if (++depth_ > kMaxNesting)
      in_.fail("blocks nest too deep");
    while (in_.ok()) {
      if (in_.at(Token::Kind::Text)) {
        Stmt &text = add(statements, Stmt::Kind::Text);
        text.text = in_.next().text;
      } else if (in_.at(Token::Kind::VariableBegin)) {
        in_.next();
        Stmt &output = add(statements, Stmt::Kind::Output);
        output.exprs.push_back(expressions_.tuple(/*conditional=*/true));
        expect(Token::Kind::VariableEnd);
      } else if (in_.at(Token::Kind::BlockBegin)) {
        in_.next();
        if (std::any_of(ends.begin(), ends.end(),
                        [&](std::string_view end) { return in_.at_name(end); }))
          break;
        statement(statements);
      } else { // the end
        if (ends.size() > 0)
          in_.fail(concat("'", *(ends.end() - 1), "' expected before the end of the template"));
        break;
      }
    }
    --depth_;
    return statements;
  }

  Stmt &add(Body &statements, Stmt::Kind kind) {
    Stmt &statement = statements.emplace_back();
    statement.kind = kind;
    statement.line = in_.peek().line;
    return statement;
  }

  void expect(Token::Kind kind) {
    if (in_.at(kind))
      in_.next();
    else
      in_.fail(concat("the end of the tag expected, not ", in_.described()));
  }
  void end_tag() { expect(Token::Kind::BlockEnd); }
  /// The body of a block whose only other tag is `end`.
  Body block(std::string_view end) {
    end_tag();
    Body statements = body({end});
    in_.take_name(end);
    end_tag();
    return statements;
  }

  void statement(Body &into) {
    const std::string name = in_.expect_name();
    if (name == "if")
      return if_block(add(into, Stmt::Kind::If));
    if (name == "for")
      return for_block(add(into, Stmt::Kind::For));
    if (name == "set")
      return set(into);
    if (name == "macro")
      return macro(add(into, Stmt::Kind::Macro));
    if (name == "call")
      return call(add(into, Stmt::Kind::Call));
    if (name == "filter") {
      Stmt &filter = add(into, Stmt::Kind::Filter);
      filter.exprs.push_back(filter_chain());
      filter.bodies.push_back(block("endfilter"));
    } else if (name == "with") {
      with(add(into, Stmt::Kind::With));
    } else if (name == "generation") {
      add(into, Stmt::Kind::Scope).bodies.push_back(block("endgeneration"));
    } else if (name == "break" || name == "continue") {
      if (loops_ == 0)
        return in_.fail(concat("'", name, "' outside a loop"));
      add(into, name == "break" ? Stmt::Kind::Break : Stmt::Kind::Continue);
      end_tag();
    } else {
      in_.fail(concat("the tag '", name, "' is unknown or stands in the wrong place"));
    }
  }

  void if_block(Stmt &statement) {
    while (in_.ok()) {
      statement.exprs.push_back(expressions_.tuple(/*conditional=*/false));
      end_tag();
      statement.bodies.push_back(body({"elif", "else", "endif"}));
      if (in_.take_name("elif"))
        continue;
      if (in_.take_name("else"))
        statement.bodies.push_back(block("endif"));
      else {
        in_.take_name("endif");
        end_tag();
      }
      return;
    }
  }

  void for_block(Stmt &statement) {
    statement.target = expressions_.target(/*attribute=*/false);
    if (!in_.take_name("in"))
      in_.fail(concat("'in' expected, not ", in_.described()));
    statement.exprs.push_back(expressions_.tuple(/*conditional=*/false));
    statement.exprs.push_back(in_.take_name("if") ? expressions_.expression() : nullptr);
    if (in_.at_name("recursive"))
      in_.fail("recursive loops are not supported");
    end_tag();
    ++loops_;
    statement.bodies.push_back(body({"else", "endfor"}));
    --loops_;
    if (in_.take_name("else"))
      statement.bodies.push_back(block("endfor"));
    else {
      statement.bodies.emplace_back();
      in_.take_name("endfor");
      end_tag();
    }
  }

  ExprPtr filter_chain() {
    auto first = std::make_unique<Expr>();
    first->kind = Expr::Kind::Filter;
    first->line = in_.peek().line;
    first->text = in_.expect_name();
    first->kids.push_back(nullptr);
    if (!in_.at_operator("("))
      return expressions_.filters(std::move(first));
    // Arguments belong to the filter, not to a call of what it gives.
    ExprPtr call = expressions_.postfix(std::move(first));
    if (call->kind != Expr::Kind::Call) {
      in_.fail("a filter expected");
      return call;
    }
    ExprPtr filter = std::move(call->kids[0]);
    for (size_t i = 1; i < call->kids.size(); ++i)
      filter->kids.push_back(std::move(call->kids[i]));
    filter->named = std::move(call->named);
    filter->depth = call->depth;
    return expressions_.filters(std::move(filter));
  }

  void set(Body &into) {
    Stmt &statement = add(into, Stmt::Kind::Set);
    statement.target = expressions_.target(/*attribute=*/true);
    if (in_.take_operator("=")) {
      statement.exprs.push_back(expressions_.tuple(/*conditional=*/true));
      return end_tag();
    }
    statement.kind = Stmt::Kind::SetBlock;
    statement.exprs.push_back(in_.take_operator("|") ? filter_chain() : nullptr);
    statement.bodies.push_back(block("endset"));
  }

  void parameters(Stmt &statement) {
    in_.expect_operator("(");
    while (in_.ok() && !in_.at_operator(")")) {
      Parameter &parameter = statement.parameters.emplace_back();
      parameter.name = in_.expect_name();
      if (in_.take_operator("="))
        parameter.fallback = expressions_.expression();
      else if (statement.parameters.size() > 1 &&
               (statement.parameters.end() - 2)->fallback != nullptr)
        in_.fail("a parameter without a default after one with a default");
      if (!in_.take_operator(","))
        break;
    }
    in_.expect_operator(")");
  }

  /// A function's body is no loop's, whatever stands around it.
  Body function_body(std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    Body statements = block(end);
    loops_ = loops;
    return statements;
  }

  void macro(Stmt &statement) {
    statement.text = in_.expect_name();
    parameters(statement);
    statement.bodies.push_back(function_body("endmacro"));
  }

  void call(Stmt &statement) {
    if (in_.at_operator("("))
      parameters(statement);
    statement.exprs.push_back(expressions_.expression());
    if (in_.ok() && statement.exprs[0]->kind != Expr::Kind::Call)
      in_.fail("a call expected");
    statement.bodies.push_back(function_body("endcall"));
  }

  void with(Stmt &statement) {
    while (in_.ok() && !in_.at(Token::Kind::BlockEnd)) {
      statement.targets.push_back(expressions_.target(/*attribute=*/false));
      in_.expect_operator("=");
      statement.exprs.push_back(expressions_.expression());
      if (!in_.take_operator(","))
        break;
    }
    statement.bodies.push_back(block("endwith"));
  }

  TokenStream in_;
  ExpressionParser expressions_;
  int depth_ = 0;
  int loops_ = 0;
};

} // namespace

absl::StatusOr<Body> parse(std::string_view source) {
  absl::StatusOr<std::vector<Token>> tokens = tokenize(source);
  if (!tokens.ok())
    return tokens.status();
  return Parser(*std::move(tokens)).run();
}

} // namespace quern::text::jinja
