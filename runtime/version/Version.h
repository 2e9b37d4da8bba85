// What this build is: the project's version and the commit it was built from.
#ifndef QUERN_RUNTIME_VERSION_VERSION_H
#define QUERN_RUNTIME_VERSION_VERSION_H

#include <string_view>

namespace quern {

/// "0.1.0"
std::string_view version();

/// The first twelve digits of the commit, or "unknown" when built outside a git checkout.
std::string_view commit();

} // namespace quern

#endif // QUERN_RUNTIME_VERSION_VERSION_H
