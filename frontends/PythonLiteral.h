// Texts and bytes as Python's repr writes them, in which the World vocabulary's tokens are spelled.
#ifndef QUERN_FRONTENDS_PYTHONLITERAL_H
#define QUERN_FRONTENDS_PYTHONLITERAL_H

#include <optional>
#include <string>
#include <string_view>

namespace quern {

/// What stands between the quotes, with its escapes undone: \xNN is a byte in a literal of bytes,
/// and a code point, in UTF-8, in one of text. nullopt where an escape is none that repr writes.
std::optional<std::string> unescape_python(std::string_view body, bool bytes);

/// A whole literal: '...', "...", b'...' or b"...". nullopt where it is none.
std::optional<std::string> parse_python_literal(std::string_view literal);

} // namespace quern

#endif // QUERN_FRONTENDS_PYTHONLITERAL_H
