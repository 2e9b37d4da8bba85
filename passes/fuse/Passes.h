// The fuse phase: every op in a region that becomes one kernel.
#ifndef QUERN_PASSES_FUSE_PASSES_H
#define QUERN_PASSES_FUSE_PASSES_H

#include "mlir/Pass/Pass.h"

namespace quern {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/fuse/Passes.h.inc"

/// Appends the phase's passes, its verifier last.
void buildFusePhase(mlir::OpPassManager &pm);

} // namespace quern

#endif
