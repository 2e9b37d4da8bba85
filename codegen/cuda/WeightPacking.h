// How the weights that kernels read are packed, and how generated code says so.
#ifndef QUERN_CODEGEN_CUDA_WEIGHTPACKING_H
#define QUERN_CODEGEN_CUDA_WEIGHTPACKING_H

#include "ir/formats/Packing.h"

#include "mlir/IR/Operation.h"

#include <string>

namespace quern::cuda {

/// How the weight's panels are laid out; an error at `user` where no kernel reads its format.
llvm::FailureOr<formats::Packing> packingOf(mlir::Operation *user, mlir::Value weight);

/// The packing as a template's argument: "packing(4, 32, 0, true, Scale::U8, kWholeRow)"
/// (device/Packings.cuh).
std::string packingText(const formats::Packing &packing);

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_WEIGHTPACKING_H
