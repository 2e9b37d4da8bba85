#include "runtime/text/Message.h"
#include "runtime/text/template/Interpreter.h"
#include "runtime/text/template/PythonText.h"

namespace quern::text::jinja {

std::string Interpreter::run(const Body &body,
                             std::vector<std::pair<std::string_view, Value>> globals) {
  Scope &outer = scopes_.emplace_back();
  outer.names = std::move(globals);
  std::string out;
  run_body(body, new_scope(outer), out);
  return out;
}

Scope &Interpreter::new_scope(Scope &parent) {
  machine_.memory(sizeof(Scope));
  Scope &scope = scopes_.emplace_back();
  scope.parent = &parent;
  return scope;
}

void Interpreter::define(Scope &scope, std::string_view name, const Value &value) {
  for (auto &[known, old] : scope.names)
    if (known == name) {
      old = value;
      return;
    }
  scope.names.emplace_back(name, value);
}

void Interpreter::assign(const Expr &target, const Value &value, Scope &scope) {
  if (target.kind == Expr::Kind::Name)
    return define(scope, target.text, value);
  if (target.kind == Expr::Kind::Attribute) {
    const Value owner = look_up(target.kids[0]->text, scope);
    if (!owner.is(Kind::Namespace)) {
      machine_.fail(
          concat("'", target.kids[0]->text, "' is no namespace, its attributes cannot be set"));
      return;
    }
    if (target.text.starts_with('_')) {
      machine_.fail(concat("a namespace cannot hold '", target.text, "'"));
      return;
    }
    auto &entries = owner.dict().entries;
    machine_.work(entries.size() * 8);
    for (auto &[key, old] : entries)
      if (key.text() == target.text) {
        old = value;
        return;
      }
    if (machine_.memory(2 * sizeof(Value)))
      entries.emplace_back(Value(Kind::String, target.text), value);
    return;
  }
  const Values items = iterate(machine_, value);
  if (items.size() != target.kids.size()) {
    machine_.fail(concat(target.kids.size(), " values expected, not ", items.size()));
    return;
  }
  for (size_t i = 0; i < items.size(); ++i)
    assign(*target.kids[i], items[i], scope);
}

void Interpreter::append(std::string_view text, std::string &out) {
  if (machine_.memory(text.size()))
    out += text;
}

void Interpreter::write(const Value &value, std::string &out) { append_str(machine_, value, out); }

Interpreter::Flow Interpreter::run_body(const Body &body, Scope &scope, std::string &out) {
  const Machine::Depth depth(machine_);
  if (!depth)
    return Flow::Normal;
  for (const Stmt &statement : body) {
    if (!machine_.work(64))
      break;
    if (const Flow flow = run_statement(statement, scope, out); flow != Flow::Normal)
      return flow;
  }
  return Flow::Normal;
}

Interpreter::Flow Interpreter::run_statement(const Stmt &statement, Scope &scope,
                                             std::string &out) {
  machine_.set_line(statement.line);
  switch (statement.kind) {
  case Stmt::Kind::Text:
    append(statement.text, out);
    break;
  case Stmt::Kind::Output:
    write(evaluate(*statement.exprs[0], scope), out);
    break;
  case Stmt::Kind::If:
    return run_if(statement, scope, out);
  case Stmt::Kind::For:
    return run_for(statement, scope, out);
  case Stmt::Kind::Set:
    assign(*statement.target, evaluate(*statement.exprs[0], scope), scope);
    break;
  case Stmt::Kind::SetBlock:
    set_block(statement, scope);
    break;
  case Stmt::Kind::Macro:
    machine_.memory(sizeof(Macro));
    define(scope, statement.text, Value(&macros_.emplace_back(Macro{&statement, &scope})));
    break;
  case Stmt::Kind::Call:
    run_call(statement, scope, out);
    break;
  case Stmt::Kind::Filter:
    run_filter(statement, scope, out);
    break;
  case Stmt::Kind::With:
    run_with(statement, scope, out);
    break;
  case Stmt::Kind::Scope:
    return run_body(statement.bodies[0], new_scope(scope), out);
  case Stmt::Kind::Break:
    return Flow::Break;
  case Stmt::Kind::Continue:
    return Flow::Continue;
  }
  return Flow::Normal;
}

Interpreter::Flow Interpreter::run_if(const Stmt &statement, Scope &scope, std::string &out) {
  for (size_t i = 0; i < statement.exprs.size() && machine_.ok(); ++i)
    if (truthy(evaluate(*statement.exprs[i], scope)))
      return run_body(statement.bodies[i], scope, out);
  if (statement.bodies.size() > statement.exprs.size() && machine_.ok())
    return run_body(statement.bodies.back(), scope, out);
  return Flow::Normal;
}

Interpreter::Flow Interpreter::run_for(const Stmt &statement, Scope &scope, std::string &out) {
  Values items = iterate(machine_, evaluate(*statement.exprs[0], scope));
  if (statement.exprs[1]) { // the condition sees the item but not `loop`
    Values kept;
    for (const Value &item : items) {
      if (!machine_.work(64))
        break;
      Scope &inner = new_scope(scope);
      assign(*statement.target, item, inner);
      if (truthy(evaluate(*statement.exprs[1], inner)))
        kept.push_back(item);
    }
    items = std::move(kept);
  }
  if (items.empty())
    return machine_.ok() ? run_body(statement.bodies[1], scope, out) : Flow::Normal;

  Loop *loop = machine_.new_loop();
  loop->items = std::move(items);
  for (loop->index0 = 0; loop->index0 < loop->items.size() && machine_.work(64); ++loop->index0) {
    // Each round starts afresh: what the last one set is forgotten.
    Scope &inner = new_scope(scope);
    define(inner, "loop", Value(loop));
    assign(*statement.target, loop->items[loop->index0], inner);
    if (run_body(statement.bodies[0], inner, out) == Flow::Break)
      break;
  }
  return Flow::Normal;
}

void Interpreter::set_block(const Stmt &statement, Scope &scope) {
  std::string text;
  run_body(statement.bodies[0], new_scope(scope), text);
  Value value = machine_.string(std::move(text));
  if (statement.exprs[0])
    value = through_filters(*statement.exprs[0], value, scope);
  assign(*statement.target, value, scope);
}

void Interpreter::run_call(const Stmt &statement, Scope &scope, std::string &out) {
  machine_.memory(sizeof(Macro));
  const Value caller(&macros_.emplace_back(Macro{&statement, &scope}));
  write(evaluate_call(*statement.exprs[0], scope, &caller), out);
}

void Interpreter::run_filter(const Stmt &statement, Scope &scope, std::string &out) {
  std::string text;
  run_body(statement.bodies[0], new_scope(scope), text);
  write(through_filters(*statement.exprs[0], machine_.string(std::move(text)), scope), out);
}

void Interpreter::run_with(const Stmt &statement, Scope &scope, std::string &out) {
  Scope &inner = new_scope(scope);
  Values values; // all are of the scope outside
  for (const ExprPtr &expr : statement.exprs)
    values.push_back(evaluate(*expr, scope));
  for (size_t i = 0; i < values.size(); ++i)
    assign(*statement.targets[i], values[i], inner);
  run_body(statement.bodies[0], inner, out);
}

} // namespace quern::text::jinja
