// The cpu as a target.
#ifndef QUERN_CODEGEN_CPU_CPUTARGET_H
#define QUERN_CODEGEN_CPU_CPUTARGET_H

#include "codegen/Target.h"

namespace quern::cpu {

class CpuTarget final : public codegen::Target {
public:
  std::string_view name() const override { return "cpu"; }
  std::span<const codegen::VariantInfo> variants() const override;
  absl::StatusOr<std::string> native() const override;
  absl::Status available() const override;
  absl::Status check(mlir::ModuleOp planned) const override;
  absl::StatusOr<std::vector<std::string>>
  generate(mlir::ModuleOp planned, std::span<const std::string> variants,
           const codegen::GenerateOptions &options) const override;
};

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_CPUTARGET_H
