// The quantize phase: the format of every weight, and integer inputs where weights are integers.
#ifndef QUERN_PASSES_QUANTIZE_PASSES_H
#define QUERN_PASSES_QUANTIZE_PASSES_H

#include "mlir/Pass/Pass.h"

namespace quern {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/quantize/Passes.h.inc"

/// Appends the phase's passes, its verifier last.
void buildQuantizePhase(mlir::OpPassManager &pm, const QuantizeWeightsOptions &weights,
                        const QuantizeStatesOptions &states = {},
                        const QuantizeActivationsOptions &activations = {});

} // namespace quern

#endif // QUERN_PASSES_QUANTIZE_PASSES_H
