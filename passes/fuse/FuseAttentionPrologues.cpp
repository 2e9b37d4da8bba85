// --quern-fuse-attention-prologues: norms and ropes of queries, keys and values where they are
// read.
#include "passes/analysis/Remarks.h"
#include "passes/fuse/Passes.h"
#include "passes/fuse/RegionBuilder.h"

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
          RegionOps ops;
          ops.insert(&op);
          takeRows(attention.getQuery(), attention.getState().getType().getShape()[1], ops);
          build(&op, ops);
        } else if (auto append = dyn_cast<KvAppendOp>(op)) {
          RegionOps ops;
          ops.insert(&op);
          takeRows(append.getKeys(), append.getState().getType().getShape()[1], ops);
          takeRows(append.getValues(), append.getState().getType().getShape()[2], ops);
          build(&op, ops);
        }
      }
  }

  /// Takes what `rows` come from, the last first, as far as it works on heads of `headDim` columns:
  /// a rope, a norm, in either order, and bounds and scales of every element.
  void takeRows(Value rows, int64_t headDim, RegionOps &ops) {
    if (!join)
      return;
    for (Operation *op = rows.getDefiningOp(); op; op = op->getOperand(0).getDefiningOp()) {
      bool taken = false;
      if (auto rope = dyn_cast<RopeOp>(op))
        taken = take(op, static_cast<int64_t>(rope.getHeadDim()) == headDim,
                     "its heads are of another width", ops);
      else if (auto norm = dyn_cast<NormOpInterface>(op))
        taken = take(op, norm.groupSize() == headDim, "it does not normalize head by head", ops);
      else if (isa<ClampOp, ScaleOp>(op))
        taken = take(op, true, "", ops);
      if (!taken)
        return;
    }
  }

  bool take(Operation *op, bool fits, StringRef otherwise, RegionOps &ops) {
    StringRef why = !fits ? otherwise : !allUsersIn(op, ops) ? "its result has other uses" : "";
    if (why.empty()) {
      ops.insert(op);
      ++numFused;
      return true;
    }
    ++numMissed;
    kRemarks.miss(op) << say("'{0}' stays outside the region that reads it: {1}",
                             op->getName().getStringRef(), why);
    return false;
  }

  void build(Operation *anchor, const RegionOps &ops) {
    FusedOp fused = buildRegion(anchor->getName().stripDialect(), anchor, ops, anchor);
    if (ops.size() > 1)
      kRemarks.hit(fused) << say(
          [&] { return companions(fused) + " joined the " + fused.getAnchor().str(); });
  }
};
} // namespace
} // namespace quern
