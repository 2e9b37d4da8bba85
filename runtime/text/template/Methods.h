// Methods of Python's str, dict and list that templates call. Methods that change their object are
// refused, as transformers' sandbox does.
#ifndef QUERN_RUNTIME_TEXT_TEMPLATE_METHODS_H
#define QUERN_RUNTIME_TEXT_TEMPLATE_METHODS_H

#include "runtime/text/template/Arguments.h"

namespace quern::text::jinja {

/// Whether values of this kind have a method of that name.
bool has_method(const Value &value, std::string_view name);

/// Calls it. Errors name the method.
Value call_method(Machine &machine, const Method &method, const Arguments &arguments);

/// The name a macro was defined under.
std::string_view macro_name(const Macro &macro);

} // namespace quern::text::jinja

#endif // QUERN_RUNTIME_TEXT_TEMPLATE_METHODS_H
