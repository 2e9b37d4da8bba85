// --quern-fuse-attention-prologues: norms and ropes of queries, keys and values where they are
// read.
#include "passes/fuse/Epilogue.h"
#include "passes/fuse/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_FUSEATTENTIONPROLOGUES
#include "passes/fuse/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"fuse", "fuse-attention-prologues"};

struct FuseAttentionProloguesPass : impl::FuseAttentionProloguesBase<FuseAttentionProloguesPass> {
  using FuseAttentionProloguesBase::FuseAttentionProloguesBase;

  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation()))
      for (Operation &op : llvm::make_early_inc_range(entry.getBody().front())) {
        if (auto attention = dyn_cast<AttentionOp>(op)) {
          fuse(attention, {{attention.getQuery(), attention.getState().getType().getShape()[1]}});
        } else if (auto rows = dyn_cast<AttentionRowsOp>(op)) {
          fuse(rows, {{rows.getQuery(), rows.keyDim()},
                      {rows.getKey(), rows.keyDim()},
                      {rows.getValue(), rows.valueDim()}});
        } else if (auto append = dyn_cast<KvAppendOp>(op)) {
          ArrayRef<int64_t> shape = append.getState().getType().getShape();
          SmallVector<Heads, 2> inputs = {{append.getKeys(), shape[1]}};
          if (append.getValues())
            inputs.push_back({append.getValues(), shape[2]});
          fuse(append, inputs);
        }
      }
  }

  /// Rows that an anchor reads, and the columns of their heads.
  struct Heads {
    Value rows;
    int64_t width;
  };

  void fuse(AnchorOpInterface anchor, ArrayRef<Heads> inputs) {
    AnchorRegion region(anchor, kRemarks, {numFused, numMissed});
    if (join)
      for (const Heads &input : inputs)
        takeRows(input, anchor.facts().prologue, region);
    region.build();
  }

  /// Takes what the rows come from, the last first, as far as it works head by head: ropes and
  /// norms, in any order, bounds and scales of every element, and what heads are put together of.
  static void takeRows(const Heads &heads, Joins prologue, AnchorRegion &region) {
    for (Operation *op = heads.rows.getDefiningOp(); op && joins(prologue, op);
         op = op->getOperand(0).getDefiningOp()) {
      int64_t together = cast<HeadwiseOpInterface>(op).headColumns();
      std::string why;
      if (together != 0 && together != heads.width)
        why = ("it takes " + Twine(together) + " columns together, not a head").str();
      else if (!allUsersIn(op, region.ops))
        why = "its result has other uses";
      if (!region.take(op, why, op))
        return;
      if (auto concat = dyn_cast<ConcatOp>(op)) {
        for (Value input : concat.getInputs())
          takeRows({input, colsOf(input.getType()) / static_cast<int64_t>(concat.getGroups())},
                   prologue, region);
        return;
      }
    }
  }
};
} // namespace
} // namespace quern
