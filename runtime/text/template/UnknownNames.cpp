#include "runtime/text/template/UnknownNames.h"

#include "runtime/text/Message.h"
#include "runtime/text/template/Filters.h"
#include "runtime/text/template/Interpreter.h"

#include <functional>
#include <set>

namespace quern::text::jinja {
namespace {

/// Calls `on_expr` with each expression of a template and `on_name` with each name it defines.
class Walk {
public:
  Walk(std::function<void(const Expr &)> on_expr, std::function<void(const std::string &)> on_name)
      : on_expr_(std::move(on_expr)), on_name_(std::move(on_name)) {}

  void body(const Body &body) {
    for (const Stmt &statement : body)
      visit(statement);
  }

private:
  void visit(const Stmt &statement) {
    if (statement.kind == Stmt::Kind::Macro)
      on_name_(statement.text);
    if (statement.target)
      define(*statement.target);
    for (const ExprPtr &target : statement.targets)
      define(*target);
    for (const Parameter &parameter : statement.parameters) {
      on_name_(parameter.name);
      if (parameter.fallback)
        visit(*parameter.fallback);
    }
    for (const ExprPtr &expr : statement.exprs)
      if (expr)
        visit(*expr);
    for (const Body &inner : statement.bodies)
      body(inner);
  }

  void visit(const Expr &expr) {
    on_expr_(expr);
    for (const ExprPtr &kid : expr.kids)
      if (kid)
        visit(*kid);
    for (const auto &[name, value] : expr.named)
      visit(*value);
  }

  void define(const Expr &target) {
    if (target.kind == Expr::Kind::Name)
      on_name_(target.text);
    for (const ExprPtr &kid : target.kids)
      if (kid)
        define(*kid);
  }

  std::function<void(const Expr &)> on_expr_;
  std::function<void(const std::string &)> on_name_;
};

} // namespace

std::vector<std::string> unknown_names(const Body &body) {
  std::set<std::string> defined = {"caller"};
  const auto ignore = [](const auto &) {};
  Walk(
      [&](const Expr &expr) {
        if (expr.kind == Expr::Kind::Test && expr.kids[0]->kind == Expr::Kind::Name &&
            (expr.text == "defined" || expr.text == "undefined"))
          defined.insert(expr.kids[0]->text);
      },
      [&](const std::string &name) { defined.insert(name); })
      .body(body);

  std::vector<std::string> unknown;
  const auto note = [&](const Expr &expr, const char *what, const std::string &name) {
    unknown.push_back(concat("line ", expr.line, ": the ", what, " '", name, "'"));
  };
  Walk(
      [&](const Expr &expr) {
        if (expr.kind == Expr::Kind::Filter && !has_filter(expr.text))
          note(expr, "filter", expr.text);
        else if (expr.kind == Expr::Kind::Test && !has_test(expr.text))
          note(expr, "test", expr.text);
        else if (expr.kind == Expr::Kind::Call && expr.kids[0]->kind == Expr::Kind::Name &&
                 !is_builtin(expr.kids[0]->text) && !defined.contains(expr.kids[0]->text))
          note(expr, "function", expr.kids[0]->text);
      },
      ignore)
      .body(body);
  return unknown;
}

} // namespace quern::text::jinja
