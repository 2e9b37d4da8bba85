#include "runtime/cli/Report.h"

#include <cerrno>
#include <cstdio>

namespace quern::cli {

int fail(const absl::Status &status) {
  std::fflush(stdout);
  std::fprintf(stderr, "error: %s\n", std::string(status.message()).c_str());
  return kFailed;
}

int wrong_usage(const absl::Status &status) {
  fail(status);
  return kWrongUsage;
}

int wrong_usage(const std::string &what, const std::string &hint) {
  std::fprintf(stderr, "error: %s\nhint: %s\n", what.c_str(), hint.c_str());
  return kWrongUsage;
}

std::optional<int> first_mistake(std::initializer_list<absl::Status> checks) {
  for (const absl::Status &status : checks)
    if (!status.ok())
      return wrong_usage(status);
  return std::nullopt;
}

absl::Status flush_output() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout))
    return absl::ErrnoToStatus(errno, "cannot write to standard output");
  return absl::OkStatus();
}

} // namespace quern::cli
