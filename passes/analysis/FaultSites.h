// What a kernel may find to be wrong in a model's data while it runs.
#ifndef QUERN_PASSES_ANALYSIS_FAULTSITES_H
#define QUERN_PASSES_ANALYSIS_FAULTSITES_H

#include "mlir/IR/Operation.h"
#include "llvm/ADT/SmallVector.h"

namespace quern {

/// The ops inside `op` that can report a fault, in an order that is the same in equal regions:
/// QuernFault::site (runtime/abi/StepArgs.h) counts them so.
llvm::SmallVector<mlir::Operation *> faultSites(mlir::Operation *op);

} // namespace quern

#endif // QUERN_PASSES_ANALYSIS_FAULTSITES_H
