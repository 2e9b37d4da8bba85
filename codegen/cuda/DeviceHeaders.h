// The headers that generated CUDA code may include: their texts, as they were when the compiler was
// built (CMakeLists.txt). NVRTC gets them from memory: no file is looked for.
#ifndef QUERN_CODEGEN_CUDA_DEVICEHEADERS_H
#define QUERN_CODEGEN_CUDA_DEVICEHEADERS_H

#include <span>

namespace quern::cuda {

struct DeviceHeader {
  const char *name; ///< as it is included: "codegen/cuda/device/Base.cuh"
  const char *text;
};

/// All of codegen/cuda/device; of the headers that the host has too, those that NVRTC can read
/// (runtime/abi/CudaStep.h, runtime/abi/StepArgs.h, ir/formats/PackingLayout.h,
/// ir/formats/PackingTable.h); and stdint.h.
std::span<const DeviceHeader> device_headers();

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_DEVICEHEADERS_H
