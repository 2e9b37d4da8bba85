// The part of the proof that calls entries of plain tensors.
#ifndef QUERN_COMPILER_DRIVER_PROVECALLS_H
#define QUERN_COMPILER_DRIVER_PROVECALLS_H

#include "codegen/artifact/Proof.h"
#include "codegen/artifact/Weights.h"

#include "mlir/IR/BuiltinOps.h"

#include <absl/status/status.h>

namespace quern::driver {

/// A call of each entry whose caller chooses sizes, with made-up inputs of small sizes, by the
/// reference interpreter, with the weights as they were packed. None of an entry for which that
/// would take many seconds (whose shapes are large and fixed), nor where made-up inputs of small
/// sizes are none that the graph can take: a picture of 2 x 3 points, an index that is a number.
/// `tolerance` is of outputs in single precision or better.
absl::Status prove_calls(artifact::ProofContents &proof, mlir::ModuleOp planned,
                         const artifact::PackedRows &weights, float tolerance, int threads);

} // namespace quern::driver

#endif // QUERN_COMPILER_DRIVER_PROVECALLS_H
