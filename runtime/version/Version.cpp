#include "runtime/version/Version.h"

#include "runtime/version/Commit.h"

std::string_view quern::version() { return QUERN_VERSION; }

std::string_view quern::commit() { return QUERN_COMMIT; }
