// Parses templates as Jinja does, tag by tag (Jinja's "Template Designer Documentation").
//
// Not part of it: template inheritance and imports (extends, block, include, import), recursive
// loops, translations and autoescape; they are refused by name.
#ifndef QUERN_RUNTIME_TEXT_TEMPLATE_PARSER_H
#define QUERN_RUNTIME_TEXT_TEMPLATE_PARSER_H

#include "runtime/text/template/Ast.h"

#include <absl/status/statusor.h>

#include <string_view>

namespace quern::text::jinja {

/// The template `source`. Any bytes are safe: what nests too deep is refused, as is a syntax error,
/// with its line.
absl::StatusOr<Body> parse(std::string_view source);

} // namespace quern::text::jinja

#endif // QUERN_RUNTIME_TEXT_TEMPLATE_PARSER_H
