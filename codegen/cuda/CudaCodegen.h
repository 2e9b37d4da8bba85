// The cuda target: kernels of a planned module -> CUDA C++ -> PTX and cubins, a code section a
// variant.
#ifndef QUERN_CODEGEN_CUDA_CUDACODEGEN_H
#define QUERN_CODEGEN_CUDA_CUDACODEGEN_H

#include "codegen/Target.h"

namespace quern::cuda {

/// As Target::check and Target::generate have it. `variants` are architectures: "sm_80", "sm_90a".
absl::Status check(mlir::ModuleOp planned);
absl::StatusOr<std::vector<std::string>> generate(mlir::ModuleOp planned,
                                                  std::span<const std::string> variants,
                                                  const codegen::GenerateOptions &options);

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_CUDACODEGEN_H
