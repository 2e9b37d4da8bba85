// What a template can do with values, but for calls: Python's operators, Jinja's attribute lookup.
#ifndef QUERN_RUNTIME_TEXT_TEMPLATE_OPERATORS_H
#define QUERN_RUNTIME_TEXT_TEMPLATE_OPERATORS_H

#include "runtime/text/template/Value.h"

#include <optional>

namespace quern::text::jinja {

/// a op b, op one of + - * / // % **. An error for what Python has not, and for integers beyond 64
/// bits.
Value arithmetic(Machine &machine, std::string_view op, const Value &a, const Value &b);
Value negate(Machine &machine, const Value &value);

/// item in container.
bool contains(Machine &machine, const Value &container, const Value &item);

/// value.name: an attribute or method, else an item. Undefined, without an error, where there is
/// none.
Value get_attribute(Machine &machine, const Value &value, std::string_view name);

/// value[key]: an item, else an attribute.
Value get_item(Machine &machine, const Value &value, const Value &key);

/// value[start:stop:step].
Value slice(Machine &machine, const Value &value, std::optional<int64_t> start,
            std::optional<int64_t> stop, int64_t step);

/// len(value). An error for what has none.
int64_t length(Machine &machine, const Value &value);

/// The integer in `value`; an error naming `what` otherwise.
int64_t integer(Machine &machine, const Value &value, std::string_view what);

} // namespace quern::text::jinja

#endif // QUERN_RUNTIME_TEXT_TEMPLATE_OPERATORS_H
