// The target cuda, as the driver knows targets.
#ifndef QUERN_CODEGEN_CUDA_CUDATARGET_H
#define QUERN_CODEGEN_CUDA_CUDATARGET_H

#include "codegen/Target.h"

namespace quern::cuda {

/// NVIDIA GPUs: sm_80 (A100 and everything newer, by JIT) and sm_90a (H100, H200).
class CudaTarget final : public codegen::Target {
public:
  std::string_view name() const override { return "cuda"; }
  std::span<const codegen::VariantInfo> variants() const override;
  absl::StatusOr<std::string> native() const override;
  absl::Status available() const override;
  absl::Status check(mlir::ModuleOp planned) const override;
  absl::StatusOr<std::vector<std::string>>
  generate(mlir::ModuleOp planned, std::span<const std::string> variants,
           const codegen::GenerateOptions &options) const override;
};

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_CUDATARGET_H
