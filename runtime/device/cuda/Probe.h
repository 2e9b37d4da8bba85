// What a GPU can do at best, measured: the bounds that bench compares with.
#ifndef QUERN_RUNTIME_DEVICE_CUDA_PROBE_H
#define QUERN_RUNTIME_DEVICE_CUDA_PROBE_H

#include "runtime/device/cuda/Gpu.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>

namespace quern::device::cuda {

/// Bytes a second at which all multiprocessors read `bytes` and `more_bytes` bytes at these
/// addresses, 16-byte aligned: the best of several passes. A kernel of its own, for what the driver
/// copies it must write too.
absl::StatusOr<double> probe_read(const std::shared_ptr<const Gpu> &gpu, Stream stream,
                                  DevicePtr at, uint64_t bytes, DevicePtr more,
                                  uint64_t more_bytes);

/// Operations a second (a multiply-add is two) of the tensor cores' `mma.sync` of 8-bit integers,
/// or of bfloat16: instructions that every GPU from compute capability 8.0 on has. On Hopper
/// `wgmma` does more.
absl::StatusOr<double> probe_ops(const std::shared_ptr<const Gpu> &gpu, Stream stream,
                                 bool integer);

} // namespace quern::device::cuda

#endif // QUERN_RUNTIME_DEVICE_CUDA_PROBE_H
