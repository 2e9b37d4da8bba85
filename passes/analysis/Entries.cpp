#include "passes/analysis/Entries.h"

#include "passes/analysis/GeneralOps.h"

using namespace mlir;

namespace quern {

SmallVector<func::FuncOp> entriesOf(ModuleOp module) {
  SmallVector<func::FuncOp> entries;
  for (auto func : module.getOps<func::FuncOp>())
    if (!func.isExternal() && !isBucket(func))
      entries.push_back(func);
  return entries;
}

SmallVector<func::FuncOp> bucketsOf(ModuleOp module) {
  SmallVector<func::FuncOp> buckets;
  for (auto func : module.getOps<func::FuncOp>())
    if (!func.isExternal() && isBucket(func))
      buckets.push_back(func);
  return buckets;
}

LogicalResult verifyEntryForm(func::FuncOp func) {
  if (!func.getBody().hasOneBlock())
    return func.emitError("an entry has one block; control flow is not supported here");
  for (Operation &op : func.getBody().front()) {
    if (isa<func::ReturnOp>(op) || isa<QuernDialect>(op.getDialect()) || isGeneral(&op))
      continue;
    return op.emitOpError("is no op of the quern dialect, nor one of general tensor programs: a "
                          "frontend must raise it before this phase");
  }
  return success();
}

bool isReference(Operation *op) { return op->hasTrait<Reference>(); }

} // namespace quern
