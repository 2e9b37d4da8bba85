// The fuse phase: every op in a region that becomes one kernel.
#ifndef QUERN_PASSES_FUSE_PASSES_H
#define QUERN_PASSES_FUSE_PASSES_H

#include "mlir/Pass/Pass.h"

namespace quern {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/fuse/Passes.h.inc"

/// Appends the phase's passes, its verifier last. Fusions for which `isOn` says no, by their names
/// on quern-opt's command line without "quern-", join nothing: the model computes the same in more
/// kernels.
void buildFusePhase(mlir::OpPassManager &pm, llvm::function_ref<bool(llvm::StringRef)> isOn);

} // namespace quern

#endif // QUERN_PASSES_FUSE_PASSES_H
