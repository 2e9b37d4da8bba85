#include "runtime/text/template/TokenStream.h"

#include <algorithm>

namespace quern::text::jinja {
namespace {

constexpr std::string_view kComparisons[] = {"==", "!=", "<", "<=", ">", ">="};

} // namespace

ExprPtr ExpressionParser::make(Expr::Kind kind) {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->line = in_.peek().line;
  return expr;
}

/// Keeps track of depth: a long chain of operators is as deep as brackets are, to who walks the
/// tree.
void ExpressionParser::add(Expr &parent, ExprPtr kid) {
  if (kid) {
    parent.depth = std::max(parent.depth, kid->depth + 1);
    if (parent.depth > kMaxNesting)
      in_.fail("the expression nests too deep");
  }
  parent.kids.push_back(std::move(kid));
}

ExprPtr ExpressionParser::expression() {
  if (++depth_ > kMaxNesting)
    in_.fail("the expression nests too deep");
  ExprPtr value = plain_expression();
  while (in_.take_name("if")) {
    ExprPtr conditional = make(Expr::Kind::Conditional);
    add(*conditional, plain_expression());
    add(*conditional, std::move(value));
    add(*conditional, in_.take_name("else") ? expression() : nullptr);
    value = std::move(conditional);
  }
  --depth_;
  return value;
}

/// operand [word operand ...]
ExprPtr ExpressionParser::chain(Expr::Kind kind, Level operand, std::string_view word) {
  ExprPtr first = (this->*operand)();
  if (!in_.at_name(word))
    return first;
  ExprPtr all = make(kind);
  add(*all, std::move(first));
  while (in_.take_name(word))
    add(*all, (this->*operand)());
  return all;
}

ExprPtr ExpressionParser::plain_expression() {
  return chain(Expr::Kind::Or, &ExpressionParser::conjunction, "or");
}

ExprPtr ExpressionParser::conjunction() {
  return chain(Expr::Kind::And, &ExpressionParser::negation, "and");
}

ExprPtr ExpressionParser::negation() {
  size_t nots = 0;
  while (in_.take_name("not"))
    ++nots;
  ExprPtr value = comparison();
  // An even number of nots still makes a truth value.
  if (nots > 0)
    for (size_t i = 0; i < (nots % 2 == 0 ? 2u : 1u); ++i) {
      ExprPtr negated = make(Expr::Kind::Not);
      add(*negated, std::move(value));
      value = std::move(negated);
    }
  return value;
}

ExprPtr ExpressionParser::comparison() {
  ExprPtr first = sum();
  ExprPtr all;
  while (true) {
    std::string op;
    if (in_.at(Token::Kind::Operator) && std::find(std::begin(kComparisons), std::end(kComparisons),
                                                   in_.peek().text) != std::end(kComparisons)) {
      op = in_.next().text;
    } else if (in_.take_name("in")) {
      op = "in";
    } else if (in_.at_name("not") && in_.at_name("in", 1)) {
      in_.next();
      in_.next();
      op = "not in";
    } else {
      return all ? std::move(all) : std::move(first);
    }
    if (!all) {
      all = make(Expr::Kind::Compare);
      add(*all, std::move(first));
    }
    all->ops.push_back(std::move(op));
    add(*all, sum());
  }
}

ExprPtr ExpressionParser::arithmetic(Level operand, std::initializer_list<std::string_view> ops) {
  ExprPtr left = (this->*operand)();
  while (in_.at(Token::Kind::Operator) &&
         std::find(ops.begin(), ops.end(), in_.peek().text) != ops.end()) {
    ExprPtr both = make(Expr::Kind::Arithmetic);
    both->text = in_.next().text;
    add(*both, std::move(left));
    add(*both, (this->*operand)());
    left = std::move(both);
  }
  return left;
}

ExprPtr ExpressionParser::sum() { return arithmetic(&ExpressionParser::concatenation, {"+", "-"}); }

ExprPtr ExpressionParser::concatenation() {
  ExprPtr first = product();
  if (!in_.at_operator("~"))
    return first;
  ExprPtr all = make(Expr::Kind::Concat);
  add(*all, std::move(first));
  while (in_.take_operator("~"))
    add(*all, product());
  return all;
}

ExprPtr ExpressionParser::product() {
  return arithmetic(&ExpressionParser::power, {"*", "/", "//", "%"});
}

ExprPtr ExpressionParser::power() { return arithmetic(&ExpressionParser::unary, {"**"}); }

ExprPtr ExpressionParser::unary() { return unary(/*with_filters=*/true); }

ExprPtr ExpressionParser::unary(bool with_filters) {
  if (++depth_ > kMaxNesting)
    in_.fail("the expression nests too deep");
  ExprPtr value;
  if (in_.at_operator("-") || in_.at_operator("+")) {
    value = make(in_.at_operator("-") ? Expr::Kind::Negate : Expr::Kind::Plus);
    in_.next();
    add(*value, unary(/*with_filters=*/false));
  } else {
    value = primary();
  }
  value = postfix(std::move(value));
  if (with_filters)
    value = filters(std::move(value));
  --depth_;
  return value;
}

ExprPtr ExpressionParser::primary() {
  ExprPtr value = make(Expr::Kind::None);
  switch (in_.peek().kind) {
  case Token::Kind::Name: {
    value->text = in_.next().text;
    const std::string &name = value->text;
    if (name == "true" || name == "True" || name == "false" || name == "False") {
      value->kind = Expr::Kind::Bool;
      value->integer = name[0] == 't' || name[0] == 'T';
    } else if (name != "none" && name != "None") {
      value->kind = Expr::Kind::Name;
    }
    return value;
  }
  case Token::Kind::String:
    value->kind = Expr::Kind::String;
    while (in_.at(Token::Kind::String)) // neighbours are one string
      value->text += in_.next().text;
    return value;
  case Token::Kind::Integer:
    value->kind = Expr::Kind::Int;
    value->integer = in_.next().integer;
    return value;
  case Token::Kind::Float:
    value->kind = Expr::Kind::Float;
    value->number = in_.next().number;
    return value;
  default:
    return bracketed();
  }
}

/// (a), (a, b), [a, b], {a: b}
ExprPtr ExpressionParser::bracketed() {
  if (in_.take_operator("(")) {
    ExprPtr value;
    if (in_.at_operator(")"))
      value = make(Expr::Kind::Tuple);
    else
      value = tuple(/*conditional=*/true);
    in_.expect_operator(")");
    return value;
  }
  if (in_.take_operator("[")) {
    ExprPtr list = make(Expr::Kind::List);
    while (in_.ok() && !in_.at_operator("]")) {
      add(*list, expression());
      if (!in_.take_operator(","))
        break;
    }
    in_.expect_operator("]");
    return list;
  }
  ExprPtr dict = make(Expr::Kind::Dict);
  if (in_.take_operator("{")) {
    while (in_.ok() && !in_.at_operator("}")) {
      add(*dict, expression());
      in_.expect_operator(":");
      add(*dict, expression());
      if (!in_.take_operator(","))
        break;
    }
    in_.expect_operator("}");
  } else {
    in_.fail(concat("a value expected, not ", in_.described()));
  }
  return dict;
}

ExprPtr ExpressionParser::tuple(bool conditional) {
  const auto item = [&] { return conditional ? expression() : plain_expression(); };
  ExprPtr first = item();
  if (!in_.at_operator(","))
    return first;
  ExprPtr all = make(Expr::Kind::Tuple);
  add(*all, std::move(first));
  while (in_.take_operator(",")) {
    if (in_.at(Token::Kind::BlockEnd) || in_.at(Token::Kind::VariableEnd) || in_.at_operator(")") ||
        in_.at(Token::Kind::End))
      break;
    add(*all, item());
  }
  return all;
}

ExprPtr ExpressionParser::target(bool attribute) {
  ExprPtr all;
  while (true) {
    if (++depth_ > kMaxNesting)
      in_.fail("the assignment nests too deep");
    ExprPtr one;
    if (in_.take_operator("(")) {
      one = target(/*attribute=*/false);
      in_.expect_operator(")");
    } else {
      one = make(Expr::Kind::Name);
      one->text = in_.expect_name();
      if (attribute && !all && in_.take_operator(".")) {
        ExprPtr member = make(Expr::Kind::Attribute);
        member->text = in_.expect_name();
        add(*member, std::move(one));
        one = std::move(member);
      }
    }
    --depth_;
    if (!all && !in_.at_operator(","))
      return one;
    if (!all)
      all = make(Expr::Kind::Tuple);
    add(*all, std::move(one));
    if (!in_.take_operator(",") || !(in_.at(Token::Kind::Name) || in_.at_operator("(")) ||
        in_.at_name("in"))
      return all;
  }
}

ExprPtr ExpressionParser::postfix(ExprPtr value) {
  while (in_.ok()) {
    if (in_.take_operator(".")) {
      ExprPtr member = make(Expr::Kind::Attribute);
      if (in_.at(Token::Kind::Integer)) { // items.0
        member->kind = Expr::Kind::Subscript;
        add(*member, std::move(value));
        add(*member, primary());
      } else {
        member->text = in_.expect_name();
        add(*member, std::move(value));
      }
      value = std::move(member);
    } else if (in_.take_operator("[")) {
      value = subscript(std::move(value));
    } else if (in_.at_operator("(")) {
      value = call(std::move(value));
    } else {
      break;
    }
  }
  return value;
}

ExprPtr ExpressionParser::subscript(ExprPtr value) {
  ExprPtr result = make(Expr::Kind::Subscript);
  add(*result, std::move(value));
  const auto part = [&]() -> ExprPtr {
    return in_.at_operator(":") || in_.at_operator("]") ? nullptr : expression();
  };
  add(*result, part());
  if (in_.at_operator(":")) {
    result->kind = Expr::Kind::Slice;
    for (int i = 0; i < 2; ++i)
      add(*result, in_.take_operator(":") ? part() : nullptr);
  } else if (!result->kids[1]) {
    in_.fail("a subscript expected, not ']'");
  }
  in_.expect_operator("]");
  return result;
}

void ExpressionParser::arguments(Expr &into) {
  in_.expect_operator("(");
  while (in_.ok() && !in_.at_operator(")")) {
    if (in_.at_operator("*") || in_.at_operator("**")) {
      in_.fail(concat("'", in_.peek().text, "' in a call is not supported"));
    } else if (in_.at(Token::Kind::Name) && in_.at_operator("=", 1)) {
      std::string name = in_.next().text;
      in_.next();
      ExprPtr value = expression();
      into.depth = std::max(into.depth, value->depth + 1);
      into.named.emplace_back(std::move(name), std::move(value));
    } else if (!into.named.empty()) {
      in_.fail("an argument without a name after one with a name");
    } else {
      add(into, expression());
    }
    if (!in_.take_operator(","))
      break;
  }
  in_.expect_operator(")");
}

ExprPtr ExpressionParser::call(ExprPtr callee) {
  ExprPtr result = make(Expr::Kind::Call);
  add(*result, std::move(callee));
  arguments(*result);
  return result;
}

ExprPtr ExpressionParser::filters(ExprPtr value) {
  while (in_.ok()) {
    if (in_.take_operator("|"))
      value = named_filter(std::move(value));
    else if (in_.take_name("is"))
      value = test(std::move(value));
    else if (in_.at_operator("("))
      value = call(std::move(value));
    else
      break;
  }
  return value;
}

ExprPtr ExpressionParser::named_filter(ExprPtr value) {
  ExprPtr filter = make(Expr::Kind::Filter);
  filter->text = in_.expect_name();
  add(*filter, std::move(value));
  if (in_.at_operator("("))
    arguments(*filter);
  return filter;
}

ExprPtr ExpressionParser::test(ExprPtr value) {
  const bool negated = in_.take_name("not");
  ExprPtr result = make(Expr::Kind::Test);
  result->text = in_.expect_name();
  add(*result, std::move(value));
  const Token &next = in_.peek();
  const bool argument =
      next.kind == Token::Kind::String || next.kind == Token::Kind::Integer ||
      next.kind == Token::Kind::Float || in_.at_operator("[") || in_.at_operator("{") ||
      (next.kind == Token::Kind::Name && next.text != "else" && next.text != "or" &&
       next.text != "and" && next.text != "is" && next.text != "if");
  if (in_.at_operator("("))
    arguments(*result);
  else if (argument)
    add(*result, postfix(primary()));
  if (!negated)
    return result;
  ExprPtr opposite = make(Expr::Kind::Not);
  add(*opposite, std::move(result));
  return opposite;
}

} // namespace quern::text::jinja
