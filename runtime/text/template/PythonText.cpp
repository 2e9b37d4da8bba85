#include "runtime/text/template/PythonText.h"

#include "runtime/text/Message.h"
#include "runtime/text/Utf8.h"

#include <absl/strings/charconv.h>
#include <absl/strings/str_format.h>
#include <utf8proc.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace quern::text::jinja {
namespace {

void append_hex(char32_t c, int digits, std::string &out) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    out += "0123456789abcdef"[c >> shift & 15];
}

bool is_printable(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
  case UTF8PROC_CATEGORY_CC:
  case UTF8PROC_CATEGORY_CF:
  case UTF8PROC_CATEGORY_CS:
  case UTF8PROC_CATEGORY_CO:
  case UTF8PROC_CATEGORY_CN:
  case UTF8PROC_CATEGORY_ZL:
  case UTF8PROC_CATEGORY_ZP:
    return false;
  case UTF8PROC_CATEGORY_ZS:
    return c == ' ';
  default:
    return true;
  }
}

void append_string_repr(std::string_view text, std::string &out) {
  const bool single =
      text.find('\'') == std::string_view::npos || text.find('"') != std::string_view::npos;
  const char quote = single ? '\'' : '"';
  out += quote;
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    const char32_t c = point.value;
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += '\\';
      out += c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
    } else if (is_printable(c)) {
      out += text.substr(0, point.size);
    } else {
      const int digits = c < 0x100 ? 2 : c < 0x10000 ? 4 : 8;
      out += digits == 2 ? "\\x" : digits == 4 ? "\\u" : "\\U";
      append_hex(c, digits, out);
    }
    text.remove_prefix(point.size);
  }
  out += quote;
}

void append_json_string(std::string_view text, bool ensure_ascii, std::string &out) {
  out += '"';
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    const char32_t c = point.value;
    static constexpr std::string_view kSpecial = "\"\\\n\r\t\b\f", kNames = "\"\\nrtbf";
    const size_t special = c < 0x80 ? kSpecial.find(static_cast<char>(c)) : std::string_view::npos;
    if (special != std::string_view::npos) {
      out += '\\';
      out += kNames[special];
    } else if (c < 0x20 || (ensure_ascii && c >= 0x7f && c < 0x10000 && c != 0x7f)) {
      out += "\\u";
      append_hex(c, 4, out);
    } else if (ensure_ascii && c >= 0x10000) {
      out += "\\u";
      append_hex(0xd800 + ((c - 0x10000) >> 10), 4, out);
      out += "\\u";
      append_hex(0xdc00 + ((c - 0x10000) & 0x3ff), 4, out);
    } else {
      out += text.substr(0, point.size);
    }
    text.remove_prefix(point.size);
  }
  out += '"';
}

class JsonWriter {
public:
  JsonWriter(Machine &machine, const JsonStyle &style, std::string &out)
      : machine_(machine), style_(style), out_(out) {}

  void write(const Value &value) {
    const Machine::Depth depth(machine_);
    if (!depth || !machine_.work(32))
      return;
    switch (value.kind()) {
    case Kind::None:
      out_ += "null";
      return;
    case Kind::Bool:
      out_ += value.as_bool() ? "true" : "false";
      return;
    case Kind::Int:
      out_ += std::to_string(value.as_int());
      return;
    case Kind::Float:
      out_ += json_float(value.as_double());
      return;
    case Kind::String:
      if (machine_.memory(value.text().size()))
        append_json_string(value.text(), style_.ensure_ascii, out_);
      return;
    case Kind::List:
      return sequence('[', ']', value.list().items.size(),
                      [&](size_t i) { write(value.list().items[i]); });
    case Kind::Dict:
      return object(value.dict());
    default:
      machine_.fail(concat(kind_name(value), " cannot be written as JSON"));
    }
  }

private:
  static std::string json_float(double value) {
    if (std::isnan(value))
      return "NaN";
    if (std::isinf(value))
      return value < 0 ? "-Infinity" : "Infinity";
    return float_repr(value);
  }

  void new_line() {
    out_ += '\n';
    for (int i = 0; i < level_ && machine_.work(style_.indent->size()); ++i)
      out_ += *style_.indent;
  }

  template <typename Item> void sequence(char open, char close, size_t count, Item item) {
    out_ += open;
    ++level_;
    for (size_t i = 0; i < count && machine_.ok(); ++i) {
      if (i > 0)
        out_ += style_.item_separator;
      if (style_.indent)
        new_line();
      item(i);
    }
    --level_;
    if (style_.indent && count > 0)
      new_line();
    out_ += close;
  }

  void object(const Dict &dict) {
    std::vector<std::pair<std::string, Value>> entries;
    for (const auto &[key, value] : dict.entries)
      entries.emplace_back(json_key(key), value);
    if (style_.sort_keys)
      std::sort(entries.begin(), entries.end(),
                [](const auto &a, const auto &b) { return a.first < b.first; });
    sequence('{', '}', entries.size(), [&](size_t i) {
      append_json_string(entries[i].first, style_.ensure_ascii, out_);
      out_ += style_.key_separator;
      write(entries[i].second);
    });
  }

  std::string json_key(const Value &key) {
    switch (key.kind()) {
    case Kind::String:
      machine_.memory(key.text().size());
      return std::string(key.text());
    case Kind::None:
      return "null";
    case Kind::Bool:
      return key.as_bool() ? "true" : "false";
    case Kind::Int:
      return std::to_string(key.as_int());
    case Kind::Float:
      return json_float(key.as_double());
    default:
      machine_.fail(concat(kind_name(key), " cannot be a JSON key"));
      return {};
    }
  }

  Machine &machine_;
  const JsonStyle &style_;
  std::string &out_;
  int level_ = 0;
};

} // namespace

std::string float_repr(double value) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  // The fewest digits that read back as the same number, laid out as Python does: plain from 1e-4
  // up to 1e16. (std::to_chars would do; its tables take 160 KB of quern-run.)
  char buffer[64];
  std::string_view text;
  for (int digits = 0; digits <= 16; ++digits) {
    const int size = absl::SNPrintF(buffer, sizeof buffer, "%.*e", digits, value);
    text = std::string_view(buffer, static_cast<size_t>(size));
    double back = 0;
    const auto read = absl::from_chars(text.data(), text.data() + text.size(), back);
    if (read.ec == std::errc() && back == value) // 2e308 reads as the largest, and an error
      break;
  }
  const size_t e = text.find('e');
  const bool negative = text.front() == '-';
  std::string mantissa;
  for (char c : text.substr(negative, e - negative))
    if (c != '.')
      mantissa += c;
  int exponent = 0;
  const size_t sign = e + 1 + (text[e + 1] == '+'); // from_chars knows no plus sign
  std::from_chars(text.data() + sign, text.data() + text.size(), exponent);
  if (exponent < -4 || exponent >= 16) // %e writes at least two exponent digits, as Python
    return std::string(text);
  if (exponent < 0)
    mantissa.insert(0, static_cast<size_t>(-exponent), '0');
  const size_t whole = exponent < 0 ? 1 : static_cast<size_t>(exponent) + 1;
  if (mantissa.size() < whole + 1)
    mantissa.append(whole + 1 - mantissa.size(), '0');
  mantissa.insert(whole, ".");
  return (negative ? "-" : "") + mantissa;
}

void append_repr(Machine &machine, const Value &value, std::string &out) {
  const Machine::Depth depth(machine);
  if (!depth || !machine.work(16))
    return;
  switch (value.kind()) {
  case Kind::Undefined:
    out += "Undefined";
    return;
  case Kind::None:
    out += "None";
    return;
  case Kind::Bool:
    out += value.as_bool() ? "True" : "False";
    return;
  case Kind::Int:
    out += std::to_string(value.as_int());
    return;
  case Kind::Float:
    out += float_repr(value.as_double());
    return;
  case Kind::String:
    if (machine.memory(value.text().size()))
      append_string_repr(value.text(), out);
    return;
  case Kind::List: {
    const List &list = value.list();
    out += list.tuple ? '(' : '[';
    for (size_t i = 0; i < list.items.size() && machine.ok(); ++i) {
      if (i > 0)
        out += ", ";
      append_repr(machine, list.items[i], out);
    }
    if (list.tuple && list.items.size() == 1)
      out += ',';
    out += list.tuple ? ')' : ']';
    return;
  }
  case Kind::Dict: {
    const char *separator = "{";
    for (const auto &[key, item] : value.dict().entries) {
      if (!machine.ok())
        return;
      out += separator;
      append_repr(machine, key, out);
      out += ": ";
      append_repr(machine, item, out);
      separator = ", ";
    }
    out += value.dict().entries.empty() ? "{}" : "}";
    return;
  }
  default:
    out += '<';
    out += kind_name(value);
    out += '>';
  }
}

void append_str(Machine &machine, const Value &value, std::string &out) {
  if (value.is_undefined())
    return;
  if (!value.is_string())
    return append_repr(machine, value, out);
  if (machine.memory(value.text().size()))
    out += value.text();
}

std::string str(Machine &machine, const Value &value) {
  std::string text;
  append_str(machine, value, text);
  return text;
}

std::string json_dumps(Machine &machine, const Value &value, const JsonStyle &style) {
  std::string out;
  JsonWriter(machine, style, out).write(value);
  return out;
}

bool is_python_space(char32_t c) { return is_white_space(c) || (c >= 0x1c && c <= 0x1f); }

std::string_view strip(std::string_view text, StripSide side,
                       std::optional<std::string_view> chars) {
  const auto strips = [&](char32_t c, std::string_view spelled) {
    return chars ? chars->find(spelled) != std::string_view::npos : is_python_space(c);
  };
  while (side != StripSide::Right && !text.empty()) {
    const CodePoint point = first_code_point(text);
    if (!strips(point.value, text.substr(0, point.size)))
      break;
    text.remove_prefix(point.size);
  }
  while (side != StripSide::Left && !text.empty()) {
    size_t start = text.size() - 1;
    while (start > 0 && (static_cast<uint8_t>(text[start]) & 0xc0) == 0x80)
      --start;
    if (!strips(first_code_point(text.substr(start)).value, text.substr(start)))
      break;
    text = text.substr(0, start);
  }
  return text;
}

bool is_letter(char32_t c) {
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool is_decimal(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_ND;
}

Value replace_text(Machine &machine, std::string_view text, std::string_view from,
                   std::string_view to, int64_t count) {
  std::string out;
  if (!machine.work(text.size()))
    return {};
  while (count != 0 && machine.ok()) {
    // An empty `from` is found before each character and at the end.
    const size_t at = text.find(from);
    if (at == std::string_view::npos)
      break;
    if (!machine.memory(at + to.size()))
      return {};
    out += text.substr(0, at);
    out += to;
    text.remove_prefix(at + from.size());
    if (from.empty()) {
      if (text.empty())
        return machine.string(std::move(out));
      const size_t size = first_code_point(text).size;
      out += text.substr(0, size);
      text.remove_prefix(size);
    }
    --count;
  }
  out += text;
  return machine.string(std::move(out));
}

std::string change_case(std::string_view text, Case to) {
  std::string out;
  out.reserve(text.size());
  bool start = true;
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    const bool upper = to == Case::Upper || (start && to != Case::Lower);
    const auto c = static_cast<utf8proc_int32_t>(point.value);
    append_utf8(static_cast<char32_t>(upper ? utf8proc_toupper(c) : utf8proc_tolower(c)), out);
    start = to == Case::Title && !is_letter(point.value);
    text.remove_prefix(point.size);
  }
  return out;
}

} // namespace quern::text::jinja
