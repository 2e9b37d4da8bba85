// A step as the device reads it: QuernStepArgs, whose arrays lie all over the host's memory, made
// into one block (CudaStep.h) that is copied at once.
#ifndef QUERN_RUNTIME_DEVICE_CUDA_STEPBLOCK_H
#define QUERN_RUNTIME_DEVICE_CUDA_STEPBLOCK_H

#include "runtime/abi/StepArgs.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/device/Staging.h"
#include "runtime/device/cuda/Driver.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <span>

namespace quern::device::cuda {

/// Fills `block`, which the device will have at `address`, and returns how many of its bytes the
/// step needs. The step's sizes are within the bucket's, for which `layout` is made. Allocates
/// nothing. Error: Internal (the block is too small: a sequence has more pages than it was made
/// for).
absl::StatusOr<uint64_t> fill_step(std::span<uint8_t> block, DevicePtr address,
                                   const StepLayout &layout, const artifact::Manifest &manifest,
                                   const artifact::Entry &entry, const QuernStepArgs &args);

/// What a step left at CudaStep.h's `argmax`, as StepArgs.h has it.
QuernArgmax read_argmax(uint64_t packed);

} // namespace quern::device::cuda

#endif // QUERN_RUNTIME_DEVICE_CUDA_STEPBLOCK_H
