// How Python writes values as text: str(), repr(), json.dumps(), and its notions of white space and
// letters.
#ifndef QUERN_RUNTIME_TEXT_TEMPLATE_PYTHONTEXT_H
#define QUERN_RUNTIME_TEXT_TEMPLATE_PYTHONTEXT_H

#include "runtime/text/template/Value.h"

#include <optional>
#include <string>
#include <string_view>

namespace quern::text::jinja {

/// str(value), appended. Undefined is nothing.
void append_str(Machine &machine, const Value &value, std::string &out);
std::string str(Machine &machine, const Value &value);

/// repr(value), appended.
void append_repr(Machine &machine, const Value &value, std::string &out);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent; ///< one level's; none: all on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

/// json.dumps(value). An error for what JSON has not.
std::string json_dumps(Machine &machine, const Value &value, const JsonStyle &style);

/// repr() of a float: the shortest digits that read back as the same.
std::string float_repr(double value);

enum class StripSide : uint8_t { Left, Right, Both };
/// str.strip and its kin: white space, or the characters of `chars`.
std::string_view strip(std::string_view text, StripSide side,
                       std::optional<std::string_view> chars = std::nullopt);
/// What str.isspace is true for.
bool is_python_space(char32_t c);

enum class Case : uint8_t {
  Upper,
  Lower,
  Title,      ///< letters after what is no letter are upper case, others lower
  Capitalize, ///< the first character is upper case, others lower
};
/// One character for one: "ß" has no upper case here.
std::string change_case(std::string_view text, Case to);

/// text.replace(from, to), the first `count` times; negative: all.
Value replace_text(Machine &machine, std::string_view text, std::string_view from,
                   std::string_view to, int64_t count = -1);

/// Classes of characters, for str.isalpha and its kin.
bool is_letter(char32_t c);
bool is_decimal(char32_t c);

} // namespace quern::text::jinja

#endif // QUERN_RUNTIME_TEXT_TEMPLATE_PYTHONTEXT_H
