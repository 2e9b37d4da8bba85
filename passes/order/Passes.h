// The order phase: who runs each dispatch, and where workers wait for each other.
#ifndef QUERN_PASSES_ORDER_PASSES_H
#define QUERN_PASSES_ORDER_PASSES_H

#include "mlir/Pass/Pass.h"

namespace quern {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/order/Passes.h.inc"

/// Appends the phase's passes, its verifier last.
void buildOrderPhase(mlir::OpPassManager &pm);

} // namespace quern

#endif // QUERN_PASSES_ORDER_PASSES_H
