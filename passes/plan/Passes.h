// The plan phase: an offset for every byte of weights, state and activations.
#ifndef QUERN_PASSES_PLAN_PASSES_H
#define QUERN_PASSES_PLAN_PASSES_H

#include "mlir/Pass/Pass.h"

namespace quern {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/plan/Passes.h.inc"

/// Appends the phase's passes, its verifier last.
void buildPlanPhase(mlir::OpPassManager &pm);

} // namespace quern

#endif // QUERN_PASSES_PLAN_PASSES_H
