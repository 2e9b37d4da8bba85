// Which ops are general: those of upstream's dialects and of ir/quern/GeneralOps.td, on tensors of
// any rank and element type.
#ifndef QUERN_PASSES_ANALYSIS_GENERALOPS_H
#define QUERN_PASSES_ANALYSIS_GENERALOPS_H

#include "mlir/IR/Operation.h"

namespace quern {

/// Whether the op may stand in an entry before fuse, and lies in a region of anchor generic after
/// it.
bool isGeneral(mlir::Operation *op);

} // namespace quern

#endif // QUERN_PASSES_ANALYSIS_GENERALOPS_H
