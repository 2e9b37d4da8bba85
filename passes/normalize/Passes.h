// The normalize phase: one way to write a model, whatever frontend it came from.
#ifndef QUERN_PASSES_NORMALIZE_PASSES_H
#define QUERN_PASSES_NORMALIZE_PASSES_H

#include "mlir/Pass/Pass.h"

namespace quern {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/normalize/Passes.h.inc"

/// Appends the phase's passes, its verifier last.
void buildNormalizePhase(mlir::OpPassManager &pm);

} // namespace quern

#endif // QUERN_PASSES_NORMALIZE_PASSES_H
