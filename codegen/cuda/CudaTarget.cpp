// See CudaTarget.h.
#include "codegen/cuda/CudaTarget.h"

#include "codegen/cuda/CudaCodegen.h"
#include "codegen/cuda/Nvrtc.h"

namespace quern::cuda {

std::span<const codegen::VariantInfo> CudaTarget::variants() const {
  static const std::vector<codegen::VariantInfo> all = {{"sm_80", {"sm_80"}, {"a100"}},
                                                        {"sm_90a", {"sm_90a"}, {"h100"}}};
  return all;
}

// Code is made without a GPU, so there is none to ask.
absl::StatusOr<std::string> CudaTarget::native() const {
  return absl::FailedPreconditionError(
      "the compiler does not look for GPUs: it cannot say which variant of the target cuda is "
      "native\nhint: name the variant: sm_80 (a100) runs on every GPU since the A100, sm_90a "
      "(h100) "
      "on an H100 or H200; `quern-run devices` lists what a machine has");
}

absl::Status CudaTarget::available() const { return cuda::available(); }

// PTX and a cubin, 10 to 40 KB each.
uint64_t CudaTarget::bytes_a_kernel() const { return 40 << 10; }

absl::Status CudaTarget::check(mlir::ModuleOp planned) const { return cuda::check(planned); }

absl::StatusOr<std::vector<std::string>>
CudaTarget::generate(mlir::ModuleOp planned, std::span<const std::string> variants,
                     const codegen::GenerateOptions &options) const {
  return cuda::generate(planned, variants, options);
}

} // namespace quern::cuda
