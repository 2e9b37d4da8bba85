// From generated MLIR to an ELF object: translation, microkernels, LLVM's optimizer, lld.
#ifndef QUERN_CODEGEN_CPU_BACKEND_H
#define QUERN_CODEGEN_CPU_BACKEND_H

#include "codegen/cpu/CpuCodegen.h"

namespace quern::cpu {

/// Lowers a module of llvm, arith and scf ops to one shared ELF object for `variant`. Functions
/// that are not internal are exported.
absl::StatusOr<std::string> buildObject(mlir::ModuleOp module, const Variant &variant,
                                        const Options &options);

} // namespace quern::cpu

#endif
