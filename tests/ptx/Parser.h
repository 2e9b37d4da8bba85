// PTX text to syntax.
#ifndef QUERN_TESTS_PTX_PARSER_H
#define QUERN_TESTS_PTX_PARSER_H

#include "tests/ptx/Syntax.h"

#include <absl/status/statusor.h>

#include <string_view>

namespace quern::ptx {

/// Parses a module. An error names the line, and what stands there: every directive that is not
/// known is refused, none is passed over.
absl::StatusOr<ModuleSyntax> parse(std::string_view text);

} // namespace quern::ptx

#endif // QUERN_TESTS_PTX_PARSER_H
