// Jinja's filters and tests (Jinja's "Template Designer Documentation", lists of builtin filters
// and tests), and transformers' tojson.
#ifndef QUERN_RUNTIME_TEXT_TEMPLATE_FILTERS_H
#define QUERN_RUNTIME_TEXT_TEMPLATE_FILTERS_H

#include "runtime/text/template/Arguments.h"

namespace quern::text::jinja {

/// value|name(arguments). An error for a filter that is not known.
Value apply_filter(Machine &machine, std::string_view name, const Value &value,
                   const Arguments &arguments);

/// value is name(arguments). An error for a test that is not known.
bool apply_test(Machine &machine, std::string_view name, const Value &value,
                const Arguments &arguments);

bool has_filter(std::string_view name);
bool has_test(std::string_view name);

} // namespace quern::text::jinja

#endif // QUERN_RUNTIME_TEXT_TEMPLATE_FILTERS_H
