// --quern-fuse-rows: what is left, row by row.
#include "passes/analysis/Remarks.h"
#include "passes/fuse/Passes.h"
#include "passes/fuse/RegionBuilder.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_FUSEROWS
#include "passes/fuse/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"fuse", "fuse-rows"};

/// An op that must end up in a region of anchor rows: it is in no region yet.
bool isLeftOver(Operation *op) { return joins(Joins::rowwise, op); }

/// An op that makes rows of the batch alone, once a step, for all layers to read.
bool isTable(Operation *op) { return llvm::none_of(op->getOperandTypes(), isRows); }

/// The op that the region is named after: a norm if there is one, else the last.
Operation *namesake(const RegionOps &ops) {
  for (Operation *op : ops)
    if (isa<NormOpInterface>(op))
      return op;
  return ops.front();
}

struct FuseRowsPass : impl::FuseRowsBase<FuseRowsPass> {
  using FuseRowsBase::FuseRowsBase;

  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation())) {
      eraseDeadViews(entry);
      materializeReturnedViews(entry);
      // Last first, so that a region has the ops that use a value before it asks for the value's
      // producer.
      Block &block = entry.getBody().front();
      for (Operation *op = &block.back(); op;) {
        Operation *before = op->getPrevNode();
        if (isLeftOver(op))
          before = fuse(op)->getPrevNode();
        op = before;
      }
      eraseDeadViews(entry);
    }
  }

  FusedOp fuse(Operation *root) {
    RegionOps ops;
    ops.insert(root);
    // Tables stay on their own.
    for (unsigned i = 0; join && i < ops.size(); ++i)
      for (Value operand : ops[i]->getOperands()) {
        Operation *def = operand.getDefiningOp();
        while (def && def->hasTrait<View>())
          def = def->getOperand(0).getDefiningOp();
        if (def && isLeftOver(def) && !isTable(def) && !ops.contains(def) && allUsersIn(def, ops) &&
            sameRows(def, root))
          ops.insert(def);
      }
    ++numRegions;
    numFused += ops.size() - 1;
    Operation *name = namesake(ops);
    FusedOp fused = buildRegion(Anchor::rows, name, ops, root);
    if (ops.size() > 1)
      kRemarks.hit(fused) << say([&] { return companions(fused) + " share a region"; });
    return fused;
  }

  static bool sameRows(Operation *op, Operation *root) {
    return rowsOf(op->getResult(0).getType()) == rowsOf(root->getResult(0).getType());
  }

  /// A view that the entry returns is copied by a region of its own.
  void materializeReturnedViews(func::FuncOp entry) {
    Operation *ret = entry.getBody().front().getTerminator();
    for (OpOperand &operand : ret->getOpOperands()) {
      Operation *view = operand.get().getDefiningOp();
      if (!view || !view->hasTrait<View>())
        continue;
      OpBuilder builder(ret);
      RegionOps ops;
      ops.insert(builder.clone(*view));
      operand.set(ops.front()->getResult(0));
      ++numRegions;
      buildRegion(Anchor::rows, ops.front(), ops, ops.front());
    }
  }

  static void eraseDeadViews(func::FuncOp entry) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(entry.getBody().front())))
      if (op.hasTrait<View>() && op.use_empty())
        op.erase();
  }
};
} // namespace
} // namespace quern
