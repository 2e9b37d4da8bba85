#include "passes/fuse/Epilogue.h"

using namespace mlir;

namespace quern {

/// The one op that uses `value`, seen through views; null if there are none or several.
static Operation *soleUser(Value value, bool &throughViews) {
  Operation *sole = nullptr;
  for (Operation *user : value.getUsers()) {
    if (user->hasTrait<View>()) {
      throughViews = true;
      if (user->use_empty())
        continue;
      user = soleUser(user->getResult(0), throughViews);
    }
    if (!user || (sole && sole != user))
      return nullptr;
    sole = user;
  }
  return sole;
}

StringRef sameColumns(Operation *user, Value value, bool throughViews) {
  if (throughViews)
    return "it reads only some of the columns";
  if (user->getResult(0).getType() != value.getType())
    return "it broadcasts the result over more columns";
  return "";
}

bool AnchorRegion::take(Operation *op, StringRef why, Operation *at) {
  if (why.empty()) {
    ops.insert(op);
    ++counters.fused;
    return true;
  }
  ++counters.missed;
  remarks.miss(at) << say("'{0}' stays outside the region of the {1}: {2}",
                          op->getName().getStringRef(), stringifyAnchor(anchor.anchor()), why);
  return false;
}

void AnchorRegion::takeEpilogue(EpilogueRule rule) {
  if (facts.epilogue == Joins::nothing)
    return;
  Value value = anchor->getResult(0);
  while (true) {
    bool throughViews = false;
    Operation *user = soleUser(value, throughViews);
    if (!user || !joins(facts.epilogue, user) ||
        !take(user, rule(user, value, throughViews), anchor))
      return;
    value = user->getResult(0);
  }
}

SmallVector<Operation *> AnchorRegion::prologueOf(RegionOps with) {
  SmallVector<Operation *> found;
  if (facts.prologue != Joins::elementwise)
    return found;
  // Users come after their producers, so one walk backwards over the ops as they are added is
  // enough for a chain; a producer of two members is met again from the second.
  for (unsigned i = 0; i < with.size(); ++i)
    for (Value operand : with[i]->getOperands()) {
      Operation *def = operand.getDefiningOp();
      while (def && def->hasTrait<View>())
        def = def->getOperand(0).getDefiningOp();
      if (!def || !joins(facts.prologue, def) || with.contains(def) || !allUsersIn(def, with))
        continue;
      if (llvm::all_of(def->getOperands(), [&](Value v) {
            return (v.getDefiningOp() && with.contains(v.getDefiningOp())) ||
                   availableBefore(v, anchor);
          })) {
        with.insert(def);
        found.push_back(def);
      }
    }
  return found;
}

void AnchorRegion::takePrologue() {
  for (Operation *before : prologueOf(ops))
    take(before, "", anchor);
}

void AnchorRegion::takeAround() {
  takePrologue();
  auto rule = [&](Operation *user, Value value, bool throughViews) -> StringRef {
    if (StringRef why = sameColumns(user, value, throughViews); !why.empty())
      return why;
    if (isa<TransposeOp>(user) && llvm::any_of(ops, llvm::IsaPred<TransposeOp>))
      return "the columns are permuted already";
    if (!facts.staysInPlace())
      return "";
    RegionOps with = ops;
    with.insert(user);
    for (Operation *before : prologueOf(with))
      with.insert(before);
    for (Value operand : user->getOperands())
      if (!(operand.getDefiningOp() && with.contains(operand.getDefiningOp())) &&
          !availableBefore(operand, anchor))
        return "it reads what is computed after the anchor";
    return "";
  };
  takeEpilogue(rule);
  takePrologue();
}

FusedOp AnchorRegion::build() {
  Operation *where = anchor;
  if (!facts.staysInPlace())
    for (Operation *op : ops)
      if (where->isBeforeInBlock(op))
        where = op;
  FusedOp fused = buildRegion(anchor.anchor(), anchor, ops, where);
  if (ops.size() > 1)
    remarks.hit(fused) << say([&] {
      return companions(fused) + " joined the " + stringifyAnchor(fused.getAnchor()).str();
    });
  return fused;
}

} // namespace quern
