// How the weights that kernels read are packed.
#ifndef QUERN_CODEGEN_SCHEDULE_WEIGHTPACKING_H
#define QUERN_CODEGEN_SCHEDULE_WEIGHTPACKING_H

#include "ir/formats/Packing.h"

#include "mlir/IR/Operation.h"

namespace quern::codegen {

/// How the weight's panels are laid out; an error at `user` where no kernel reads its format.
llvm::FailureOr<formats::Packing> packingOf(mlir::Operation *user, mlir::Value weight);

} // namespace quern::codegen

#endif // QUERN_CODEGEN_SCHEDULE_WEIGHTPACKING_H
