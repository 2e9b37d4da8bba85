#include "runtime/text/Message.h"
#include "runtime/text/template/Interpreter.h"
#include "runtime/text/template/Methods.h"
#include "runtime/text/template/Operators.h"
#include "runtime/text/template/PythonText.h"

#include <algorithm>

namespace quern::text::jinja {

std::string_view macro_name(const Macro &macro) { return macro.definition->text; }

Value Interpreter::call(const Value &callee, const Arguments &arguments, const Value *caller) {
  switch (callee.kind()) {
  case Kind::Macro:
    return call_macro(callee.macro(), arguments, caller);
  case Kind::Method:
    return call_method(machine_, callee.method(), arguments);
  case Kind::Builtin:
    return call_builtin(callee.text(), arguments);
  case Kind::Undefined:
    return machine_.fail(callee.text());
  default:
    return machine_.fail(concat(kind_name(callee), " is not callable"));
  }
}

Value Interpreter::call_macro(const Macro &macro, const Arguments &arguments, const Value *caller) {
  const Machine::Depth depth(machine_);
  if (!depth)
    return {};
  const std::vector<Parameter> &parameters = macro.definition->parameters;
  Scope &scope = new_scope(*macro.scope);
  for (size_t i = 0; i < std::min(parameters.size(), arguments.positional.size()); ++i)
    define(scope, parameters[i].name, arguments.positional[i]);

  // What has no parameter is in varargs and kwargs.
  Values more;
  for (size_t i = parameters.size(); i < arguments.positional.size(); ++i)
    more.push_back(arguments.positional[i]);
  std::vector<std::pair<Value, Value>> other;
  for (const auto &[name, value] : arguments.named) {
    const std::string_view wanted = name;
    const auto it = std::find_if(parameters.begin(), parameters.end(),
                                 [&](const Parameter &p) { return p.name == wanted; });
    if (it == parameters.end())
      other.emplace_back(Value(Kind::String, name), value);
    else if (static_cast<size_t>(it - parameters.begin()) < arguments.positional.size())
      return machine_.fail(concat("'", name, "' is given twice"));
    else
      define(scope, it->name, value);
  }
  define(scope, "varargs", machine_.list(std::move(more), /*tuple=*/true));
  define(scope, "kwargs", machine_.dict(std::move(other)));
  if (caller)
    define(scope, "caller", *caller);
  for (const Parameter &parameter : parameters) {
    const auto given = std::find_if(scope.names.begin(), scope.names.end(), [&](const auto &entry) {
      return entry.first == parameter.name;
    });
    if (given == scope.names.end())
      define(
          scope, parameter.name,
          parameter.fallback
              ? evaluate(*parameter.fallback, scope)
              : Value(Kind::Undefined,
                      machine_.string(concat("parameter '", parameter.name, "' was not provided"))
                          .text()));
  }
  std::string text;
  run_body(macro.definition->bodies[0], scope, text);
  return machine_.string(std::move(text));
}

Value Interpreter::call_builtin(std::string_view name, const Arguments &arguments) {
  if (name == "range")
    return make_range(arguments);
  if (name == "strftime_now")
    return strftime_now(arguments);
  if (name == "raise_exception")
    return machine_.refuse(str(machine_, arguments.bind(machine_, name, {"message"})[0]));
  return make_dict(name, arguments);
}

Value Interpreter::make_range(const Arguments &arguments) {
  const Values bound = arguments.bind(machine_, "range", {"start", "stop", "step"});
  const auto number = [&](size_t i, int64_t fallback) {
    return bound[i].is_undefined() ? fallback : integer(machine_, bound[i], "range");
  };
  const bool one = bound[1].is_undefined();
  const int64_t begin = one ? 0 : number(0, 0);
  const int64_t end = one ? number(0, 0) : number(1, 0);
  const int64_t step = number(2, 1);
  if (step == 0)
    return machine_.fail("range: the step cannot be zero");
  Values items;
  constexpr size_t kMaxRange = 100'000; // as Jinja's sandbox
  for (__int128 i = begin; step > 0 ? i < end : i > end; i += step) {
    if (items.size() >= kMaxRange || !machine_.ok())
      return machine_.fail(concat("range: more than ", kMaxRange, " items"));
    items.push_back(Value(static_cast<int64_t>(i)));
  }
  return machine_.list(std::move(items));
}

/// dict(...) and namespace(...): of a dict, and of named arguments.
Value Interpreter::make_dict(std::string_view name, const Arguments &arguments) {
  std::vector<std::pair<Value, Value>> entries;
  if (!arguments.positional.empty()) {
    if (!arguments.positional[0].is_dict() || arguments.positional.size() > 1)
      return machine_.fail(concat(name, " takes one dict and named arguments"));
    entries = arguments.positional[0].dict().entries;
  }
  const bool is_namespace = name == "namespace";
  for (const auto &[key, value] : arguments.named) {
    const std::string_view wanted = key;
    const auto known = std::find_if(entries.begin(), entries.end(), [&](const auto &entry) {
      return entry.first.is_string() && entry.first.text() == wanted;
    });
    if (known != entries.end())
      known->second = value;
    else
      entries.emplace_back(Value(Kind::String, key), value);
  }
  for (const auto &[key, value] : entries)
    if (is_namespace && (!key.is_string() || key.text().starts_with('_')))
      return machine_.fail("a namespace cannot hold this name");
  return machine_.dict(std::move(entries), is_namespace ? Kind::Namespace : Kind::Dict);
}

Value Interpreter::strftime_now(const Arguments &arguments) {
  const std::string format = str(machine_, arguments.bind(machine_, "strftime_now", {"format"})[0]);
  char buffer[1024];
  const size_t size = std::strftime(buffer, sizeof buffer, format.c_str(), &now_);
  if (size == 0 && !format.empty())
    return machine_.fail("strftime_now: a format that is too long");
  return machine_.string(std::string(buffer, size));
}

} // namespace quern::text::jinja
