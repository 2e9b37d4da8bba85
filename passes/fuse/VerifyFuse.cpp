// --quern-verify-fuse: what holds after the fuse phase.
#include "passes/analysis/Entries.h"
#include "passes/analysis/GeneralOps.h"
#include "passes/analysis/Sizes.h"
#include "passes/analysis/Work.h"
#include "passes/fuse/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_VERIFYFUSE
#include "passes/fuse/Passes.h.inc"

namespace {

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

/// A size that is written into the graph may be one that no machine gets to the end of.
LogicalResult verifySteps(Operation &op, const symbols::Maxima &sizes,
                          const symbols::Maxima &least) {
  if (const int64_t steps = stepsOf(&op, least); steps > kMostSteps)
    return op.emitError("takes 2^")
           << llvm::Log2_64(static_cast<uint64_t>(steps))
           << " steps or more, whatever it is called "
           << "with; no machine gets to their end: make what it sums over smaller";
  if (const int64_t steps = stepsOf(&op, sizes); steps > kMostStepsAtBounds) {
    InFlightDiagnostic diagnostic = op.emitError("takes 2^");
    diagnostic << llvm::Log2_64(static_cast<uint64_t>(steps))
               << " steps or more at the greatest sizes";
    for (const auto &[size, most] : sizes)
      diagnostic << ", " << size << " = " << most;
    return diagnostic << "; no machine gets to their end: bound them, --dim NAME=MAX";
  }
  return success();
}

LogicalResult verifyGeneric(FusedOp fused) {
  const symbols::Maxima sizes = sizesOf(fused);
  symbols::Maxima least;
  for (const auto &[size, most] : sizes)
    least[size] = 1;
  for (Operation &op : fused.getBody().front().without_terminator())
    if (!isGeneral(&op))
      return op.emitOpError("is not legal in a region of anchor generic");
    else if (failed(verifySteps(op, sizes, least)))
      return failure();
  return success();
}

LogicalResult verifyRegion(FusedOp fused) {
  if (fused.getAnchor() == Anchor::generic)
    return verifyGeneric(fused);
  const AnchorFacts facts = fused.anchorFacts();
  AnchorOpInterface anchor = fused.anchorOp();
  bool anchored = false;
  for (Operation &op : fused.getBody().front().without_terminator()) {
    if (isReference(&op) || isa<FusedOp, DispatchOp>(op))
      return op.emitOpError("is not legal inside a fused region; it is one of its inputs");
    if (anchor == &op) {
      if (auto linear = dyn_cast<LinearOp>(op);
          linear && linear.getInput().getDefiningOp<SliceOp>())
        return op.emitOpError("reads a slice; its kernel reads rows that lie by themselves");
      anchored = true;
      continue;
    }
    if (isa<AnchorOpInterface>(op))
      return op.emitOpError("is an anchor and needs a region of its own, not one of anchor ")
             << stringifyAnchor(fused.getAnchor());
    if (!op.hasTrait<View>() && !joins(anchored ? facts.epilogue : facts.prologue, &op))
      return op.emitOpError("is not legal ")
             << (anchored ? "after" : "before") << " the anchor of a region of anchor "
             << stringifyAnchor(fused.getAnchor());
  }
  return anchor ? success() : verifyRows(fused);
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
