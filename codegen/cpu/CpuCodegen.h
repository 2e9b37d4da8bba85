// The cpu target: kernels of a planned module -> MLIR -> LLVM -> one shared ELF object a variant.
#ifndef QUERN_CODEGEN_CPU_CPUCODEGEN_H
#define QUERN_CODEGEN_CPU_CPUCODEGEN_H

#include "absl/status/statusor.h"

#include <functional>
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
};

/// All variants, least demanding first.
const std::vector<Variant> &variants();
/// The variant of that name, or null.
const Variant *findVariant(std::string_view name);

struct Options {
  /// Receives each intermediate text as it is made: a file name such as "kernels.x86-64-v3.mlir"
  /// and the text (`--emit-dir`). Empty: none are made.
  std::function<void(std::string_view name, std::string_view text)> emit;
};

/// Bytes of a shared ELF object that exports quern_<entry>_<bucket> for every bucket of the module,
/// which must hold what the plan phase promises. The same module gives the same bytes.
absl::StatusOr<std::string> generate(mlir::ModuleOp planned, const Variant &variant,
                                     const Options &options);

} // namespace quern::cpu

#endif
