#include "passes/analysis/Entries.h"

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
    if (isa<func::ReturnOp>(op) || isa<QuernDialect>(op.getDialect()))
      continue;
    return op.emitOpError(
        "is no op of the quern dialect: a frontend must raise it before this phase");
  }
  return success();
}

bool isReference(Operation *op) { return op->hasTrait<Reference>(); }

} // namespace quern
