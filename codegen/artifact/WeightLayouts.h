// Weight expressions that put elements in other places and change none: `quern.weight_concat`,
// `weight_reshape`, `weight_transpose`, `weight_rows` (internal to codegen/artifact).
#ifndef QUERN_CODEGEN_ARTIFACT_WEIGHTLAYOUTS_H
#define QUERN_CODEGEN_ARTIFACT_WEIGHTLAYOUTS_H

#include "codegen/artifact/WeightRows.h"

#include <string>

namespace quern::artifact {

/// The source's name for an op: what NameLoc says, or that of the weight it is packed into.
std::string source_name(mlir::Operation *op);

/// The rows of `op`, one of those above, over its operands' rows. Errors name the op where its
/// format's blocks would have to be cut.
absl::StatusOr<std::unique_ptr<WeightRows>>
weight_layout(mlir::Operation *op, std::vector<std::unique_ptr<WeightRows>> inputs);

} // namespace quern::artifact

#endif // QUERN_CODEGEN_ARTIFACT_WEIGHTLAYOUTS_H
