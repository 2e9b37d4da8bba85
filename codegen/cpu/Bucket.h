// A bucket's calls as one native function: kernels in order, barriers only where data crosses,
// layers that are alike as a loop.
#ifndef QUERN_CODEGEN_CPU_BUCKET_H
#define QUERN_CODEGEN_CPU_BUCKET_H

#include "codegen/cpu/Calls.h"
#include "codegen/cpu/Code.h"
#include "codegen/cpu/Kernel.h"

#include <functional>
#include <string>

namespace quern::cpu {

/// Writes quern_<entry>_<bucket>. `symbols` are the planned module's, `kernelFor` gives the
/// function of a kernel.
mlir::LogicalResult generateBucket(Code &code, const mlir::SymbolTable &symbols,
                                   mlir::func::FuncOp bucket,
                                   std::function<mlir::LLVM::LLVMFuncOp(KernelOp, Form)> kernelFor);

/// The name of a bucket's function: quern_step_decode1.
std::string bucketSymbol(mlir::func::FuncOp bucket);

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_BUCKET_H
