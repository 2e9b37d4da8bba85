// How the weights that kernels read are packed, and what microkernels are called that read them.
#ifndef QUERN_CODEGEN_CPU_WEIGHTPACKING_H
#define QUERN_CODEGEN_CPU_WEIGHTPACKING_H

#include "ir/formats/Packing.h"

#include "mlir/IR/Operation.h"

#include <string>

namespace quern::cpu {

/// How the weight's panels are laid out; an error at `user` where no kernel reads its format.
llvm::FailureOr<formats::Packing> packingOf(mlir::Operation *user, mlir::Value weight);

/// The packing's name as it stands in microkernels' names: q4_g32_z8_f16.
std::string symbolOf(const formats::Packing &packing);

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_WEIGHTPACKING_H
