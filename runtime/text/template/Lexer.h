// Cuts a template into text and the tokens of its tags, with white space control settled:
// trim_blocks and lstrip_blocks are on, as transformers sets them, and one newline at the end of
// the template is dropped (Jinja's "Template Designer Documentation", section Whitespace Control).
#ifndef QUERN_RUNTIME_TEXT_TEMPLATE_LEXER_H
#define QUERN_RUNTIME_TEXT_TEMPLATE_LEXER_H

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quern::text::jinja {

struct Token {
  enum class Kind : uint8_t {
    Text,          ///< between tags
    BlockBegin,    ///< {%
    BlockEnd,      ///< %}
    VariableBegin, ///< {{
    VariableEnd,   ///< }}
    Name,
    String, ///< escapes resolved
    Integer,
    Float,
    Operator,
    End,
  };
  Kind kind = Kind::End;
  int line = 1;
  std::string text;
  int64_t integer = 0;
  double number = 0;
};

/// The tokens of `source` (UTF-8), the last of which is End. Errors name the line.
absl::StatusOr<std::vector<Token>> tokenize(std::string_view source);

} // namespace quern::text::jinja

#endif // QUERN_RUNTIME_TEXT_TEMPLATE_LEXER_H
