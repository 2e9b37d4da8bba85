// --quern-fuse-recurrences: a recurrence, how its decay and values are computed, its skip and gate.
#include "passes/fuse/Epilogue.h"
#include "passes/fuse/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_FUSERECURRENCES
#include "passes/fuse/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"fuse", "fuse-recurrences"};

struct FuseRecurrencesPass : impl::FuseRecurrencesBase<FuseRecurrencesPass> {
  using FuseRecurrencesBase::FuseRecurrencesBase;

  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation()))
      for (LinearRecurrenceOp op : llvm::to_vector(entry.getOps<LinearRecurrenceOp>())) {
        AnchorRegion region(op, kRemarks, {numFused, numMissed});
        if (join)
          region.takeAround();
        region.build();
      }
  }
};
} // namespace
} // namespace quern
