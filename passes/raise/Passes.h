// The raise phase: what a general program means is found again, in the dialect's own ops.
#ifndef QUERN_PASSES_RAISE_PASSES_H
#define QUERN_PASSES_RAISE_PASSES_H

#include "mlir/Pass/Pass.h"

namespace quern {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/raise/Passes.h.inc"

/// Appends the phase's passes.
void buildRaisePhase(mlir::OpPassManager &pm);

} // namespace quern

#endif // QUERN_PASSES_RAISE_PASSES_H
