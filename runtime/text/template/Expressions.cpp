#include "runtime/text/Message.h"
#include "runtime/text/template/Filters.h"
#include "runtime/text/template/Interpreter.h"
#include "runtime/text/template/Methods.h"
#include "runtime/text/template/Operators.h"
#include "runtime/text/template/PythonText.h"

#include <algorithm>

namespace quern::text::jinja {

namespace {

constexpr std::string_view kBuiltins[] = {"range", "dict", "namespace", "raise_exception",
                                          "strftime_now"};

} // namespace

bool is_builtin(std::string_view name) {
  return std::find(std::begin(kBuiltins), std::end(kBuiltins), name) != std::end(kBuiltins);
}

Value Interpreter::look_up(std::string_view name, const Scope &scope) {
  for (const Scope *at = &scope; at; at = at->parent)
    for (const auto &[known, value] : at->names)
      if (known == name)
        return value;
  for (std::string_view builtin : kBuiltins)
    if (builtin == name)
      return Value(Kind::Builtin, builtin);
  return Value(Kind::Undefined, machine_.string(concat("'", name, "' is undefined")).text());
}

Value Interpreter::evaluate(const Expr &expr, Scope &scope) {
  const Machine::Depth depth(machine_);
  if (!depth || !machine_.work(64))
    return {};
  machine_.set_line(expr.line);
  return evaluate_node(expr, scope);
}

Values Interpreter::evaluate_all(const Expr &expr, Scope &scope) {
  Values values;
  for (const ExprPtr &kid : expr.kids)
    values.push_back(evaluate(*kid, scope));
  return values;
}

Value Interpreter::evaluate_node(const Expr &expr, Scope &scope) {
  const auto kid = [&](size_t i) { return evaluate(*expr.kids[i], scope); };
  switch (expr.kind) {
  case Expr::Kind::None:
    return Value::none();
  case Expr::Kind::Bool:
    return Value(expr.integer != 0);
  case Expr::Kind::Int:
    return Value(expr.integer);
  case Expr::Kind::Float:
    return Value(expr.number);
  case Expr::Kind::String:
    return Value(Kind::String, expr.text);
  case Expr::Kind::Name:
    return look_up(expr.text, scope);
  case Expr::Kind::List:
  case Expr::Kind::Tuple:
    return machine_.list(evaluate_all(expr, scope), expr.kind == Expr::Kind::Tuple);
  case Expr::Kind::Dict:
    return evaluate_dict(expr, scope);
  case Expr::Kind::Attribute:
    return get_attribute(machine_, kid(0), expr.text);
  case Expr::Kind::Subscript: {
    const Value container = kid(0);
    return get_item(machine_, container, kid(1));
  }
  case Expr::Kind::Slice:
    return evaluate_slice(expr, scope);
  case Expr::Kind::Call:
    return evaluate_call(expr, scope);
  case Expr::Kind::Filter:
    return evaluate_filter(expr, kid(0), scope);
  case Expr::Kind::Test: {
    const Value value = kid(0);
    return Value(apply_test(machine_, expr.text, value, evaluate_arguments(expr, scope)));
  }
  case Expr::Kind::Not:
    return Value(!truthy(kid(0)));
  case Expr::Kind::Negate:
    return negate(machine_, kid(0));
  case Expr::Kind::Plus: {
    const Value value = kid(0);
    return value.is_number()
               ? value
               : machine_.fail(concat("+ of ", kind_name(value), " is not supported"));
  }
  case Expr::Kind::And:
  case Expr::Kind::Or: {
    Value value;
    for (const ExprPtr &operand : expr.kids) {
      value = evaluate(*operand, scope);
      if (truthy(value) == (expr.kind == Expr::Kind::Or) || !machine_.ok())
        break;
    }
    return value;
  }
  case Expr::Kind::Concat: {
    std::string text;
    for (const ExprPtr &operand : expr.kids)
      append_str(machine_, evaluate(*operand, scope), text);
    return machine_.string(std::move(text));
  }
  case Expr::Kind::Compare:
    return evaluate_compare(expr, scope);
  case Expr::Kind::Arithmetic: {
    const Value left = kid(0);
    return arithmetic(machine_, expr.text, left, kid(1));
  }
  case Expr::Kind::Conditional:
    if (truthy(kid(0)))
      return kid(1);
    return expr.kids[2] ? kid(2) : Value(Kind::Undefined, "the condition is false and has no else");
  }
  return {};
}

Value Interpreter::evaluate_dict(const Expr &expr, Scope &scope) {
  std::vector<std::pair<Value, Value>> entries;
  for (size_t i = 0; i + 1 < expr.kids.size() && machine_.ok(); i += 2) {
    const Value key = evaluate(*expr.kids[i], scope), value = evaluate(*expr.kids[i + 1], scope);
    const auto known = std::find_if(entries.begin(), entries.end(), [&](const auto &entry) {
      return equals(machine_, entry.first, key);
    });
    if (known != entries.end())
      known->second = value;
    else
      entries.emplace_back(key, value);
  }
  return machine_.dict(std::move(entries));
}

Value Interpreter::evaluate_compare(const Expr &expr, Scope &scope) {
  Value left = evaluate(*expr.kids[0], scope);
  for (size_t i = 0; i < expr.ops.size(); ++i) {
    const std::string &op = expr.ops[i];
    const Value right = evaluate(*expr.kids[i + 1], scope);
    bool holds;
    if (op == "==" || op == "!=")
      holds = equals(machine_, left, right) == (op == "==");
    else if (op == "in" || op == "not in")
      holds = contains(machine_, right, left) == (op == "in");
    else if (left.is_undefined() || right.is_undefined())
      return machine_.fail((left.is_undefined() ? left : right).text());
    else if (op == "<" || op == ">=")
      holds = (compare(machine_, left, right) < 0) == (op == "<");
    else
      holds = (compare(machine_, left, right) > 0) == (op == ">");
    if (!holds || !machine_.ok())
      return Value(false);
    left = right;
  }
  return Value(true);
}

Value Interpreter::evaluate_slice(const Expr &expr, Scope &scope) {
  const Value value = evaluate(*expr.kids[0], scope);
  std::optional<int64_t> parts[3];
  for (size_t i = 0; i < 3; ++i)
    if (expr.kids[i + 1])
      if (const Value part = evaluate(*expr.kids[i + 1], scope); !part.is_none())
        parts[i] = integer(machine_, part, "a slice's end");
  return machine_.ok() ? slice(machine_, value, parts[0], parts[1], parts[2].value_or(1)) : Value();
}

Arguments Interpreter::evaluate_arguments(const Expr &expr, Scope &scope) {
  Arguments arguments;
  for (size_t i = 1; i < expr.kids.size(); ++i)
    arguments.positional.push_back(evaluate(*expr.kids[i], scope));
  for (const auto &[name, value] : expr.named)
    arguments.named.emplace_back(name, evaluate(*value, scope));
  return arguments;
}

Value Interpreter::evaluate_filter(const Expr &expr, const Value &value, Scope &scope) {
  const Arguments arguments = evaluate_arguments(expr, scope);
  return machine_.ok() ? apply_filter(machine_, expr.text, value, arguments) : Value();
}

Value Interpreter::through_filters(const Expr &expr, const Value &value, Scope &scope) {
  const Machine::Depth depth(machine_);
  if (!depth)
    return {};
  if (expr.kind != Expr::Kind::Filter)
    return machine_.fail("only filters can follow a block");
  const Value inner = expr.kids[0] ? through_filters(*expr.kids[0], value, scope) : value;
  return evaluate_filter(expr, inner, scope);
}

Value Interpreter::evaluate_call(const Expr &expr, Scope &scope, const Value *caller) {
  const Value callee = evaluate(*expr.kids[0], scope);
  const Arguments arguments = evaluate_arguments(expr, scope);
  return machine_.ok() ? call(callee, arguments, caller) : Value();
}

} // namespace quern::text::jinja
