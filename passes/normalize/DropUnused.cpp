// --quern-drop-unused: declarations that nothing refers to.
#include "passes/analysis/Entries.h"
#include "passes/analysis/Remarks.h"
#include "passes/normalize/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_DROPUNUSED
#include "passes/normalize/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"normalize", "drop-unused"};

struct DropUnusedPass : impl::DropUnusedBase<DropUnusedPass> {
  void runOnOperation() override {
    DenseSet<StringAttr> used;
    getOperation().walk([&](Operation *op) {
      if (auto weight = dyn_cast<WeightRefOp>(op))
        used.insert(weight.getNameAttr().getAttr());
      else if (auto state = dyn_cast<StateRefOp>(op))
        used.insert(state.getNameAttr().getAttr());
    });
    for (Operation &op : llvm::make_early_inc_range(getOperation().getOps())) {
      if (!isa<WeightOp, DeclareStateOp>(op) || used.contains(SymbolTable::getSymbolName(&op)))
        continue;
      kRemarks.hit(&op) << say("'{0}' is never read: removed",
                               SymbolTable::getSymbolName(&op).getValue());
      ++(isa<WeightOp>(op) ? numWeights : numStates);
      op.erase();
    }
  }
};
} // namespace
} // namespace quern
