#include "codegen/cpu/CpuTarget.h"

#include "codegen/cpu/CpuCodegen.h"
#include "runtime/device/cpu/Features.h"

#include "mlir/IR/BuiltinOps.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

namespace quern::cpu {

// 13.3 KiB on SmolLM2, for amx.
static constexpr uint64_t kBytesAKernel = 13 << 10;

std::span<const codegen::VariantInfo> CpuTarget::variants() const {
  static const std::vector<codegen::VariantInfo> all = [] {
    std::vector<codegen::VariantInfo> made;
    for (const Variant &variant : cpu::variants())
      made.push_back({variant.name, variant.required, {}, kBytesAKernel});
    return made;
  }();
  return all;
}

absl::StatusOr<std::string> CpuTarget::native() const {
  std::vector<std::string> names;
  for (const codegen::VariantInfo &variant : llvm::reverse(variants())) {
    const std::vector<std::string_view> features(variant.required.begin(), variant.required.end());
    if (device::missing_features(features).empty())
      return variant.name;
    names.insert(names.begin(), variant.name);
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "this machine runs none of the variants ", absl::StrJoin(names, ", "),
      "\nhint: name the variant of the machine that will run it: --variant x86-64-v3"));
}

absl::Status CpuTarget::available() const { return absl::OkStatus(); }

absl::Status CpuTarget::check(mlir::ModuleOp planned) const { return cpu::check(planned); }

absl::StatusOr<std::vector<std::string>>
CpuTarget::generate(mlir::ModuleOp planned, std::span<const std::string> variants,
                    const codegen::GenerateOptions &options) const {
  std::vector<const Variant *> chosen;
  for (const std::string &name : variants)
    chosen.push_back(findVariant(name));
  return cpu::generate(planned, chosen, options);
}

} // namespace quern::cpu
