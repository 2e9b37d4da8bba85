// The kernels of a variant, loaded: each module's cubin, or its PTX where the GPU takes no cubin of
// it.
#ifndef QUERN_RUNTIME_DEVICE_CUDA_KERNELS_H
#define QUERN_RUNTIME_DEVICE_CUDA_KERNELS_H

#include "runtime/device/cuda/CodeSection.h"
#include "runtime/device/cuda/Gpu.h"

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <vector>

namespace quern::device::cuda {

/// A function of a module, ready to be launched.
struct Kernel {
  std::string name;
  Function function = nullptr;
  uint32_t shared = 0; ///< bytes of dynamic shared memory of a block
  /// Blocks of it that the GPU holds at once: more than that would wait for others to end.
  uint32_t resident = 0;
};

class Kernels {
public:
  /// `only_ptx`: cubins are not tried. Errors: FailedPrecondition (the driver is too old for the
  /// PTX, saying its version and the one that is needed; the GPU has too little shared memory;
  /// it takes neither cubin nor PTX, with the driver's words), NotFound (a module lacks a
  /// function).
  static absl::StatusOr<Kernels> load(std::shared_ptr<const Gpu> gpu, const Code &code,
                                      bool only_ptx);

  /// By index into Code::functions.
  const Kernel &operator[](size_t i) const { return kernels_[i]; }

private:
  std::vector<OwnedModule> modules_;
  std::vector<Kernel> kernels_;
};

/// One module's PTX or cubin, loaded: also for code of the runtime's own.
absl::StatusOr<OwnedModule> load_module(const std::shared_ptr<const Gpu> &gpu,
                                        const CodeModule &module, bool only_ptx);

/// The function of that name, for blocks of `threads` threads and `shared` bytes of dynamic shared
/// memory.
absl::StatusOr<Kernel> load_kernel(const Gpu &gpu, Module module, const std::string &name,
                                   uint32_t shared, uint32_t threads);

} // namespace quern::device::cuda

#endif // QUERN_RUNTIME_DEVICE_CUDA_KERNELS_H
