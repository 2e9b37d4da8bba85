// What the interpreter of PTX tells beyond a driver: counters of kernels, and estimates from them
// of their time on a GPU.
#ifndef QUERN_RUNTIME_DEVICE_CUDA_INTERPRETED_H
#define QUERN_RUNTIME_DEVICE_CUDA_INTERPRETED_H

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>

namespace quern::device::cuda {

/// Counts launches of device "ptx" from now on, from nothing. Called before the device is opened,
/// it counts from its first launch. Errors: Driver::load's; FailedPrecondition (the library counts
/// nothing).
absl::Status count_interpreted();

/// What was counted since, by kernel, in the order of their first launches: a JSON array, as
/// tests/ptx/counters/Estimate.h has it, with estimates for a GPU ("a100", "h100"). InvalidArgument
/// for one that the interpreter has no numbers of.
absl::StatusOr<std::string> interpreted_counters(const std::string &gpu);

} // namespace quern::device::cuda

#endif // QUERN_RUNTIME_DEVICE_CUDA_INTERPRETED_H
