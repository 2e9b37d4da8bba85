#include "runtime/text/template/PercentFormat.h"

#include "runtime/text/Message.h"
#include "runtime/text/Utf8.h"
#include "runtime/text/template/PythonText.h"

#include <absl/strings/str_format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

namespace quern::text::jinja {
namespace {

constexpr int64_t kWidest = 9999;

class PercentFormat {
public:
  PercentFormat(Machine &machine, std::string_view text, const Value &values)
      : machine_(machine), rest_(text), values_(values) {}

  Value format() {
    while (!rest_.empty() && machine_.ok()) {
      const size_t percent = std::min(rest_.find('%'), rest_.size());
      append(rest_.substr(0, percent));
      rest_.remove_prefix(percent);
      if (!rest_.empty())
        convert();
    }
    // What can be asked for items counts as a mapping, of which not all need be used.
    const bool mapping =
        values_.is_dict() || values_.is_undefined() || (values_.is_list() && !values_.list().tuple);
    if (!mapping && next_ < count() && !by_name_)
      machine_.fail("not all arguments converted during string formatting");
    return machine_.ok() ? machine_.string(std::move(out_)) : Value();
  }

private:
  bool is_tuple() const { return values_.is_list() && values_.list().tuple; }
  size_t count() const { return is_tuple() ? values_.list().items.size() : 1; }

  void append(std::string_view text) {
    if (machine_.memory(text.size()))
      out_ += text;
  }

  char peek() const { return rest_.empty() ? '\0' : rest_.front(); }
  char take() {
    if (rest_.empty()) {
      machine_.fail("incomplete format");
      return '\0';
    }
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  Value next_value() {
    if (next_ >= count())
      return machine_.fail("not enough arguments for format string");
    const size_t i = next_++;
    return is_tuple() ? values_.list().items[i] : values_;
  }

  /// The value of a conversion by name, behind its '('.
  Value named_value() {
    std::string_view name = rest_;
    for (int depth = 1; depth > 0 && machine_.ok();) {
      const char c = take();
      depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    }
    if (!machine_.ok())
      return {};
    name = name.substr(0, name.size() - rest_.size() - 1);
    by_name_ = true;
    if (!values_.is_dict())
      return machine_.fail("format requires a mapping");
    const Value *value = find(machine_, values_.dict(), name);
    return value ? *value : machine_.fail(concat("format: there is no key '", name, "'"));
  }

  /// A width or precision: digits, or '*' for the next value.
  int64_t number() {
    int64_t number = 0;
    if (peek() == '*') {
      take();
      const Value value = next_value();
      if (machine_.ok() && !value.is_integer())
        machine_.fail("* wants int");
      number = machine_.ok() ? value.as_int() : 0;
    } else {
      while (peek() >= '0' && peek() <= '9' && number <= kWidest)
        number = number * 10 + (take() - '0');
    }
    if (number > kWidest || number < -kWidest)
      machine_.fail("format: a width or precision that is too large");
    return number;
  }

  void convert() {
    take(); // '%'
    if (peek() == '%') {
      take();
      return append("%");
    }
    std::optional<Value> named;
    if (peek() == '(') {
      take();
      named = named_value();
    }
    left_ = zero_ = plus_ = blank_ = alternate_ = false;
    for (bool more = true; more && machine_.ok();) {
      const char c = peek();
      left_ |= c == '-';
      zero_ |= c == '0';
      plus_ |= c == '+';
      blank_ |= c == ' ';
      alternate_ |= c == '#';
      more = c == '-' || c == '0' || c == '+' || c == ' ' || c == '#';
      if (more)
        take();
    }
    int64_t width = number();
    left_ |= width < 0;
    width = std::abs(width);
    precision_.reset();
    if (peek() == '.') {
      take();
      precision_ = std::max<int64_t>(number(), 0);
    }
    if (peek() == 'h' || peek() == 'l' || peek() == 'L')
      take();
    const char type = take();
    if (!machine_.ok())
      return;
    static constexpr std::string_view kTypes = "srcdiuoxXeEfFgG";
    if (kTypes.find(type) == std::string_view::npos) {
      machine_.fail(concat("unsupported format character '", type, "'"));
      return;
    }
    const Value value = named ? *named : next_value();
    if (!machine_.ok())
      return;
    std::string sign, body;
    const bool numeric = std::string_view("src").find(type) == std::string_view::npos;
    if (!numeric)
      body = as_text(type, value);
    else if (std::string_view("eEfFgG").find(type) != std::string_view::npos)
      body = as_float(type, value, sign);
    else
      body = as_integer(type, value, sign);
    pad(sign, body, static_cast<size_t>(width), numeric);
  }

  void pad(const std::string &sign, const std::string &body, size_t width, bool numeric) {
    const size_t size = sign.size() + count_code_points(body);
    const size_t missing = width > size ? width - size : 0;
    const std::string fill(missing, numeric && zero_ && !left_ ? '0' : ' ');
    if (left_)
      append(sign + body + fill);
    else if (numeric && zero_)
      append(sign + fill + body);
    else
      append(fill + sign + body);
  }

  std::string as_text(char type, const Value &value) {
    std::string text;
    if (type == 'c') {
      if (value.is_integer() && value.as_int() >= 0 && value.as_int() < 0x110000)
        append_utf8(static_cast<char32_t>(value.as_int()), text);
      else if (value.is_string() && count_code_points(value.text()) == 1)
        text = value.text();
      else
        machine_.fail(concat("%c requires an int or a unicode character, not ", kind_name(value)));
      return text;
    }
    if (type == 's')
      append_str(machine_, value, text);
    else
      append_repr(machine_, value, text);
    if (!precision_)
      return text;
    size_t end = 0;
    for (int64_t i = 0; i < *precision_ && end < text.size(); ++i)
      end += first_code_point(std::string_view(text).substr(end)).size;
    text.resize(end);
    return text;
  }

  std::string sign_of(bool negative) const {
    return negative ? "-" : plus_ ? "+" : blank_ ? " " : "";
  }

  std::string as_integer(char type, const Value &value, std::string &sign) {
    const bool decimal = type == 'd' || type == 'i' || type == 'u';
    if (!value.is_integer() && !(decimal && value.is(Kind::Float))) {
      machine_.fail(concat("%", type, " format: ", decimal ? "a real number" : "an integer",
                           " is required, not ", kind_name(value)));
      return "";
    }
    int64_t number = 0;
    if (value.is_integer())
      number = value.as_int();
    else if (std::abs(value.as_double()) < 9.2e18)
      number = static_cast<int64_t>(value.as_double());
    else
      machine_.fail("an integer beyond 64 bits");
    const uint64_t size =
        number < 0 ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
    std::string digits = decimal       ? absl::StrFormat("%d", size)
                         : type == 'o' ? absl::StrFormat("%o", size)
                         : type == 'x' ? absl::StrFormat("%x", size)
                                       : absl::StrFormat("%X", size);
    if (precision_ && digits.size() < static_cast<size_t>(*precision_))
      digits.insert(0, static_cast<size_t>(*precision_) - digits.size(), '0');
    sign = sign_of(number < 0);
    if (alternate_ && !decimal)
      sign += concat("0", type); // before the zeros that fill
    return digits;
  }

  std::string as_float(char type, const Value &value, std::string &sign) {
    if (!value.is_number()) {
      machine_.fail(concat("must be real number, not ", kind_name(value)));
      return "";
    }
    const double number = value.as_double(), size = std::abs(number);
    sign = sign_of(std::signbit(number) && !std::isnan(number));
    const int precision = static_cast<int>(precision_.value_or(6));
    switch (type) {
    case 'e':
      return alternate_ ? absl::StrFormat("%#.*e", precision, size)
                        : absl::StrFormat("%.*e", precision, size);
    case 'E':
      return alternate_ ? absl::StrFormat("%#.*E", precision, size)
                        : absl::StrFormat("%.*E", precision, size);
    case 'f':
      return alternate_ ? absl::StrFormat("%#.*f", precision, size)
                        : absl::StrFormat("%.*f", precision, size);
    case 'F':
      return alternate_ ? absl::StrFormat("%#.*F", precision, size)
                        : absl::StrFormat("%.*F", precision, size);
    case 'g':
      return alternate_ ? absl::StrFormat("%#.*g", precision, size)
                        : absl::StrFormat("%.*g", precision, size);
    default:
      return alternate_ ? absl::StrFormat("%#.*G", precision, size)
                        : absl::StrFormat("%.*G", precision, size);
    }
  }

  Machine &machine_;
  std::string_view rest_; ///< of the format
  const Value &values_;
  size_t next_ = 0;
  bool by_name_ = false;
  std::string out_;
  // Of the conversion at hand.
  bool left_ = false, zero_ = false, plus_ = false, blank_ = false, alternate_ = false;
  std::optional<int64_t> precision_;
};

} // namespace

Value percent_format(Machine &machine, std::string_view text, const Value &values) {
  return PercentFormat(machine, text, values).format();
}

} // namespace quern::text::jinja
