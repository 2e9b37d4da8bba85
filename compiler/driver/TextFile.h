// Whole text files.
#ifndef QUERN_COMPILER_DRIVER_TEXTFILE_H
#define QUERN_COMPILER_DRIVER_TEXTFILE_H

#include <absl/status/status.h>

#include <string>
#include <string_view>

namespace quern::driver {

/// Writes `text` to `path`, whole or not at all; a path that is no regular file (/dev/stdout) is
/// written directly. Errors are the system's, with the path.
absl::Status write_text(const std::string &path, std::string_view text);

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_TEXTFILE_H
