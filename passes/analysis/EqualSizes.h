// Sizes of different names that an entry demands to be equal.
#ifndef QUERN_PASSES_ANALYSIS_EQUALSIZES_H
#define QUERN_PASSES_ANALYSIS_EQUALSIZES_H

#include "ir/symbols/Dim.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace quern {

/// Whether two expressions are equal in every call that the entry takes: by their form, or as its
/// `quern.equal_sizes` demands.
bool areEqual(mlir::func::FuncOp entry, symbols::Dim a, symbols::Dim b);

} // namespace quern

#endif // QUERN_PASSES_ANALYSIS_EQUALSIZES_H
