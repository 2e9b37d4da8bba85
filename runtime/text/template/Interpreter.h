// Runs a parsed template.
#ifndef QUERN_RUNTIME_TEXT_TEMPLATE_INTERPRETER_H
#define QUERN_RUNTIME_TEXT_TEMPLATE_INTERPRETER_H

#include "runtime/text/template/Arguments.h"
#include "runtime/text/template/Ast.h"
#include "runtime/text/template/Value.h"

#include <ctime>
#include <deque>
#include <string>

namespace quern::text::jinja {

/// Names and what they stand for. Loops, macros and blocks have scopes of their own, whose parents'
/// names they see but do not change.
struct Scope {
  Scope *parent = nullptr;
  std::vector<std::pair<std::string_view, Value>> names;
};

/// A macro remembers where it was defined.
struct Macro {
  const Stmt *definition;
  Scope *scope;
};

/// Whether a function of that name is there without being defined.
bool is_builtin(std::string_view name);

class Interpreter {
public:
  /// `now` is what strftime_now formats.
  Interpreter(Machine &machine, const std::tm &now) : machine_(machine), now_(now) {}

  /// What `body` writes, given `globals`. An error is left in the machine.
  std::string run(const Body &body, std::vector<std::pair<std::string_view, Value>> globals);

private:
  enum class Flow : uint8_t { Normal, Break, Continue };

  Flow run_body(const Body &body, Scope &scope, std::string &out);
  Flow run_statement(const Stmt &statement, Scope &scope, std::string &out);
  Flow run_if(const Stmt &statement, Scope &scope, std::string &out);
  Flow run_for(const Stmt &statement, Scope &scope, std::string &out);
  void run_call(const Stmt &statement, Scope &scope, std::string &out);
  void run_filter(const Stmt &statement, Scope &scope, std::string &out);
  void run_with(const Stmt &statement, Scope &scope, std::string &out);
  void set_block(const Stmt &statement, Scope &scope);
  void write(const Value &value, std::string &out);
  void append(std::string_view text, std::string &out);

  void assign(const Expr &target, const Value &value, Scope &scope);
  static void define(Scope &scope, std::string_view name, const Value &value);
  Scope &new_scope(Scope &parent);
  Value look_up(std::string_view name, const Scope &scope);

  Value evaluate(const Expr &expr, Scope &scope);
  Value evaluate_node(const Expr &expr, Scope &scope);
  Value evaluate_dict(const Expr &expr, Scope &scope);
  Value evaluate_compare(const Expr &expr, Scope &scope);
  Value evaluate_slice(const Expr &expr, Scope &scope);
  Value evaluate_filter(const Expr &expr, const Value &value, Scope &scope);
  Value evaluate_call(const Expr &expr, Scope &scope, const Value *caller = nullptr);
  /// A chain of filters whose innermost value is `value`.
  Value through_filters(const Expr &expr, const Value &value, Scope &scope);
  Arguments evaluate_arguments(const Expr &expr, Scope &scope);
  Values evaluate_all(const Expr &expr, Scope &scope);

  Value call(const Value &callee, const Arguments &arguments, const Value *caller);
  Value call_macro(const Macro &macro, const Arguments &arguments, const Value *caller);
  Value call_builtin(std::string_view name, const Arguments &arguments);
  Value make_range(const Arguments &arguments);
  Value make_dict(std::string_view name, const Arguments &arguments);
  Value strftime_now(const Arguments &arguments);

  Machine &machine_;
  std::tm now_;
  std::deque<Scope> scopes_;
  std::deque<Macro> macros_;
};

} // namespace quern::text::jinja

#endif // QUERN_RUNTIME_TEXT_TEMPLATE_INTERPRETER_H
