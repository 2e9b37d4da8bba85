// From generated MLIR to an ELF object: translation, microkernels, LLVM's optimizer, lld.
#ifndef QUERN_CODEGEN_CPU_BACKEND_H
#define QUERN_CODEGEN_CPU_BACKEND_H

#include "codegen/cpu/CpuCodegen.h"

namespace quern::cpu {

/// Lowers a module of llvm, arith and scf ops to LLVM bitcode: all that objects are made from but
/// the microkernels. The same module gives the same bytes.
absl::StatusOr<std::string> lowerToBitcode(mlir::ModuleOp module);

/// Makes it, and the microkernels that it calls, a relocatable object for `variant`. Functions that
/// are not internal are exported. May run on several threads at a time, on each with a
/// `options.took` of its own.
absl::StatusOr<std::string> compileObject(std::string_view bitcode, const Variant &variant,
                                          const Options &options);

/// Links one relocatable object into a shared one that needs no library but libc's memory
/// functions. Nothing of LLVM may run on another thread: lld sets global options.
absl::StatusOr<std::string> linkShared(const std::string &object);

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_BACKEND_H
