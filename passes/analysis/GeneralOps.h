// Which ops are general: those of upstream's dialects and of ir/quern/GeneralOps.td, on tensors of
// any rank and element type.
#ifndef QUERN_PASSES_ANALYSIS_GENERALOPS_H
#define QUERN_PASSES_ANALYSIS_GENERALOPS_H

#include "mlir/IR/Operation.h"
#include "mlir/IR/Value.h"

namespace quern {

/// Whether the op may stand in an entry before fuse, and lies in a region of anchor generic after
/// it.
bool isGeneral(mlir::Operation *op);

/// Calls `visit` for each value from outside that an op reads, in its regions too.
void forEachRead(mlir::Operation *op, llvm::function_ref<void(mlir::Value)> visit);

/// Whether the value is written by what computes it: not an argument, a constant, or a weight.
bool isComputed(mlir::Value value);

} // namespace quern

#endif // QUERN_PASSES_ANALYSIS_GENERALOPS_H
