// --quern-plan-states: pages and slots.
#include "passes/analysis/Buffers.h"
#include "passes/plan/Passes.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_PLANSTATES
#include "passes/plan/Passes.h.inc"

namespace {
struct PlanStatesPass : impl::PlanStatesBase<PlanStatesPass> {
  void runOnOperation() override {
    Builder builder(&getContext());
    int64_t page = 0, slot = 0;
    bool anyKv = false;
    for (auto state : getOperation().getOps<DeclareStateOp>()) {
      auto type = cast<StateType>(state.getType());
      bool kv = type.getKind() == StateKind::kv;
      int64_t &end = kv ? page : slot;
      state.setOffset(end);
      if (kv)
        state.setGroup(0);
      anyKv |= kv;
      end = llvm::alignTo(end + stateBytes(type), kBufferAlignment);
    }
    SmallVector<int64_t> pages;
    if (anyKv)
      pages.push_back(page);
    getOperation()->setAttr(attrs::kSlotBytes, builder.getI64IntegerAttr(slot));
    getOperation()->setAttr(attrs::kPageBytes, builder.getDenseI64ArrayAttr(pages));
  }
};
} // namespace
} // namespace quern
