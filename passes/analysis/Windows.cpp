#include "passes/analysis/Windows.h"

#include <limits>

using namespace mlir;

namespace quern {

SmallVector<AttentionOp> attentionsOn(OpOperand &use) {
  if (auto attention = dyn_cast<AttentionOp>(use.getOwner()))
    return {attention};
  auto dispatch = dyn_cast<DispatchOp>(use.getOwner());
  if (!dispatch)
    return {};
  SmallVector<AttentionOp> attentions;
  auto kernel = SymbolTable::lookupNearestSymbolFrom<KernelOp>(dispatch, dispatch.getKernelAttr());
  for (Operation *user : kernel.getBody().getArgument(use.getOperandNumber()).getUsers())
    if (auto attention = dyn_cast<AttentionOp>(user))
      attentions.push_back(attention);
  return attentions;
}

llvm::StringMap<int64_t> windowsOfStates(ModuleOp module) {
  constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  llvm::StringMap<int64_t> widest;
  module.walk([&](StateRefOp ref) {
    for (OpOperand &use : ref->getUses())
      for (AttentionOp attention : attentionsOn(use)) {
        auto window = static_cast<int64_t>(attention.getWindow());
        int64_t &known = widest[ref.getName()];
        known = std::max(known, window == 0 ? kAll : window);
      }
  });
  for (auto &entry : widest)
    if (entry.second == kAll)
      entry.second = 0;
  return widest;
}

} // namespace quern
