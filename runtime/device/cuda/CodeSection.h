// A variant's code section, read and held to what the manifest says (runtime/artifact/cuda_code.fbs
// is its form): after this, no index and no place in it needs to be looked at again.
#ifndef QUERN_RUNTIME_DEVICE_CUDA_CODESECTION_H
#define QUERN_RUNTIME_DEVICE_CUDA_CODESECTION_H

#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/cuda_code_generated.h"

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern::device::cuda {

/// The target, as manifests name it.
inline constexpr std::string_view kTarget = "cuda";

struct CodeModule {
  std::string name;
  const char *ptx = nullptr; ///< ends in a NUL; in the section
  std::span<const uint8_t> cubin;
};

struct CodeFunction {
  std::string name;
  uint32_t module = 0;
  uint32_t shared = 0; ///< bytes of dynamic shared memory
};

struct CodeOperand {
  artifact::CudaBase base{};
  uint32_t index = 0;
  int64_t number = 0;
};

struct CodeLaunch {
  uint32_t function = 0;
  uint32_t dispatch = 0;
  uint32_t max_workers = 0;
  std::vector<CodeOperand> operands;
};

struct CodeBucket {
  std::vector<CodeLaunch> launches; ///< by dispatch
  std::optional<CodeLaunch> persistent;
};

struct Code {
  std::vector<CodeModule> modules;
  std::vector<CodeFunction> functions;
  /// By entry and bucket of the manifest; of buckets of other targets, without launches.
  std::vector<std::vector<CodeBucket>> buckets;
};

/// `bytes` must outlive what is returned. Errors: DataLoss (not such a section; or an index, a
/// place or a number in it is impossible: names it); InvalidArgument (of another ABI version).
absl::StatusOr<Code> read_code(std::span<const uint8_t> bytes, const artifact::Manifest &manifest,
                               uint64_t weights_bytes);

/// The most dynamic shared memory that a block of any of its functions takes, in bytes; 0 of what
/// read_code refuses.
uint32_t largest_shared(std::span<const uint8_t> bytes);

} // namespace quern::device::cuda

#endif // QUERN_RUNTIME_DEVICE_CUDA_CODESECTION_H
