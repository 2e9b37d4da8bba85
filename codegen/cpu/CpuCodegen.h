// The cpu target: kernels of a planned module -> MLIR -> LLVM -> one shared ELF object a variant.
#ifndef QUERN_CODEGEN_CPU_CPUCODEGEN_H
#define QUERN_CODEGEN_CPU_CPUCODEGEN_H

#include "codegen/Target.h"

#include <absl/status/statusor.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mlir {
class ModuleOp;
}

namespace quern::cpu {

/// An ISA level of the cpu target.
struct Variant {
  std::string name;                  // "x86-64-v3"
  std::string cpu;                   // LLVM's -mcpu
  std::string features;              // LLVM's -mattr
  std::vector<std::string> required; // CPU features the runtime checks, as it names them
  /// Bitcode of its microkernels; empty: that of its name (microkernels/Bitcode.h). Tests have
  /// builds of their own.
  std::string microkernels = {};
};

/// All variants, least demanding first.
const std::vector<Variant> &variants();
/// The variant of that name, or null.
const Variant *findVariant(std::string_view name);

using Options = codegen::GenerateOptions;

/// For each variant, bytes of a shared ELF object that exports quern_<entry>_<bucket> for every
/// bucket of the module, which must hold what the order phase promises. The same module gives the
/// same bytes, with a cache or without, alone or beside other variants.
absl::StatusOr<std::vector<std::string>>
generate(mlir::ModuleOp planned, std::span<const Variant *const> variants, const Options &options);

/// Whether generate() can make the kernels of a planned module, on any variant: what it cannot is
/// an error on the kernel, given to the context's diagnostic handler.
absl::Status check(mlir::ModuleOp planned);

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_CPUCODEGEN_H
