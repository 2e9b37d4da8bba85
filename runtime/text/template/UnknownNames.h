// What a parsed template uses that there is not, found without running it.
#ifndef QUERN_RUNTIME_TEXT_TEMPLATE_UNKNOWNNAMES_H
#define QUERN_RUNTIME_TEXT_TEMPLATE_UNKNOWNNAMES_H

#include "runtime/text/template/Ast.h"

#include <string>
#include <vector>

namespace quern::text::jinja {

/// "line 3: the filter 'x'", for each filter, test and called function that neither the language
/// nor the template defines. Functions that the template asks `is defined` of are left out.
std::vector<std::string> unknown_names(const Body &body);

} // namespace quern::text::jinja

#endif // QUERN_RUNTIME_TEXT_TEMPLATE_UNKNOWNNAMES_H
