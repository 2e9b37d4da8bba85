// The schedule phase: kernels on packed weights, dispatched in order, for each bucket.
#ifndef QUERN_PASSES_SCHEDULE_PASSES_H
#define QUERN_PASSES_SCHEDULE_PASSES_H

#include "mlir/Pass/Pass.h"

namespace quern {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/schedule/Passes.h.inc"

/// Appends the phase's passes, its verifier last.
void buildSchedulePhase(mlir::OpPassManager &pm, const MakeBucketsOptions &buckets);

} // namespace quern

#endif // QUERN_PASSES_SCHEDULE_PASSES_H
