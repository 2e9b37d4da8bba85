#include "codegen/cuda/CudaTarget.h"

#include "mlir/IR/BuiltinOps.h"

namespace quern::cuda {

std::span<const codegen::VariantInfo> CudaTarget::variants() const {
  static const std::vector<codegen::VariantInfo> all = {{"sm_80", {"sm_80"}, {"a100"}},
                                                        {"sm_90a", {"sm_90a"}, {"h100"}}};
  return all;
}

absl::StatusOr<std::string> CudaTarget::native() const {
  return absl::FailedPreconditionError(
      "this machine has no GPU that --variant native could mean\nhint: name the variant of the "
      "machine that will run it: --variant a100");
}

absl::Status CudaTarget::available() const {
  return absl::FailedPreconditionError("this build makes no code for it yet\nhint: --target cpu");
}

uint64_t CudaTarget::bytes_a_kernel() const { return 64 << 10; }

absl::Status CudaTarget::check(mlir::ModuleOp) const { return absl::OkStatus(); }

absl::StatusOr<std::vector<std::string>>
CudaTarget::generate(mlir::ModuleOp, std::span<const std::string>,
                     const codegen::GenerateOptions &) const {
  return available();
}

} // namespace quern::cuda
