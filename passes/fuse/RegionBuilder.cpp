#include "passes/fuse/RegionBuilder.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace quern {

static bool isView(Operation *op) { return op && op->hasTrait<View>(); }

/// What the value is a view of.
static Value baseOf(Value value) {
  while (isView(value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  return value;
}

bool availableBefore(Value value, Operation *where) {
  Operation *def = baseOf(value).getDefiningOp();
  return !def || (def->getBlock() == where->getBlock() && def->isBeforeInBlock(where));
}

bool allUsersIn(Operation *op, const RegionOps &ops) {
  return llvm::all_of(op->getUsers(), [&](Operation *user) {
    return ops.contains(user) || (isView(user) && allUsersIn(user, ops));
  });
}

namespace {
class Builder {
public:
  Builder(Anchor anchor, Operation *namesake, const RegionOps &ops, Operation *where)
      : anchor(anchor), namesake(namesake), ops(ops.begin(), ops.end()),
        members(ops.begin(), ops.end()), builder(where) {
    llvm::sort(this->ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  }

  FusedOp build() {
    for (Operation *op : ops)
      for (Value operand : op->getOperands())
        addInput(operand);
    SmallVector<Value> results;
    for (Operation *op : ops)
      for (Value result : op->getResults())
        if (usedOutside(result))
          results.push_back(result);

    auto fused = FusedOp::create(builder, namesake->getLoc(), TypeRange(ValueRange(results)),
                                 inputs.getArrayRef(), anchor);
    Block &body = fused.getBody().emplaceBlock();
    for (Value input : inputs)
      mapping.map(input, body.addArgument(input.getType(), input.getLoc()));
    builder.setInsertionPointToEnd(&body);
    for (Operation *op : ops) {
      for (Value operand : op->getOperands())
        cloneViews(operand);
      builder.clone(*op, mapping);
    }
    YieldOp::create(builder, namesake->getLoc(), llvm::map_to_vector(results, [&](Value result) {
                      return mapping.lookup(result);
                    }));
    for (auto [old, result] : llvm::zip(results, fused.getResults()))
      old.replaceAllUsesWith(result);
    eraseMembers();
    return fused;
  }

private:
  bool isMember(Operation *op) const { return op && members.contains(op); }

  void addInput(Value operand) {
    Value base = baseOf(operand);
    if (!isMember(base.getDefiningOp()))
      inputs.insert(base);
  }

  /// Whether an op outside the region reads the value, itself or through a view.
  bool usedOutside(Value value) const {
    return llvm::any_of(value.getUsers(), [&](Operation *user) {
      if (isMember(user))
        return false;
      return !isView(user) || usedOutside(user->getResult(0));
    });
  }

  void cloneViews(Value operand) {
    if (mapping.contains(operand) || !isView(operand.getDefiningOp()))
      return;
    cloneViews(operand.getDefiningOp()->getOperand(0));
    builder.clone(*operand.getDefiningOp(), mapping);
  }

  /// Users before their producers. Views between members lose their last reader then and go as
  /// well.
  void eraseMembers() {
    for (Operation *op : llvm::reverse(ops)) {
      for (Operation *user : llvm::make_early_inc_range(op->getUsers()))
        eraseDeadView(user);
      op->erase();
    }
  }
  static void eraseDeadView(Operation *view) {
    for (Operation *user : llvm::make_early_inc_range(view->getUsers()))
      eraseDeadView(user);
    view->erase();
  }

  Anchor anchor;
  Operation *namesake;
  SmallVector<Operation *> ops; ///< in the order of the block
  DenseSet<Operation *> members;
  OpBuilder builder;
  llvm::SetVector<Value> inputs;
  IRMapping mapping;
};
} // namespace

FusedOp buildRegion(Anchor anchor, Operation *namesake, const RegionOps &ops, Operation *where) {
  return Builder(anchor, namesake, ops, where).build();
}

} // namespace quern
