#include "runtime/text/template/Operators.h"

#include "runtime/text/Message.h"
#include "runtime/text/Utf8.h"
#include "runtime/text/template/Methods.h"
#include "runtime/text/template/PercentFormat.h"

#include <algorithm>
#include <cmath>

namespace quern::text::jinja {
namespace {

Value overflow(Machine &machine) { return machine.fail("an integer beyond 64 bits"); }

Value integer_arithmetic(Machine &machine, std::string_view op, int64_t a, int64_t b) {
  int64_t result = 0;
  if (op == "+")
    return __builtin_add_overflow(a, b, &result) ? overflow(machine) : Value(result);
  if (op == "-")
    return __builtin_sub_overflow(a, b, &result) ? overflow(machine) : Value(result);
  if (op == "*")
    return __builtin_mul_overflow(a, b, &result) ? overflow(machine) : Value(result);
  if (op == "**") {
    if (b < 0)
      return Value(std::pow(static_cast<double>(a), static_cast<double>(b)));
    result = 1;
    // Beyond 64 rounds only 0, 1 and -1 have not overflowed.
    for (int64_t i = 0; i < (b > 64 ? 64 + b % 2 : b); ++i)
      if (__builtin_mul_overflow(result, a, &result))
        return overflow(machine);
    return Value(result);
  }
  if (b == 0)
    return machine.fail("division by zero");
  if (op == "/")
    return Value(static_cast<double>(a) / static_cast<double>(b));
  if (b == -1) // the one quotient that can overflow; the remainder is always 0
    return op == "%" ? Value(int64_t{0}) : integer_arithmetic(machine, "-", 0, a);
  // Python rounds down, C++ towards zero.
  const bool down = a % b != 0 && (a < 0) != (b < 0);
  return op == "//" ? Value(a / b - down) : Value(a % b + (down ? b : 0));
}

Value float_arithmetic(Machine &machine, std::string_view op, double a, double b) {
  if (op == "+")
    return Value(a + b);
  if (op == "-")
    return Value(a - b);
  if (op == "*")
    return Value(a * b);
  if (op == "**")
    return Value(std::pow(a, b));
  if (b == 0)
    return machine.fail("division by zero");
  if (op == "/")
    return Value(a / b);
  if (op == "//")
    return Value(std::floor(a / b));
  const double rest = std::fmod(a, b);
  return Value(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

/// sequence * count
Value repeat(Machine &machine, const Value &sequence, int64_t count) {
  const auto times = static_cast<size_t>(std::max<int64_t>(count, 0));
  const size_t size = sequence.is_string() ? sequence.text().size() : sequence.list().items.size();
  if (size > 0 && times > Machine::kMaxMemory / size)
    return machine.fail("a repetition that is too long");
  if (sequence.is_string()) {
    std::string text;
    for (size_t i = 0; i < times && size > 0; ++i)
      text += sequence.text();
    return machine.string(std::move(text));
  }
  if (!machine.memory(times * size * sizeof(Value)))
    return {};
  Values items;
  for (size_t i = 0; i < times && size > 0; ++i)
    items.insert(items.end(), sequence.list().items.begin(), sequence.list().items.end());
  return machine.list(std::move(items), sequence.list().tuple);
}

/// The items `start`, `start + step`, ... of `count`, as Python slices.
std::vector<size_t> slice_indices(Machine &machine, int64_t count, std::optional<int64_t> start,
                                  std::optional<int64_t> stop, int64_t step) {
  const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? count : count - 1;
  const auto place = [&](std::optional<int64_t> index, int64_t fallback) {
    if (!index)
      return fallback;
    return std::clamp(*index < 0 ? std::max(*index, -count - 1) + count : *index, low, high);
  };
  const int64_t begin = place(start, step > 0 ? low : high);
  const int64_t end = place(stop, step > 0 ? high : low);
  std::vector<size_t> indices;
  const int64_t stride = std::clamp(step, -count - 1, count + 1);
  for (int64_t i = begin; stride > 0 ? i < end : i > end; i += stride)
    indices.push_back(static_cast<size_t>(i));
  machine.memory(indices.size() * sizeof(size_t));
  return indices;
}

/// Where each character of `text` begins, and its end.
std::vector<size_t> character_offsets(Machine &machine, std::string_view text) {
  std::vector<size_t> offsets;
  if (machine.memory(text.size() * sizeof(size_t)))
    for (size_t i = 0; i < text.size(); ++i)
      if ((static_cast<uint8_t>(text[i]) & 0xc0) != 0x80)
        offsets.push_back(i);
  offsets.push_back(text.size());
  return offsets;
}

Value undefined(Machine &machine, const Value &value, std::string_view name) {
  const std::string message =
      value.is_dict() ? concat("'dict object' has no attribute '", name, "'")
                      : concat("'", kind_name(value), " object' has no attribute '", name, "'");
  return Value(Kind::Undefined, machine.string(message).text());
}

/// The attributes of `loop`.
Value loop_attribute(Machine &machine, const Value &value, std::string_view name) {
  Loop &loop = value.loop();
  const auto index = static_cast<int64_t>(loop.index0);
  const auto count = static_cast<int64_t>(loop.items.size());
  if (name == "index")
    return Value(index + 1);
  if (name == "index0")
    return Value(index);
  if (name == "revindex")
    return Value(count - index);
  if (name == "revindex0")
    return Value(count - index - 1);
  if (name == "first")
    return Value(index == 0);
  if (name == "last")
    return Value(index + 1 == count);
  if (name == "length")
    return Value(count);
  if (name == "depth") // counts recursive loops only
    return Value(int64_t{1});
  if (name == "depth0")
    return Value(int64_t{0});
  if (name == "previtem")
    return index > 0 ? loop.items[loop.index0 - 1]
                     : Value(Kind::Undefined, "there is no previous item");
  if (name == "nextitem")
    return index + 1 < count ? loop.items[loop.index0 + 1]
                             : Value(Kind::Undefined, "there is no next item");
  return undefined(machine, value, name);
}

Value list_item(Machine &machine, const Value &value, int64_t index) {
  const Values &items = value.list().items;
  const auto count = static_cast<int64_t>(items.size());
  if (index < -count || index >= count)
    return Value(Kind::Undefined,
                 machine.string(concat(kind_name(value), " object has no element ", index)).text());
  return items[static_cast<size_t>(index < 0 ? index + count : index)];
}

Value string_item(Machine &machine, const Value &value, int64_t index) {
  const std::vector<size_t> offsets = character_offsets(machine, value.text());
  const auto count = static_cast<int64_t>(offsets.size()) - 1;
  if (index < -count || index >= count)
    return Value(Kind::Undefined,
                 machine.string(concat("str object has no element ", index)).text());
  const auto i = static_cast<size_t>(index < 0 ? index + count : index);
  return Value(Kind::String, value.text().substr(offsets[i], offsets[i + 1] - offsets[i]));
}

} // namespace

Value arithmetic(Machine &machine, std::string_view op, const Value &a, const Value &b) {
  if (op == "%" && a.is_string()) // which takes anything, also what is undefined
    return percent_format(machine, a.text(), b);
  for (const Value *side : {&a, &b})
    if (side->is_undefined())
      return machine.fail(side->text());
  if (a.is_integer() && b.is_integer())
    return integer_arithmetic(machine, op, a.as_int(), b.as_int());
  if (a.is_number() && b.is_number())
    return float_arithmetic(machine, op, a.as_double(), b.as_double());
  if (op == "+" && a.is_string() && b.is_string())
    return machine.memory(a.text().size() + b.text().size())
               ? machine.string(concat(a.text(), b.text()))
               : Value();
  if (op == "+" && a.is_list() && b.is_list() && a.list().tuple == b.list().tuple) {
    if (!machine.memory((a.list().items.size() + b.list().items.size()) * sizeof(Value)))
      return {};
    Values items = a.list().items;
    items.insert(items.end(), b.list().items.begin(), b.list().items.end());
    return machine.list(std::move(items), a.list().tuple);
  }
  const auto repeats = [](const Value &value) { return value.is_string() || value.is_list(); };
  if (op == "*" && repeats(a) && b.is_integer())
    return repeat(machine, a, b.as_int());
  if (op == "*" && repeats(b) && a.is_integer())
    return repeat(machine, b, a.as_int());
  return machine.fail(
      concat("'", op, "' of ", kind_name(a), " and ", kind_name(b), " is not supported"));
}

Value negate(Machine &machine, const Value &value) {
  if (value.is_integer())
    return integer_arithmetic(machine, "-", 0, value.as_int());
  if (value.is(Kind::Float))
    return Value(-value.as_double());
  return machine.fail(concat("- of ", kind_name(value), " is not supported"));
}

bool contains(Machine &machine, const Value &container, const Value &item) {
  switch (container.kind()) {
  case Kind::Undefined:
    return false;
  case Kind::String:
    if (!item.is_string()) {
      machine.fail(concat("'in <string>' needs a string, not ", kind_name(item)));
      return false;
    }
    machine.work(container.text().size());
    return container.text().find(item.text()) != std::string_view::npos;
  case Kind::List:
    return std::any_of(container.list().items.begin(), container.list().items.end(),
                       [&](const Value &value) { return equals(machine, value, item); });
  case Kind::Dict:
    return find(machine, container.dict(), item) != nullptr;
  default:
    machine.fail(concat(kind_name(container), " is not iterable"));
    return false;
  }
}

Value get_attribute(Machine &machine, const Value &value, std::string_view name) {
  if (value.is_undefined())
    return machine.fail(value.text());
  if (value.is(Kind::Loop) && name != "cycle" && name != "changed")
    return loop_attribute(machine, value, name);
  if (has_method(value, name))
    return machine.method(value, name);
  if (value.is_dict() || value.is(Kind::Namespace))
    if (const Value *item = find(machine, value.dict(), name))
      return *item;
  if (value.is(Kind::Macro) && name == "name")
    return machine.string(std::string(macro_name(value.macro())));
  return undefined(machine, value, name);
}

Value get_item(Machine &machine, const Value &value, const Value &key) {
  if (value.is_undefined())
    return machine.fail(value.text());
  if (value.is_list() && key.is_integer())
    return list_item(machine, value, key.as_int());
  if (value.is_string() && key.is_integer())
    return string_item(machine, value, key.as_int());
  if (value.is_dict())
    if (const Value *item = find(machine, value.dict(), key))
      return *item;
  if (key.is_string())
    return get_attribute(machine, value, key.text());
  return undefined(machine, value, kind_name(key));
}

Value slice(Machine &machine, const Value &value, std::optional<int64_t> start,
            std::optional<int64_t> stop, int64_t step) {
  if (value.is_undefined())
    return machine.fail(value.text());
  if (step == 0)
    return machine.fail("a slice's step cannot be zero");
  if (value.is_list()) {
    const Values &items = value.list().items;
    Values chosen;
    for (size_t i : slice_indices(machine, static_cast<int64_t>(items.size()), start, stop, step))
      chosen.push_back(items[i]);
    return machine.list(std::move(chosen), value.list().tuple);
  }
  if (value.is_string()) {
    const std::vector<size_t> offsets = character_offsets(machine, value.text());
    std::string chosen;
    for (size_t i :
         slice_indices(machine, static_cast<int64_t>(offsets.size()) - 1, start, stop, step))
      chosen += value.text().substr(offsets[i], offsets[i + 1] - offsets[i]);
    return machine.string(std::move(chosen));
  }
  return machine.fail(concat(kind_name(value), " cannot be sliced"));
}

int64_t length(Machine &machine, const Value &value) {
  switch (value.kind()) {
  case Kind::Undefined:
    return 0;
  case Kind::String:
    machine.work(value.text().size());
    return static_cast<int64_t>(count_code_points(value.text()));
  case Kind::List:
    return static_cast<int64_t>(value.list().items.size());
  case Kind::Dict:
    return static_cast<int64_t>(value.dict().entries.size());
  case Kind::Loop:
    return static_cast<int64_t>(value.loop().items.size());
  default:
    machine.fail(concat(kind_name(value), " has no length"));
    return 0;
  }
}

int64_t integer(Machine &machine, const Value &value, std::string_view what) {
  if (value.is_integer())
    return value.as_int();
  machine.fail(concat(what, " must be an integer, not ", kind_name(value)));
  return 0;
}

} // namespace quern::text::jinja
