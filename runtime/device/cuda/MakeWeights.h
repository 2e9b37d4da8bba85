// Weights that the artifact does not hold, made on the device (runtime/artifact/MadeWeights.h).
#ifndef QUERN_RUNTIME_DEVICE_CUDA_MAKEWEIGHTS_H
#define QUERN_RUNTIME_DEVICE_CUDA_MAKEWEIGHTS_H

#include "runtime/artifact/Artifact.h"
#include "runtime/device/cuda/Gpu.h"

#include <absl/status/status.h>

#include <memory>

namespace quern::device::cuda {

/// Fills the artifact.weights_bytes() bytes at `weights`, and waits for it. Error: the driver's.
absl::Status make_weights(const std::shared_ptr<const Gpu> &gpu, Stream stream,
                          const artifact::Artifact &artifact, DevicePtr weights);

} // namespace quern::device::cuda

#endif // QUERN_RUNTIME_DEVICE_CUDA_MAKEWEIGHTS_H
