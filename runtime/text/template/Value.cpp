#include "runtime/text/template/Value.h"

#include "runtime/text/Message.h"
#include "runtime/text/Utf8.h"
#include "runtime/text/template/RenderChat.h"

namespace quern::text::jinja {

Value Machine::fail(std::string_view message) {
  if (ok())
    status_ = absl::InvalidArgumentError(concat("chat template, line ", line_, ": ", message));
  return {};
}

Value Machine::refuse(std::string_view message) {
  if (ok())
    status_ = absl::InvalidArgumentError(concat(kTemplateRefuses, ": ", message));
  return {};
}

bool Machine::work(size_t bytes) {
  work_ += bytes;
  if (work_ > kMaxWork || !ok()) {
    fail("the template does not end within its work limit");
    return false;
  }
  return true;
}

bool Machine::memory(size_t bytes) {
  memory_ += bytes;
  if (memory_ > kMaxMemory) {
    fail(concat("the template needs more than ", kMaxMemory >> 20, " MiB"));
    return false;
  }
  return work(bytes);
}

Value Machine::string(std::string text) {
  if (text.empty())
    return Value(Kind::String, "");
  if (!memory(text.size() + sizeof text))
    return {};
  return Value(Kind::String, strings_.emplace_back(std::move(text)));
}

Value Machine::list(Values items, bool tuple) {
  if (!memory(items.size() * sizeof(Value) + sizeof(List)))
    return {};
  return Value(&lists_.emplace_back(List{std::move(items), tuple}));
}

Value Machine::dict(std::vector<std::pair<Value, Value>> entries, Kind kind) {
  if (!memory(entries.size() * 2 * sizeof(Value) + sizeof(Dict)))
    return {};
  return Value(&dicts_.emplace_back(Dict{std::move(entries)}), kind);
}

Value Machine::method(Value self, std::string_view name) {
  if (!memory(sizeof(Method)))
    return {};
  return Value(&methods_.emplace_back(Method{self, name}));
}

Loop *Machine::new_loop() {
  memory(sizeof(Loop));
  return &loops_.emplace_back();
}

Machine::Depth::operator bool() const {
  if (machine_.depth_ <= kMaxDepth && machine_.ok())
    return true;
  machine_.fail("the template nests too deep");
  return false;
}

std::string_view kind_name(const Value &value) {
  switch (value.kind()) {
  case Kind::Undefined:
    return "undefined";
  case Kind::None:
    return "None";
  case Kind::Bool:
    return "bool";
  case Kind::Int:
    return "int";
  case Kind::Float:
    return "float";
  case Kind::String:
    return "str";
  case Kind::List:
    return value.list().tuple ? "tuple" : "list";
  case Kind::Dict:
    return "dict";
  case Kind::Namespace:
    return "namespace";
  case Kind::Loop:
    return "loop";
  case Kind::Macro:
    return "macro";
  case Kind::Builtin:
  case Kind::Method:
    return "function";
  }
  return "value";
}

bool truthy(const Value &value) {
  switch (value.kind()) {
  case Kind::Undefined:
  case Kind::None:
    return false;
  case Kind::Bool:
  case Kind::Int:
    return value.as_int() != 0;
  case Kind::Float:
    return value.as_double() != 0;
  case Kind::String:
    return !value.text().empty();
  case Kind::List:
    return !value.list().items.empty();
  case Kind::Dict:
    return !value.dict().entries.empty();
  default:
    return true;
  }
}

namespace {

bool lists_equal(Machine &machine, const List &a, const List &b) {
  if (a.tuple != b.tuple || a.items.size() != b.items.size())
    return false;
  for (size_t i = 0; i < a.items.size(); ++i)
    if (!equals(machine, a.items[i], b.items[i]))
      return false;
  return true;
}

bool dicts_equal(Machine &machine, const Dict &a, const Dict &b) {
  if (a.entries.size() != b.entries.size())
    return false;
  for (const auto &[key, value] : a.entries) {
    const Value *other = find(machine, b, key);
    if (!other || !equals(machine, value, *other))
      return false;
  }
  return true;
}

template <typename T> int order(const T &a, const T &b) { return a < b ? -1 : b < a ? 1 : 0; }

} // namespace

bool equals(Machine &machine, const Value &a, const Value &b) {
  const Machine::Depth depth(machine);
  if (!depth || !machine.work(16))
    return false;
  if (a.is_number() && b.is_number())
    return a.is_integer() && b.is_integer() ? a.as_int() == b.as_int()
                                            : a.as_double() == b.as_double();
  if (a.kind() != b.kind())
    return false;
  switch (a.kind()) {
  case Kind::Undefined:
  case Kind::None:
    return true;
  case Kind::String:
    machine.work(a.text().size() / 8);
    return a.text() == b.text();
  case Kind::Builtin:
    return a.text() == b.text();
  case Kind::List:
    return &a.list() == &b.list() || lists_equal(machine, a.list(), b.list());
  case Kind::Dict:
    return &a.dict() == &b.dict() || dicts_equal(machine, a.dict(), b.dict());
  case Kind::Namespace:
    return &a.dict() == &b.dict();
  case Kind::Loop:
    return &a.loop() == &b.loop();
  case Kind::Macro:
    return &a.macro() == &b.macro();
  case Kind::Method:
    return &a.method() == &b.method();
  default:
    return false;
  }
}

int compare(Machine &machine, const Value &a, const Value &b) {
  const Machine::Depth depth(machine);
  if (!depth || !machine.work(16))
    return 0;
  if (a.is_integer() && b.is_integer())
    return order(a.as_int(), b.as_int());
  if (a.is_number() && b.is_number())
    return order(a.as_double(), b.as_double());
  if (a.is_string() && b.is_string()) {
    machine.work(a.text().size() / 8);
    return a.text().compare(b.text()); // UTF-8 sorts as its code points do
  }
  if (a.is_list() && b.is_list() && a.list().tuple == b.list().tuple) {
    const Values &left = a.list().items, &right = b.list().items;
    for (size_t i = 0; i < left.size() && i < right.size() && machine.ok(); ++i)
      if (!equals(machine, left[i], right[i]))
        return compare(machine, left[i], right[i]);
    return order(left.size(), right.size());
  }
  machine.fail(concat(kind_name(a), " and ", kind_name(b), " have no order"));
  return 0;
}

const Value *find(Machine &machine, const Dict &dict, const Value &key) {
  for (const auto &[name, value] : dict.entries)
    if (equals(machine, name, key))
      return &value;
  return nullptr;
}

const Value *find(Machine &machine, const Dict &dict, std::string_view key) {
  machine.work(dict.entries.size() * 8);
  for (const auto &[name, value] : dict.entries)
    if (name.is_string() && name.text() == key)
      return &value;
  return nullptr;
}

Values iterate(Machine &machine, const Value &value) {
  Values items;
  switch (value.kind()) {
  case Kind::Undefined:
    break;
  case Kind::List:
    if (machine.memory(value.list().items.size() * sizeof(Value)))
      items = value.list().items;
    break;
  case Kind::Dict:
    if (machine.memory(value.dict().entries.size() * sizeof(Value)))
      for (const auto &entry : value.dict().entries)
        items.push_back(entry.first);
    break;
  case Kind::String:
    if (machine.memory(value.text().size() * sizeof(Value)))
      for (std::string_view rest = value.text(); !rest.empty();) {
        const size_t size = first_code_point(rest).size;
        items.emplace_back(Kind::String, rest.substr(0, size));
        rest.remove_prefix(size);
      }
    break;
  default:
    machine.fail(concat(kind_name(value), " is not iterable"));
  }
  return items;
}

} // namespace quern::text::jinja
