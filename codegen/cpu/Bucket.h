// A bucket's schedule as one native function: kernels in order, barriers only where data crosses.
#ifndef QUERN_CODEGEN_CPU_BUCKET_H
#define QUERN_CODEGEN_CPU_BUCKET_H

#include "codegen/cpu/Code.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"

#include <functional>
#include <string>

namespace quern {
class KernelOp;
}

namespace quern::cpu {

/// Writes quern_<entry>_<bucket>. `symbols` are the planned module's, `kernelFor` gives the
/// function of a kernel, specialised or not.
mlir::LogicalResult
generateBucket(Code &code, const mlir::SymbolTable &symbols, mlir::func::FuncOp bucket,
               std::function<mlir::LLVM::LLVMFuncOp(KernelOp, bool single)> kernelFor);

/// The name of a bucket's function: quern_step_decode1.
std::string bucketSymbol(mlir::func::FuncOp bucket);

/// True where the bucket is for one token of one sequence, so that its kernels are specialised for
/// it.
bool isSingle(mlir::func::FuncOp bucket);

} // namespace quern::cpu

#endif
