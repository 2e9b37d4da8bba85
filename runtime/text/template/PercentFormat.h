// Python's `text % values`.
#ifndef QUERN_RUNTIME_TEXT_TEMPLATE_PERCENTFORMAT_H
#define QUERN_RUNTIME_TEXT_TEMPLATE_PERCENTFORMAT_H

#include "runtime/text/template/Value.h"

#include <string_view>

namespace quern::text::jinja {

/// `text` with its conversions (%s, %r, %d, %5.2f, %(name)s, %%, ...) made of `values`: a tuple, a
/// dict for those by name, or one value. An error where Python raises one, for %a, and for widths
/// and precisions beyond 9999.
Value percent_format(Machine &machine, std::string_view text, const Value &values);

} // namespace quern::text::jinja

#endif // QUERN_RUNTIME_TEXT_TEMPLATE_PERCENTFORMAT_H
