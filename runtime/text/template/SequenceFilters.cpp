#include "runtime/text/template/SequenceFilters.h"

#include "runtime/text/Message.h"
#include "runtime/text/template/Filters.h"
#include "runtime/text/template/Operators.h"
#include "runtime/text/template/PythonText.h"

#include <algorithm>

namespace quern::text::jinja {
namespace {

/// What `attribute` ("a.b.0", or an index) of `item` is.
Value dotted(Machine &machine, Value item, const Value &attribute) {
  if (attribute.is_integer())
    return get_item(machine, item, attribute);
  std::string_view path = attribute.text();
  while (machine.ok()) {
    const size_t dot = path.find('.');
    const std::string_view part = path.substr(0, dot);
    const bool index =
        !part.empty() && part.size() < 10 &&
        std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    int64_t number = 0;
    for (char c : part)
      number = number * 10 + (index ? c - '0' : 0);
    item = get_item(machine, item, index ? Value(number) : Value(Kind::String, part));
    if (dot == std::string_view::npos)
      break;
    path.remove_prefix(dot + 1);
  }
  return item;
}

/// What sorting and comparing go by: `attribute` of the item if given, without regard to case
/// unless asked for.
Value sort_key(Machine &machine, const Value &item, const Value &attribute, bool case_sensitive) {
  const Value key =
      attribute.is_undefined() || attribute.is_none() ? item : dotted(machine, item, attribute);
  if (case_sensitive || !key.is_string())
    return key;
  return machine.string(change_case(key.text(), Case::Lower));
}

Value filter_join(Machine &machine, const Value &value, const Arguments &arguments) {
  const Values bound = arguments.bind(machine, "join", {"d", "attribute"});
  const std::string separator = str(machine, bound[0]);
  std::string out;
  bool first = true;
  for (const Value &item : iterate(machine, value)) {
    if (!first && machine.memory(separator.size()))
      out += separator;
    append_str(machine, bound[1].is_undefined() ? item : dotted(machine, item, bound[1]), out);
    first = false;
    if (!machine.ok())
      break;
  }
  return machine.string(std::move(out));
}

/// What map and select go over: Jinja takes whatever is false for nothing, None among it.
Values iterate_if_true(Machine &machine, const Value &value) {
  return truthy(value) ? iterate(machine, value) : Values();
}

Value filter_map(Machine &machine, const Value &value, const Arguments &arguments) {
  Values out;
  const Values items = iterate_if_true(machine, value);
  if (arguments.positional.empty()) {
    const Values bound = arguments.bind(machine, "map", {"attribute", "default"});
    if (bound[0].is_undefined())
      return machine.fail("map needs a filter or an attribute");
    for (const Value &item : items) {
      const Value mapped = dotted(machine, item, bound[0]);
      out.push_back(mapped.is_undefined() && !bound[1].is_undefined() ? bound[1] : mapped);
    }
    return machine.list(std::move(out));
  }
  const std::string name = str(machine, arguments.positional[0]);
  Arguments rest{{arguments.positional.begin() + 1, arguments.positional.end()}, arguments.named};
  for (const Value &item : items) {
    if (!machine.ok())
      break;
    out.push_back(apply_filter(machine, name, item, rest));
  }
  return machine.list(std::move(out));
}

/// select, reject, selectattr, rejectattr
Value filter_select(Machine &machine, std::string_view name, const Value &value,
                    const Arguments &arguments) {
  const bool by_attribute = name.ends_with("attr");
  const bool keep = name.starts_with("select");
  size_t used = 0;
  const auto next = [&] {
    return used < arguments.positional.size() ? arguments.positional[used++] : Value();
  };
  const Value attribute = by_attribute ? next() : Value();
  if (by_attribute && !attribute.is_string() && !attribute.is_integer())
    return machine.fail(concat(name, " needs an attribute"));
  const Value test = next();
  const std::string test_name = str(machine, test);
  Arguments rest{
      {arguments.positional.begin() + static_cast<ptrdiff_t>(used), arguments.positional.end()},
      arguments.named};
  Values out;
  for (const Value &item : iterate_if_true(machine, value)) {
    const Value tested = by_attribute ? dotted(machine, item, attribute) : item;
    const bool passes =
        test.is_undefined() ? truthy(tested) : apply_test(machine, test_name, tested, rest);
    if (!machine.ok())
      break;
    if (passes == keep)
      out.push_back(item);
  }
  return machine.list(std::move(out));
}

using Keyed = std::pair<Value, Value>; // key, item

/// Sorts by key, keeping the order of equals. A merge sort stays inside its items whatever the
/// comparisons say, which std::sort does not for keys without a consistent order (NaN, or after an
/// error).
void sort_by_key(Machine &machine, std::vector<Keyed> &items, bool reverse) {
  const auto before = [&](const Keyed &a, const Keyed &b) {
    const int order = compare(machine, a.first, b.first);
    return reverse ? order > 0 : order < 0;
  };
  std::vector<Keyed> merged(items.size());
  for (size_t run = 1; run < items.size() && machine.ok(); run *= 2) {
    for (size_t begin = 0; begin < items.size(); begin += 2 * run) {
      const size_t middle = std::min(begin + run, items.size());
      const size_t end = std::min(begin + 2 * run, items.size());
      for (size_t left = begin, right = middle, out = begin; out < end; ++out)
        merged[out] = right < end && (left == middle || before(items[right], items[left]))
                          ? items[right++]
                          : items[left++];
    }
    std::swap(items, merged);
  }
}

Value filter_sort(Machine &machine, const Value &value, const Arguments &arguments) {
  const Values bound = arguments.bind(machine, "sort", {"reverse", "case_sensitive", "attribute"});
  std::vector<Keyed> items;
  for (const Value &item : iterate(machine, value))
    items.emplace_back(sort_key(machine, item, bound[2], truthy(bound[1])), item);
  sort_by_key(machine, items, truthy(bound[0]));
  Values out;
  for (const auto &entry : items)
    out.push_back(entry.second);
  return machine.list(std::move(out));
}

Value filter_dictsort(Machine &machine, const Value &value, const Arguments &arguments) {
  const Values bound = arguments.bind(machine, "dictsort", {"case_sensitive", "by", "reverse"});
  if (!value.is_dict())
    return machine.fail(concat("dictsort of ", kind_name(value), " is not supported"));
  const bool by_value = bound[1].is_string() && bound[1].text() == "value";
  std::vector<Keyed> items;
  for (const auto &[key, item] : value.dict().entries)
    items.emplace_back(sort_key(machine, by_value ? item : key, Value(), truthy(bound[0])),
                       machine.list({key, item}, /*tuple=*/true));
  sort_by_key(machine, items, truthy(bound[2]));
  Values out;
  for (const auto &entry : items)
    out.push_back(entry.second);
  return machine.list(std::move(out));
}

Value filter_unique(Machine &machine, const Value &value, const Arguments &arguments) {
  const Values bound = arguments.bind(machine, "unique", {"case_sensitive", "attribute"});
  Values out, keys;
  for (const Value &item : iterate(machine, value)) {
    const Value key = sort_key(machine, item, bound[1], truthy(bound[0]));
    if (std::none_of(keys.begin(), keys.end(),
                     [&](const Value &other) { return equals(machine, key, other); })) {
      keys.push_back(key);
      out.push_back(item);
    }
    if (!machine.ok())
      break;
  }
  return machine.list(std::move(out));
}

Value filter_extreme(Machine &machine, std::string_view name, const Value &value,
                     const Arguments &arguments) {
  const Values bound = arguments.bind(machine, name, {"case_sensitive", "attribute"});
  Value best(Kind::Undefined, "the sequence is empty"), best_key;
  bool first = true;
  for (const Value &item : iterate(machine, value)) {
    const Value key = sort_key(machine, item, bound[1], truthy(bound[0]));
    const int order = first ? 0 : compare(machine, key, best_key);
    if (first || (name == "min" ? order < 0 : order > 0)) {
      best = item;
      best_key = key;
    }
    first = false;
  }
  return best;
}

Value filter_sum(Machine &machine, const Value &value, const Arguments &arguments) {
  const Values bound = arguments.bind(machine, "sum", {"attribute", "start"});
  Value total = bound[1].is_undefined() ? Value(int64_t{0}) : bound[1];
  for (const Value &item : iterate(machine, value)) {
    const bool whole = bound[0].is_undefined() || bound[0].is_none();
    total = arithmetic(machine, "+", total, whole ? item : dotted(machine, item, bound[0]));
    if (!machine.ok())
      break;
  }
  return total;
}

Value filter_end(Machine &machine, std::string_view name, const Value &value) {
  const Values items = iterate(machine, value);
  if (items.empty())
    return Value(Kind::Undefined, "the sequence is empty");
  return name == "first" ? items.front() : items.back();
}

Value filter_items(Machine &machine, const Value &value) {
  if (value.is_undefined())
    return machine.list({});
  if (!value.is_dict())
    return machine.fail(concat("items of ", kind_name(value), " is not supported"));
  Values out;
  for (const auto &[key, item] : value.dict().entries)
    out.push_back(machine.list({key, item}, /*tuple=*/true));
  return machine.list(std::move(out));
}

Value filter_reverse(Machine &machine, const Value &value) {
  Values items = iterate(machine, value);
  std::reverse(items.begin(), items.end());
  if (!value.is_string())
    return machine.list(std::move(items));
  std::string text;
  for (const Value &item : items)
    text += item.text();
  return machine.string(std::move(text));
}

} // namespace

std::optional<Value> sequence_filter(Machine &machine, std::string_view name, const Value &value,
                                     const Arguments &arguments) {
  if (name == "join")
    return filter_join(machine, value, arguments);
  if (name == "map")
    return filter_map(machine, value, arguments);
  if (name == "select" || name == "reject" || name == "selectattr" || name == "rejectattr")
    return filter_select(machine, name, value, arguments);
  if (name == "first" || name == "last")
    return filter_end(machine, name, value);
  if (name == "list")
    return machine.list(iterate(machine, value));
  if (name == "items")
    return filter_items(machine, value);
  if (name == "sort")
    return filter_sort(machine, value, arguments);
  if (name == "dictsort")
    return filter_dictsort(machine, value, arguments);
  if (name == "unique")
    return filter_unique(machine, value, arguments);
  if (name == "min" || name == "max")
    return filter_extreme(machine, name, value, arguments);
  if (name == "sum")
    return filter_sum(machine, value, arguments);
  if (name == "reverse")
    return filter_reverse(machine, value);
  if (name == "attr")
    return get_attribute(machine, value, str(machine, arguments.bind(machine, name, {"name"})[0]));
  return std::nullopt;
}

} // namespace quern::text::jinja
