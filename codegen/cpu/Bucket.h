// A bucket's calls as one native function: kernels in order, barriers only where data crosses,
// layers that are alike as a loop.
#ifndef QUERN_CODEGEN_CPU_BUCKET_H
#define QUERN_CODEGEN_CPU_BUCKET_H

#include "codegen/cpu/Code.h"
#include "codegen/cpu/Kernel.h"

#include <functional>

namespace quern::cpu {

/// Writes the function of the bucket's name (codegen::bucketSymbol). `symbols` are the planned
/// module's, `kernelFor` gives the function of a kernel.
mlir::LogicalResult generateBucket(Code &code, const mlir::SymbolTable &symbols,
                                   mlir::func::FuncOp bucket,
                                   std::function<mlir::LLVM::LLVMFuncOp(KernelOp, Form)> kernelFor);

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_BUCKET_H
