// The modules of an artifact's targets share one weights section and one table of states.
#ifndef QUERN_CODEGEN_ARTIFACT_AGREEMENT_H
#define QUERN_CODEGEN_ARTIFACT_AGREEMENT_H

#include "mlir/IR/BuiltinOps.h"

#include <absl/status/status.h>

#include <span>

namespace quern::artifact {

/// Whether planned modules of one model agree on what they share: every packed weight (its name,
/// what it is computed by, format, packing, offset and bytes), every state (its type, kv group and
/// offset), the bytes of pages and of a slot, the windows. Error: Internal, naming the first
/// difference. One module agrees with itself.
absl::Status check_agreement(std::span<const mlir::ModuleOp> planned);

} // namespace quern::artifact

#endif // QUERN_CODEGEN_ARTIFACT_AGREEMENT_H
