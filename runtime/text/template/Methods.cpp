#include "runtime/text/template/Methods.h"

#include "runtime/text/Message.h"
#include "runtime/text/template/Operators.h"
#include "runtime/text/template/StringMethods.h"

#include <algorithm>

namespace quern::text::jinja {
namespace {

constexpr std::string_view kDictMethods[] = {"get", "items", "keys", "values", "copy"};
constexpr std::string_view kListMethods[] = {"index", "count", "copy"};
constexpr std::string_view kChanging[] = {"append", "extend",  "insert", "remove", "pop",
                                          "clear",  "reverse", "sort",   "update", "setdefault"};
constexpr std::string_view kLoopMethods[] = {"cycle", "changed"};

template <size_t N> bool one_of(std::string_view name, const std::string_view (&names)[N]) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

Value dict_method(Machine &machine, const Method &method, const Arguments &arguments) {
  const Dict &dict = method.self.dict();
  if (method.name == "get") {
    const Values bound = arguments.bind(machine, "dict.get", {"key", "default"});
    if (const Value *value = find(machine, dict, bound[0]))
      return *value;
    const bool given = arguments.positional.size() + arguments.named.size() > 1;
    return given ? bound[1] : Value::none();
  }
  arguments.bind(machine, method.name, {});
  if (method.name == "copy")
    return machine.dict(dict.entries);
  Values items;
  for (const auto &[key, value] : dict.entries)
    items.push_back(method.name == "keys"     ? key
                    : method.name == "values" ? value
                                              : machine.list({key, value}, /*tuple=*/true));
  return machine.list(std::move(items));
}

Value list_method(Machine &machine, const Method &method, const Arguments &arguments) {
  const Values &items = method.self.list().items;
  if (method.name == "copy")
    return machine.list(items);
  const Values bound = arguments.bind(machine, method.name, {"value"});
  int64_t count = 0;
  for (size_t i = 0; i < items.size(); ++i)
    if (equals(machine, items[i], bound[0])) {
      if (method.name == "index")
        return Value(static_cast<int64_t>(i));
      ++count;
    }
  return method.name == "index" ? machine.fail("list.index: not in list") : Value(count);
}

Value loop_method(Machine &machine, const Method &method, const Arguments &arguments) {
  Loop &loop = method.self.loop();
  const Values &values = arguments.positional;
  if (method.name == "cycle")
    return values.empty() ? machine.fail("loop.cycle needs values")
                          : values[loop.index0 % values.size()];
  bool same = loop.index0 > 0 && loop.last_changed.size() == values.size();
  for (size_t i = 0; same && i < values.size(); ++i)
    same = equals(machine, loop.last_changed[i], values[i]);
  loop.last_changed = values;
  return Value(!same);
}

} // namespace

bool has_method(const Value &value, std::string_view name) {
  switch (value.kind()) {
  case Kind::String:
    return has_string_method(name);
  case Kind::Dict:
    return one_of(name, kDictMethods);
  case Kind::List:
    return one_of(name, kListMethods) || one_of(name, kChanging);
  case Kind::Loop:
    return one_of(name, kLoopMethods);
  default:
    return false;
  }
}

Value call_method(Machine &machine, const Method &method, const Arguments &arguments) {
  if (one_of(method.name, kChanging) && method.self.is_list())
    return machine.fail(
        concat("templates may not change lists (", method.name, "); join them with + instead"));
  switch (method.self.kind()) {
  case Kind::String:
    return call_string_method(machine, method, arguments);
  case Kind::Dict:
    return dict_method(machine, method, arguments);
  case Kind::List:
    return list_method(machine, method, arguments);
  default:
    return loop_method(machine, method, arguments);
  }
}

Values Arguments::bind(Machine &machine, std::string_view callee,
                       std::initializer_list<std::string_view> names) const {
  Values values(names.size());
  if (positional.size() > names.size())
    machine.fail(concat(callee, ": too many arguments"));
  std::copy_n(positional.begin(), std::min(positional.size(), names.size()), values.begin());
  for (const auto &[name, value] : named) {
    const auto it = std::find(names.begin(), names.end(), name);
    if (it == names.end())
      machine.fail(concat(callee, ": unknown argument '", name, "'"));
    else
      values[static_cast<size_t>(it - names.begin())] = value;
  }
  return values;
}

} // namespace quern::text::jinja
