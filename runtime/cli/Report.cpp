#include "runtime/cli/Report.h"

#include <cerrno>
#include <cstdio>
#include <poll.h>

namespace quern::cli {
namespace {

int write_error = 0; // errno of the first write to stdout that failed

// absl's code for "whoever asked does not want it any more", which nothing else here returns.
absl::Status closed() { return absl::CancelledError("standard output was closed"); }

// A pipe or socket without a reader, also where the write that found out is long past.
bool nobody_reads() {
  pollfd fd{fileno(stdout), POLLOUT, 0};
  return poll(&fd, 1, 0) == 1 && (fd.revents & (POLLERR | POLLHUP)) != 0;
}

} // namespace

int fail(const absl::Status &status) {
  std::fflush(stdout);
  if (!reader_gone(status))
    std::fprintf(stderr, "error: %s\n", std::string(status.message()).c_str());
  return kFailed;
}

void say(const std::string &line) {
  std::fflush(stdout);
  std::fprintf(stderr, "%s\n", line.c_str());
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

void print(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() && write_error == 0)
    write_error = errno;
}

absl::Status flush_output() {
  errno = 0;
  if (std::fflush(stdout) != 0 && write_error == 0)
    write_error = errno;
  if (!std::ferror(stdout) && write_error == 0)
    return absl::OkStatus();
  if (write_error == EPIPE || nobody_reads())
    return closed();
  // Where printf has failed, it has told nobody why.
  constexpr const char *kWhat = "cannot write to standard output";
  return write_error == 0 ? absl::UnknownError(kWhat) : absl::ErrnoToStatus(write_error, kWhat);
}

bool reader_gone(const absl::Status &status) { return absl::IsCancelled(status); }

} // namespace quern::cli
