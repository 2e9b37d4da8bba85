// The functions of a module that are entries, and the buckets they become.
#ifndef QUERN_PASSES_ANALYSIS_ENTRIES_H
#define QUERN_PASSES_ANALYSIS_ENTRIES_H

#include "ir/quern/AttributeNames.h"
#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace quern {

/// Whether the function is a bucket of an entry (the schedule phase made it), not the entry itself.
inline bool isBucket(mlir::func::FuncOp func) { return func->hasAttr(attrs::kBucket); }

/// The functions with a body that are entries: not buckets.
llvm::SmallVector<mlir::func::FuncOp> entriesOf(mlir::ModuleOp module);
/// The functions that are buckets.
llvm::SmallVector<mlir::func::FuncOp> bucketsOf(mlir::ModuleOp module);

/// Diagnoses what no phase allows in an entry: several blocks, ops that are neither the
/// dialect's nor general.
llvm::LogicalResult verifyEntryForm(mlir::func::FuncOp func);

/// Whether `op` names a weight or state (quern::Reference).
bool isReference(mlir::Operation *op);

} // namespace quern

#endif // QUERN_PASSES_ANALYSIS_ENTRIES_H
