// The part of `verify` that calls entries of plain tensors.
#ifndef QUERN_RUNTIME_CLI_VERIFYCALLS_H
#define QUERN_RUNTIME_CLI_VERIFYCALLS_H

#include "runtime/session/Engine.h"

#include <absl/status/status.h>

#include <cstdint>
#include <string>

namespace quern::cli {

/// Calls that were replayed, and how far an output's floats were from the reference.
struct CallsVerified {
  uint32_t outputs = 0;
  double largest = 0; ///< root mean square difference, in standard deviations
};

/// Replays a call of the proof. Floats have to agree within its tolerance, all together; where one
/// is no finite number, so has to be the other; of other elements at most one in 50 may differ (a
/// float that was rounded to one may have been close to two).
/// Errors: DataLoss, where the vector contradicts the entry; FailedPrecondition, with what differs.
absl::Status check_call(session::Engine &engine, const artifact::CallVector &vector,
                        CallsVerified &verified);

} // namespace quern::cli

#endif // QUERN_RUNTIME_CLI_VERIFYCALLS_H
