// --quern-fuse-recurrences: a recurrence, how its decay and values are computed, its skip and gate.
#include "passes/analysis/Remarks.h"
#include "passes/fuse/Epilogue.h"
#include "passes/fuse/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_FUSERECURRENCES
#include "passes/fuse/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"fuse", "fuse-recurrences"};

/// Adds every elementwise op before `anchor`, or behind it and movable before it, whose users all
/// lie in `ops` already, and so on from there. Returns how many.
int64_t growPrologue(RegionOps &ops, Operation *anchor) {
  int64_t added = 0;
  // Users come after their producers, so one walk backwards over the ops as they are added is
  // enough for a chain; a producer of two members is met again from the second.
  for (unsigned i = 0; i < ops.size(); ++i)
    for (Value operand : ops[i]->getOperands()) {
      Operation *def = operand.getDefiningOp();
      while (def && def->hasTrait<View>())
        def = def->getOperand(0).getDefiningOp();
      if (!def || !def->hasTrait<Elementwise>() || ops.contains(def) || !allUsersIn(def, ops))
        continue;
      if (llvm::all_of(def->getOperands(), [&](Value v) {
            return (v.getDefiningOp() && ops.contains(v.getDefiningOp())) ||
                   availableBefore(v, anchor);
          })) {
        ops.insert(def);
        ++added;
      }
    }
  return added;
}

struct FuseRecurrencesPass : impl::FuseRecurrencesBase<FuseRecurrencesPass> {
  using FuseRecurrencesBase::FuseRecurrencesBase;

  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation()))
      for (LinearRecurrenceOp op : llvm::to_vector(entry.getOps<LinearRecurrenceOp>()))
        fuse(op);
  }

  void fuse(LinearRecurrenceOp op) {
    RegionOps ops;
    ops.insert(op);
    if (join)
      grow(op, ops);
    bool joined = ops.size() > 1;
    FusedOp region = buildRegion("linear_recurrence", op, ops, op);
    if (joined)
      kRemarks.hit(region) << say(
          [&] { return companions(region) + " joined the linear_recurrence"; });
  }

  void grow(LinearRecurrenceOp op, RegionOps &ops) {
    numFused += growPrologue(ops, op);
    // It writes state, so the region stands where it does: what the epilogue reads must be there by
    // then, unless it is elementwise itself and moves in.
    auto rule = [&](Operation *user, Value value, bool throughViews) -> StringRef {
      if (StringRef why = sameColumns(user, value, throughViews); !why.empty())
        return why;
      RegionOps with = ops;
      with.insert(user);
      growPrologue(with, op);
      for (Value operand : user->getOperands())
        if (!(operand.getDefiningOp() && with.contains(operand.getDefiningOp())) &&
            !availableBefore(operand, op))
          return "it reads what is computed after the recurrence";
      return "";
    };
    EpilogueEnd end = growEpilogue(op.getResult(), ops, rule);
    numFused += end.fused + growPrologue(ops, op);
    if (end.missed) {
      ++numMissed;
      kRemarks.miss(op) << say("'{0}' stays outside its region: {1}",
                               end.missed->getName().getStringRef(), end.why);
    }
  }
};
} // namespace
} // namespace quern
