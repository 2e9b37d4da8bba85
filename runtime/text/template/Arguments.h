// The arguments of a call, a filter or a test.
#ifndef QUERN_RUNTIME_TEXT_TEMPLATE_ARGUMENTS_H
#define QUERN_RUNTIME_TEXT_TEMPLATE_ARGUMENTS_H

#include "runtime/text/template/Value.h"

#include <initializer_list>

namespace quern::text::jinja {

struct Arguments {
  Values positional;
  std::vector<std::pair<std::string_view, Value>> named;

  /// The value of each of `names`, by position or name; Undefined where it was not given. An error,
  /// naming `callee`, for arguments that have no place.
  Values bind(Machine &machine, std::string_view callee,
              std::initializer_list<std::string_view> names) const;
};

} // namespace quern::text::jinja

#endif // QUERN_RUNTIME_TEXT_TEMPLATE_ARGUMENTS_H
