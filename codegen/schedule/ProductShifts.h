// Where the epilogue of a linear's or of experts' kernel reads the kernel's product.
#ifndef QUERN_CODEGEN_SCHEDULE_PRODUCTSHIFTS_H
#define QUERN_CODEGEN_SCHEDULE_PRODUCTSHIFTS_H

#include "ir/quern/QuernDialect.h"

namespace quern::codegen {

/// The column offsets at which the epilogue reads the product: 0, and for a gated activation over a
/// merged product also the width of the gate. Each is a multiple of a panel's channels, so that a
/// panel of the kernel's columns needs a panel of the product for each. Of experts they are those
/// of a block. Fails with a diagnostic on the kernel where one is not, and where the kernel's
/// results differ in columns.
mlir::FailureOr<llvm::SmallVector<int64_t>> productShifts(KernelOp kernel);

} // namespace quern::codegen

#endif // QUERN_CODEGEN_SCHEDULE_PRODUCTSHIFTS_H
