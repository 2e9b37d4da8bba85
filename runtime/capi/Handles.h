// What is behind the handles of runtime/quern.h, and how C++ results become C ones.
#ifndef QUERN_RUNTIME_CAPI_HANDLES_H
#define QUERN_RUNTIME_CAPI_HANDLES_H

#include "runtime/quern.h"
#include "runtime/session/Engine.h"
#include "runtime/session/Sampler.h"
#include "runtime/text/Tokenizer.h"

#include <absl/status/status.h>

#include <exception>
#include <memory>

struct QuernModel {
  std::unique_ptr<quern::session::Engine> engine;
  std::unique_ptr<quern::text::Tokenizer> tokenizer; ///< null: the model has none
};

struct QuernSampler {
  quern::session::Sampler sampler;
};

namespace quern::capi {

/// Remembers the message for quern_last_error, and returns the code.
QuernStatus report(const absl::Status &status);

/// Calls `body`, which returns an absl::Status; what it throws (out of memory) becomes a status
/// too.
template <typename Body> QuernStatus guarded(Body body) {
  try {
    const absl::Status status = body();
    return status.ok() ? QUERN_OK : report(status);
  } catch (const std::bad_alloc &) {
    return report(absl::ResourceExhaustedError("out of memory"));
  } catch (const std::exception &error) {
    return report(absl::InternalError(error.what()));
  }
}

} // namespace quern::capi

#endif // QUERN_RUNTIME_CAPI_HANDLES_H
