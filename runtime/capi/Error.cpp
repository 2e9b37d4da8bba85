#include "runtime/capi/Handles.h"
#include "runtime/version/Version.h"

#include <string>

namespace {

thread_local std::string last_error;

} // namespace

namespace quern::capi {

QuernStatus report(const absl::Status &status) {
  last_error = std::string(status.message());
  switch (status.code()) {
  case absl::StatusCode::kInvalidArgument:
  case absl::StatusCode::kNotFound:
  case absl::StatusCode::kPermissionDenied:
  case absl::StatusCode::kResourceExhausted:
  case absl::StatusCode::kFailedPrecondition:
  case absl::StatusCode::kOutOfRange:
  case absl::StatusCode::kUnimplemented:
  case absl::StatusCode::kDataLoss:
    return static_cast<QuernStatus>(status.code()); // the same numbers
  default:
    return QUERN_INTERNAL;
  }
}

} // namespace quern::capi

extern "C" {

const char *quern_last_error(void) { return last_error.c_str(); }

uint32_t quern_api_version(void) { return QUERN_API_VERSION; }

const char *quern_version(void) {
  static const std::string version =
      std::string(quern::version()) + " (commit " + std::string(quern::commit()) + ")";
  return version.c_str();
}
}
