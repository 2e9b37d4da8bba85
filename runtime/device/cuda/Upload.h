// Weights into the device's memory, through pinned memory, while the file is read.
#ifndef QUERN_RUNTIME_DEVICE_CUDA_UPLOAD_H
#define QUERN_RUNTIME_DEVICE_CUDA_UPLOAD_H

#include "runtime/device/cuda/Gpu.h"

#include <absl/status/status.h>

#include <cstdint>
#include <memory>
#include <span>

namespace quern::device::cuda {

/// Copies `from`, mapped from a file, to `to`, and waits for it. The driver could not read a mapped
/// file by itself but a piece at a time; here a piece is read from the file while the one before is
/// on its way. Error: the driver's.
absl::Status upload(const std::shared_ptr<const Gpu> &gpu, Stream stream, DevicePtr to,
                    std::span<const uint8_t> from);

} // namespace quern::device::cuda

#endif // QUERN_RUNTIME_DEVICE_CUDA_UPLOAD_H
