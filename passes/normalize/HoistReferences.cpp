// --quern-hoist-references: weights and states first.
#include "passes/analysis/Entries.h"
#include "passes/normalize/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_HOISTREFERENCES
#include "passes/normalize/Passes.h.inc"

namespace {
struct HoistReferencesPass : impl::HoistReferencesBase<HoistReferencesPass> {
  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation())) {
      Operation *last = nullptr; // the last reference of those that lead the block
      for (Operation &op : llvm::make_early_inc_range(entry.getBody().front())) {
        if (!isReference(&op))
          continue;
        if (last)
          op.moveAfter(last);
        else
          op.moveBefore(&entry.getBody().front(), entry.getBody().front().begin());
        last = &op;
      }
    }
  }
};
} // namespace
} // namespace quern
