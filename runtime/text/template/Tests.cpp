#include "runtime/text/Message.h"
#include "runtime/text/template/Filters.h"
#include "runtime/text/template/Operators.h"
#include "runtime/text/template/PythonText.h"

#include <algorithm>

namespace quern::text::jinja {
namespace {

using Test = bool (*)(Machine &, const Value &, const Value &argument);

bool is_iterable(const Value &value) {
  return value.is_undefined() || value.is_string() || value.is_list() || value.is_dict() ||
         value.is(Kind::Loop);
}

bool has_case(Machine &machine, const Value &value, Case wanted) {
  const std::string text = str(machine, value);
  const Case other = wanted == Case::Upper ? Case::Lower : Case::Upper;
  return change_case(text, wanted) == text && change_case(text, other) != text;
}

bool divisible(Machine &machine, const Value &value, int64_t by) {
  const int64_t number = integer(machine, value, "the tested value");
  if (by == 0)
    machine.fail("divisible by zero");
  return by != 0 && (by == -1 || number % by == 0);
}

struct Entry {
  std::string_view name;
  bool takes_argument;
  Test test;
};

constexpr Entry kTests[] = {
    {"defined", false, [](Machine &, const Value &v, const Value &) { return !v.is_undefined(); }},
    {"undefined", false, [](Machine &, const Value &v, const Value &) { return v.is_undefined(); }},
    {"none", false, [](Machine &, const Value &v, const Value &) { return v.is_none(); }},
    {"boolean", false, [](Machine &, const Value &v, const Value &) { return v.is(Kind::Bool); }},
    {"true", false,
     [](Machine &, const Value &v, const Value &) { return v.is(Kind::Bool) && v.as_bool(); }},
    {"false", false,
     [](Machine &, const Value &v, const Value &) { return v.is(Kind::Bool) && !v.as_bool(); }},
    {"integer", false, [](Machine &, const Value &v, const Value &) { return v.is(Kind::Int); }},
    {"float", false, [](Machine &, const Value &v, const Value &) { return v.is(Kind::Float); }},
    {"number", false, [](Machine &, const Value &v, const Value &) { return v.is_number(); }},
    {"string", false, [](Machine &, const Value &v, const Value &) { return v.is_string(); }},
    {"mapping", false, [](Machine &, const Value &v, const Value &) { return v.is_dict(); }},
    {"iterable", false, [](Machine &, const Value &v, const Value &) { return is_iterable(v); }},
    {"sequence", false,
     [](Machine &, const Value &v, const Value &) { return is_iterable(v) && !v.is(Kind::Loop); }},
    {"callable", false,
     [](Machine &, const Value &v, const Value &) {
       return v.is(Kind::Macro) || v.is(Kind::Builtin) || v.is(Kind::Method);
     }},
    {"odd", false,
     [](Machine &m, const Value &v, const Value &) { return integer(m, v, "odd") % 2 != 0; }},
    {"even", false,
     [](Machine &m, const Value &v, const Value &) { return integer(m, v, "even") % 2 == 0; }},
    {"divisibleby", true,
     [](Machine &m, const Value &v, const Value &a) {
       return divisible(m, v, integer(m, a, "divisibleby"));
     }},
    {"lower", false,
     [](Machine &m, const Value &v, const Value &) { return has_case(m, v, Case::Lower); }},
    {"upper", false,
     [](Machine &m, const Value &v, const Value &) { return has_case(m, v, Case::Upper); }},
    {"eq", true, equals},
    {"equalto", true, equals},
    {"==", true, equals},
    {"ne", true, [](Machine &m, const Value &v, const Value &a) { return !equals(m, v, a); }},
    {"!=", true, [](Machine &m, const Value &v, const Value &a) { return !equals(m, v, a); }},
    {"lt", true, [](Machine &m, const Value &v, const Value &a) { return compare(m, v, a) < 0; }},
    {"lessthan", true,
     [](Machine &m, const Value &v, const Value &a) { return compare(m, v, a) < 0; }},
    {"le", true, [](Machine &m, const Value &v, const Value &a) { return compare(m, v, a) <= 0; }},
    {"gt", true, [](Machine &m, const Value &v, const Value &a) { return compare(m, v, a) > 0; }},
    {"greaterthan", true,
     [](Machine &m, const Value &v, const Value &a) { return compare(m, v, a) > 0; }},
    {"ge", true, [](Machine &m, const Value &v, const Value &a) { return compare(m, v, a) >= 0; }},
    {"in", true, [](Machine &m, const Value &v, const Value &a) { return contains(m, a, v); }},
    {"sameas", true,
     [](Machine &m, const Value &v, const Value &a) {
       // Identity: of None and the truth values, and of one and the same object.
       return v.kind() == a.kind() && equals(m, v, a);
     }},
};

} // namespace

bool has_test(std::string_view name) {
  return std::any_of(std::begin(kTests), std::end(kTests),
                     [name](const Entry &entry) { return entry.name == name; });
}

bool apply_test(Machine &machine, std::string_view name, const Value &value,
                const Arguments &arguments) {
  for (const Entry &entry : kTests) {
    if (entry.name != name)
      continue;
    if (arguments.positional.size() != entry.takes_argument || !arguments.named.empty()) {
      machine.fail(
          concat("the test '", name, "' takes ", entry.takes_argument ? "one" : "no", " argument"));
      return false;
    }
    return entry.test(machine, value, entry.takes_argument ? arguments.positional[0] : Value());
  }
  machine.fail(concat("no test named '", name, "'"));
  return false;
}

} // namespace quern::text::jinja
