// The filters that work on lists and dicts.
#ifndef QUERN_RUNTIME_TEXT_TEMPLATE_SEQUENCEFILTERS_H
#define QUERN_RUNTIME_TEXT_TEMPLATE_SEQUENCEFILTERS_H

#include "runtime/text/template/Arguments.h"

#include <optional>

namespace quern::text::jinja {

/// value|name(arguments); nullopt if no filter here has that name.
std::optional<Value> sequence_filter(Machine &machine, std::string_view name, const Value &value,
                                     const Arguments &arguments);

} // namespace quern::text::jinja

#endif // QUERN_RUNTIME_TEXT_TEMPLATE_SEQUENCEFILTERS_H
