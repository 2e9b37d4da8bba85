// --quern-plan-states: pages and slots.
#include "passes/analysis/Buffers.h"
#include "passes/analysis/Windows.h"
#include "passes/plan/Passes.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"

#include <limits>

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_PLANSTATES
#include "passes/plan/Passes.h.inc"

namespace {

/// Positions a sequence can have; the largest number if the module is no language model.
int64_t contextOf(ModuleOp module) {
  auto model = module->getAttrOfType<DictionaryAttr>(attrs::kModel);
  auto context = model ? model.getAs<IntegerAttr>(attrs::kModelContext) : IntegerAttr();
  return context ? context.getInt() : std::numeric_limits<int64_t>::max();
}

struct PlanStatesPass : impl::PlanStatesBase<PlanStatesPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    llvm::StringMap<int64_t> windows = windowsOfStates(module);
    int64_t context = contextOf(module);
    // Bytes of a page, by window: in the order of a group's first state, which numbers the groups.
    llvm::MapVector<int64_t, int64_t> pages;
    int64_t slot = 0;
    for (auto state : module.getOps<DeclareStateOp>()) {
      auto type = cast<StateType>(state.getType());
      int64_t *end = &slot;
      if (type.getKind() == StateKind::kv) {
        int64_t window = windows.lookup(state.getSymName());
        if (window >= context) // no sequence gets long enough to leave it
          window = 0;
        auto group = pages.try_emplace(window, 0).first;
        state.setGroup(static_cast<uint32_t>(group - pages.begin()));
        end = &group->second;
      }
      state.setOffset(*end);
      *end = llvm::alignTo(*end + stateBytes(type), kBufferAlignment);
    }
    SmallVector<int64_t> pageBytes, pageWindows;
    for (auto [window, bytes] : pages) {
      pageBytes.push_back(bytes);
      pageWindows.push_back(window);
    }
    Builder builder(&getContext());
    module->setAttr(attrs::kSlotBytes, builder.getI64IntegerAttr(slot));
    module->setAttr(attrs::kPageBytes, builder.getDenseI64ArrayAttr(pageBytes));
    module->setAttr(attrs::kKvWindows, builder.getDenseI64ArrayAttr(pageWindows));
  }
};
} // namespace
} // namespace quern
