// Between the IR's words for a weight and ir/weights'.
#ifndef QUERN_IR_QUERN_WEIGHTREFS_H
#define QUERN_IR_QUERN_WEIGHTREFS_H

#include "ir/quern/QuernDialect.h"
#include "ir/weights/WeightStore.h"

#include <absl/status/statusor.h>

namespace quern {

/// What `declaration` refers to: a place in the module's files, several, or a generator. Files are
/// numbered as in the module. Fails on a layout or an element that there is none of.
absl::StatusOr<weights::WeightRef> weightRef(WeightOp declaration);

/// `coded` as an attribute; its codes' place is left to the weight's own.
CodedAttr codedAttr(mlir::MLIRContext *context, const weights::Coded &coded);

} // namespace quern

#endif // QUERN_IR_QUERN_WEIGHTREFS_H
