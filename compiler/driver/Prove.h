// The proof that a compilation puts into its artifact.
#ifndef QUERN_COMPILER_DRIVER_PROVE_H
#define QUERN_COMPILER_DRIVER_PROVE_H

#include "codegen/artifact/Proof.h"
#include "codegen/artifact/Weights.h"
#include "ir/weights/WeightStore.h"

#include "mlir/IR/BuiltinOps.h"

#include <absl/status/statusor.h>

#include <memory>
#include <string>

namespace quern::driver {

/// Texts with their tokens (none where `tokenizer`, a tokenizer section, is empty), and a `step`
/// for fill_logits to run: tokens and rows, the same for the same model. Fails if the tokenizer
/// does not work.
absl::StatusOr<artifact::ProofContents> draft_proof(mlir::ModuleOp planned,
                                                    const std::string &tokenizer);

/// Runs the reference interpreter on the planned module, with the weights as they were packed. Adds
/// notes where logits are not finite, and where kv state could not hold what it was given; and
/// calls of entries of plain tensors (ProveCalls.h).
absl::Status fill_logits(artifact::ProofContents &proof, mlir::ModuleOp planned,
                         const artifact::PackedRows &weights, int threads);

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_PROVE_H
