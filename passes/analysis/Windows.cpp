#include "passes/analysis/Windows.h"

#include <limits>

using namespace mlir;

namespace quern {

std::optional<StateUse> readingOf(OpOperand &use) {
  auto anchor = dyn_cast<AnchorOpInterface>(use.getOwner());
  Value state = use.get();
  if (auto dispatch = dyn_cast<DispatchOp>(use.getOwner())) {
    auto kernel =
        SymbolTable::lookupNearestSymbolFrom<KernelOp>(dispatch, dispatch.getKernelAttr());
    anchor = kernel.anchorOp();
    state = kernel.getBody().getArgument(use.getOperandNumber());
  }
  if (!anchor)
    return std::nullopt;
  StateUse found = anchor.facts().state;
  return found.reads && found.state == state ? std::optional(found) : std::nullopt;
}

llvm::StringMap<int64_t> windowsOfStates(ModuleOp module) {
  constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  llvm::StringMap<int64_t> widest;
  module.walk([&](StateRefOp ref) {
    for (OpOperand &use : ref->getUses())
      if (std::optional<StateUse> reading = readingOf(use)) {
        int64_t &known = widest[ref.getName()];
        known = std::max(known, reading->window == 0 ? kAll : reading->window);
      }
  });
  for (auto &entry : widest)
    if (entry.second == kAll)
      entry.second = 0;
  return widest;
}

} // namespace quern
