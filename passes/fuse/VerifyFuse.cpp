// --quern-verify-fuse: what holds after the fuse phase.
#include "passes/analysis/Entries.h"
#include "passes/fuse/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_VERIFYFUSE
#include "passes/fuse/Passes.h.inc"

namespace {

bool isAnchorOf(Operation &op, FusedOp fused) {
  return op.getName().stripDialect() == fused.getAnchor();
}

LogicalResult verifyRows(FusedOp fused) {
  StringRef symbol;
  for (Operation &op : fused.getBody().front().without_terminator())
    for (Type type : op.getResultTypes()) {
      if (symbol.empty())
        symbol = rowsOf(type);
      if (rowsOf(type) != symbol)
        return op.emitOpError("has ") << rowsOf(type) << " rows in a rows region of " << symbol;
    }
  return success();
}

LogicalResult verifyRegion(FusedOp fused) {
  bool anchored = false;
  for (Operation &op : fused.getBody().front().without_terminator()) {
    if (isReference(&op) || isa<FusedOp, DispatchOp>(op))
      return op.emitOpError("is not legal inside a fused region; it is one of its inputs");
    if (isAnchorOf(op, fused)) {
      anchored = true;
      continue;
    }
    if (op.hasTrait<Anchor>())
      return op.emitOpError("is an anchor and needs a region of its own, not one of anchor ")
             << fused.getAnchor();
    if (op.hasTrait<View>() || fused.getAnchor() == "rows")
      continue;
    bool state = fused.getAnchor() == "attention" || fused.getAnchor() == "kv_append";
    bool legal = state ? !anchored && isa<RopeOp, NormOpInterface, ClampOp, ScaleOp>(op)
                       : op.hasTrait<Elementwise>() &&
                             (anchored || fused.getAnchor() == "linear_recurrence");
    if (!legal)
      return op.emitOpError("is not legal ")
             << (anchored ? "after" : "before") << " the anchor of a region of anchor "
             << fused.getAnchor();
  }
  return fused.getAnchor() == "rows" ? verifyRows(fused) : success();
}

LogicalResult verifyEntry(func::FuncOp entry) {
  if (failed(verifyEntryForm(entry)))
    return failure();
  for (Operation &op : entry.getBody().front()) {
    if (auto fused = dyn_cast<FusedOp>(op)) {
      if (failed(verifyRegion(fused)))
        return failure();
    } else if (!isReference(&op) && !isa<func::ReturnOp>(op)) {
      return op.emitOpError("is in no fused region; after fuse only references stand outside");
    }
  }
  return success();
}

struct VerifyFusePass : impl::VerifyFuseBase<VerifyFusePass> {
  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation()))
      if (failed(verifyEntry(entry)))
        return signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
} // namespace quern
