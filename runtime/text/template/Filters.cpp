#include "runtime/text/template/Filters.h"

#include "runtime/text/Message.h"
#include "runtime/text/Utf8.h"
#include "runtime/text/template/Methods.h"
#include "runtime/text/template/Operators.h"
#include "runtime/text/template/PercentFormat.h"
#include "runtime/text/template/PythonText.h"
#include "runtime/text/template/SequenceFilters.h"

#include <absl/strings/charconv.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace quern::text::jinja {
namespace {

Value text_filter(Machine &machine, std::string_view name, const Value &value,
                  const Arguments &arguments) {
  arguments.bind(machine, name, {});
  const std::string text = str(machine, value);
  if (name == "upper")
    return machine.string(change_case(text, Case::Upper));
  if (name == "lower")
    return machine.string(change_case(text, Case::Lower));
  if (name == "capitalize")
    return machine.string(change_case(text, Case::Capitalize));
  if (name == "wordcount") {
    int64_t words = 0;
    bool inside = false;
    for (std::string_view rest = text; !rest.empty();) {
      const CodePoint point = first_code_point(rest);
      const bool word = is_letter(point.value) || is_decimal(point.value) || point.value == '_';
      words += word && !inside;
      inside = word;
      rest.remove_prefix(point.size);
    }
    return Value(words);
  }
  // title: unlike str.title, only white space, - and opening brackets begin a word.
  std::string titled;
  bool start = true;
  for (std::string_view rest = text; !rest.empty();) {
    const CodePoint point = first_code_point(rest);
    titled += change_case(rest.substr(0, point.size), start ? Case::Upper : Case::Lower);
    start = is_python_space(point.value) ||
            (point.value < 0x80 && std::string_view("-({[<").find(static_cast<char>(point.value)) !=
                                       std::string_view::npos);
    rest.remove_prefix(point.size);
  }
  return machine.string(std::move(titled));
}

Value filter_trim(Machine &machine, const Value &value, const Arguments &arguments) {
  const Values bound = arguments.bind(machine, "trim", {"chars"});
  const Value text = machine.string(str(machine, value));
  std::optional<std::string_view> chars;
  if (bound[0].is_string())
    chars = bound[0].text();
  machine.work(text.text().size() * (chars ? chars->size() : 1));
  return Value(Kind::String, strip(text.text(), StripSide::Both, chars));
}

Value filter_replace(Machine &machine, const Value &value, const Arguments &arguments) {
  const Values bound = arguments.bind(machine, "replace", {"old", "new", "count"});
  const std::string text = str(machine, value), from = str(machine, bound[0]),
                    to = str(machine, bound[1]);
  const bool counted = !bound[2].is_undefined() && !bound[2].is_none();
  return replace_text(machine, text, from, to, counted ? integer(machine, bound[2], "count") : -1);
}

Value filter_default(Machine &machine, const Value &value, const Arguments &arguments) {
  const Values bound = arguments.bind(machine, "default", {"default_value", "boolean"});
  if (!value.is_undefined() && (!truthy(bound[1]) || truthy(value)))
    return value;
  return arguments.positional.empty() && bound[0].is_undefined() ? Value(Kind::String, "")
                                                                 : bound[0];
}

Value filter_tojson(Machine &machine, const Value &value, const Arguments &arguments) {
  const Values bound =
      arguments.bind(machine, "tojson", {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = truthy(bound[0]);
  style.sort_keys = truthy(bound[3]);
  if (bound[1].is_string()) {
    style.indent = str(machine, bound[1]);
  } else if (!bound[1].is_undefined() && !bound[1].is_none()) {
    const int64_t width = std::max<int64_t>(integer(machine, bound[1], "indent"), 0);
    if (width > 1000)
      return machine.fail("tojson: an indent that is too long");
    style.indent = std::string(static_cast<size_t>(width), ' ');
  }
  if (style.indent)
    style.item_separator = ",";
  if (bound[2].is_list() && bound[2].list().items.size() == 2) {
    style.item_separator = str(machine, bound[2].list().items[0]);
    style.key_separator = str(machine, bound[2].list().items[1]);
    if (style.item_separator.size() + style.key_separator.size() > 1000)
      return machine.fail("tojson: separators that are too long");
  }
  return machine.string(json_dumps(machine, value, style));
}

/// Whether a from_chars took all of its text.
template <typename Result> bool read_all(const Result &result, const char *end) {
  return result.ec == std::errc() && result.ptr == end;
}

/// A number as int() and float() read it from text.
std::optional<Value> parse_number(std::string_view text, int base, bool as_float) {
  text = strip(text, StripSide::Both);
  if (text.starts_with('+'))
    text.remove_prefix(1);
  int64_t integer = 0;
  double number = 0;
  const char *end = text.data() + text.size();
  const bool read = as_float ? read_all(absl::from_chars(text.data(), end, number), end)
                             : read_all(std::from_chars(text.data(), end, integer, base), end);
  if (text.empty() || !read)
    return std::nullopt;
  return as_float ? Value(number) : Value(integer);
}

/// Whether a float has an int64_t.
bool fits_integer(double value) { return value > -9.2e18 && value < 9.2e18; }

Value filter_number(Machine &machine, std::string_view name, const Value &value,
                    const Arguments &arguments) {
  const bool to_float = name == "float";
  const Values bound = to_float ? arguments.bind(machine, name, {"default"})
                                : arguments.bind(machine, name, {"default", "base"});
  const Value fallback = !bound[0].is_undefined() ? bound[0]
                         : to_float               ? Value(0.0)
                                                  : Value(int64_t{0});
  if (value.is_undefined())
    return machine.fail(value.text());
  if (value.is_number()) {
    if (to_float)
      return Value(value.as_double());
    if (value.is_integer())
      return Value(value.as_int());
    return fits_integer(value.as_double()) ? Value(static_cast<int64_t>(value.as_double()))
                                           : fallback;
  }
  if (!value.is_string())
    return fallback;
  const int64_t base =
      to_float || bound[1].is_undefined() ? 10 : integer(machine, bound[1], "base");
  if (base < 2 || base > 36)
    return machine.fail("int: base must lie in 2..36");
  if (const std::optional<Value> number =
          parse_number(value.text(), static_cast<int>(base), to_float))
    return *number;
  // "12.7"|int is 12
  const std::optional<Value> number = parse_number(value.text(), 10, /*as_float=*/true);
  if (to_float || !number || !fits_integer(number->as_double()))
    return fallback;
  return Value(static_cast<int64_t>(number->as_double()));
}

Value filter_round(Machine &machine, const Value &value, const Arguments &arguments) {
  const Values bound = arguments.bind(machine, "round", {"precision", "method"});
  const int64_t precision =
      bound[0].is_undefined() ? 0 : integer(machine, bound[0], "round: precision");
  const std::string method = bound[1].is_undefined() ? "common" : str(machine, bound[1]);
  if (!value.is_number() || precision < -300 || precision > 300)
    return machine.fail("round needs a number, and a precision within 300");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = value.as_double() * scale;
  if (method == "ceil")
    return Value(std::ceil(scaled) / scale);
  if (method == "floor")
    return Value(std::floor(scaled) / scale);
  if (method != "common")
    return machine.fail("round: method must be common, ceil or floor");
  // Rounding the decimal digits, not the scaled product, is what makes round(2.675, 2) 2.67.
  if (precision >= 0) {
    char buffer[700];
    const int size = absl::SNPrintF(buffer, sizeof buffer, "%.*f", static_cast<int>(precision),
                                    value.as_double());
    double rounded = 0;
    absl::from_chars(buffer, buffer + size, rounded);
    return value.is_integer() ? Value(value.as_int()) : Value(rounded);
  }
  return Value(std::nearbyint(scaled) / scale);
}

Value filter_indent(Machine &machine, const Value &value, const Arguments &arguments) {
  const Values bound = arguments.bind(machine, "indent", {"width", "first", "blank"});
  const std::string text = str(machine, value);
  std::string margin = "    ";
  if (bound[0].is_string()) {
    margin = str(machine, bound[0]);
  } else if (!bound[0].is_undefined()) {
    const int64_t width = integer(machine, bound[0], "indent: width");
    if (width > 1000)
      return machine.fail("indent: a width that is too long");
    margin = std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
  }
  std::string out;
  bool first = true;
  for (size_t begin = 0; begin <= text.size() && machine.ok();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (first ? truthy(bound[1]) : (end > begin || truthy(bound[2])))
      out += margin;
    machine.memory(margin.size() + end - begin);
    out.append(text, begin, end - begin);
    if (end < text.size())
      out += '\n';
    first = false;
    begin = end + 1;
  }
  return machine.string(std::move(out));
}

Value filter_escape(Machine &machine, const Value &value) {
  std::string out;
  for (char c : str(machine, value)) {
    switch (c) {
    case '&':
      out += "&amp;";
      break;
    case '<':
      out += "&lt;";
      break;
    case '>':
      out += "&gt;";
      break;
    case '\'':
      out += "&#39;";
      break;
    case '"':
      out += "&#34;";
      break;
    default:
      out += c;
    }
  }
  return machine.string(std::move(out));
}

Value filter_abs(Machine &machine, const Value &value) {
  if (!value.is_number())
    return machine.fail(concat("abs of ", kind_name(value), " is not supported"));
  return truthy(value) && compare(machine, value, Value(int64_t{0})) < 0 ? negate(machine, value)
                                                                         : value;
}

/// value % arguments, those by position or those by name.
Value filter_format(Machine &machine, const Value &value, const Arguments &arguments) {
  if (!arguments.named.empty() && !arguments.positional.empty())
    return machine.fail("format: arguments by position and by name at once");
  std::vector<std::pair<Value, Value>> named;
  for (const auto &[name, argument] : arguments.named)
    named.emplace_back(Value(Kind::String, name), argument);
  const std::string text = str(machine, value);
  return percent_format(machine, text,
                        named.empty() ? machine.list(arguments.positional, /*tuple=*/true)
                                      : machine.dict(std::move(named)));
}

constexpr std::string_view kFilters[] = {
    "trim",      "tojson",     "default",    "d",      "upper", "lower",   "capitalize", "title",
    "wordcount", "replace",    "string",     "safe",   "int",   "float",   "round",      "indent",
    "escape",    "e",          "abs",        "length", "count", "join",    "map",        "select",
    "reject",    "selectattr", "rejectattr", "first",  "last",  "list",    "items",      "sort",
    "dictsort",  "unique",     "min",        "max",    "sum",   "reverse", "attr",       "format"};

} // namespace

bool has_filter(std::string_view name) {
  return std::find(std::begin(kFilters), std::end(kFilters), name) != std::end(kFilters);
}

Value apply_filter(Machine &machine, std::string_view name, const Value &value,
                   const Arguments &arguments) {
  const Machine::Depth depth(machine);
  if (!depth)
    return {};
  if (!has_filter(name))
    return machine.fail(concat("no filter named '", name, "'"));
  if (name == "trim")
    return filter_trim(machine, value, arguments);
  if (name == "tojson")
    return filter_tojson(machine, value, arguments);
  if (name == "default" || name == "d")
    return filter_default(machine, value, arguments);
  if (name == "upper" || name == "lower" || name == "capitalize" || name == "title" ||
      name == "wordcount")
    return text_filter(machine, name, value, arguments);
  if (name == "replace")
    return filter_replace(machine, value, arguments);
  if (name == "string" || name == "safe")
    return value.is_string() ? value : machine.string(str(machine, value));
  if (name == "int" || name == "float")
    return filter_number(machine, name, value, arguments);
  if (name == "round")
    return filter_round(machine, value, arguments);
  if (name == "indent")
    return filter_indent(machine, value, arguments);
  if (name == "escape" || name == "e")
    return filter_escape(machine, value);
  if (name == "format")
    return filter_format(machine, value, arguments);
  if (name == "abs")
    return filter_abs(machine, value);
  if (name == "length" || name == "count")
    return Value(length(machine, value));
  if (const std::optional<Value> result = sequence_filter(machine, name, value, arguments))
    return *result;
  return machine.fail(concat("the filter '", name, "' is not there")); // a bug: kFilters lists it
}

} // namespace quern::text::jinja
