// The methods of Python's str.
#ifndef QUERN_RUNTIME_TEXT_TEMPLATE_STRINGMETHODS_H
#define QUERN_RUNTIME_TEXT_TEMPLATE_STRINGMETHODS_H

#include "runtime/text/template/Arguments.h"

namespace quern::text::jinja {

bool has_string_method(std::string_view name);

/// Calls a method that has_string_method knows, of a string.
Value call_string_method(Machine &machine, const Method &method, const Arguments &arguments);

} // namespace quern::text::jinja

#endif // QUERN_RUNTIME_TEXT_TEMPLATE_STRINGMETHODS_H
