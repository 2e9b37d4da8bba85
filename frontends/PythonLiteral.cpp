#include "frontends/PythonLiteral.h"

#include "runtime/text/Utf8.h"

#include <charconv>
#include <cstdint>

namespace quern {

std::optional<std::string> unescape_python(std::string_view body, bool bytes) {
  std::string out;
  while (!body.empty()) {
    if (body.front() != '\\') {
      out += body.front();
      body.remove_prefix(1);
      continue;
    }
    if (body.size() < 2)
      return std::nullopt;
    const char kind = body[1];
    body.remove_prefix(2);
    size_t digits = 0;
    switch (kind) {
    case 't':
      out += '\t';
      break;
    case 'n':
      out += '\n';
      break;
    case 'r':
      out += '\r';
      break;
    case '\\':
    case '\'':
    case '"':
      out += kind;
      break;
    case 'x':
      digits = 2;
      break;
    case 'u':
      digits = bytes ? 0 : 4;
      break;
    case 'U':
      digits = bytes ? 0 : 8;
      break;
    default:
      return std::nullopt;
    }
    if (kind != 'x' && kind != 'u' && kind != 'U')
      continue;
    uint32_t value = 0;
    const char *const end = body.data() + digits;
    if (digits == 0 || body.size() < digits ||
        std::from_chars(body.data(), end, value, 16).ptr != end || value > 0x10FFFF ||
        (value >= 0xD800 && value < 0xE000))
      return std::nullopt;
    body.remove_prefix(digits);
    if (bytes)
      out += static_cast<char>(value);
    else
      text::append_utf8(value, out);
  }
  return out;
}

std::optional<std::string> parse_python_literal(std::string_view literal) {
  const bool bytes = literal.starts_with('b');
  if (bytes)
    literal.remove_prefix(1);
  if (literal.size() < 2 || literal.front() != literal.back() ||
      (literal.front() != '\'' && literal.front() != '"'))
    return std::nullopt;
  return unescape_python(literal.substr(1, literal.size() - 2), bytes);
}

} // namespace quern
