// --quern-merge-sibling-linears: one linear where several read the same input.
#include "passes/analysis/Remarks.h"
#include "passes/analysis/SourceNames.h"
#include "passes/analysis/WeightRoles.h"
#include "passes/fuse/Passes.h"
#include "passes/fuse/RegionBuilder.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_MERGESIBLINGLINEARS
#include "passes/fuse/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"fuse", "merge-sibling-linears"};

using Siblings = SmallVector<LinearOp>;

/// What siblings must agree on, beside their input: the formats of weight and bias, and the
/// activation (of an MLP) that alone reads them. An activation reads all columns of its linear, or
/// gate and up of one, or it would not be its epilogue.
using Kind = std::tuple<StringAttr, StringAttr, Operation *>;

Kind kindOf(LinearOp op) {
  Operation *reader = op->hasOneUse() ? *op->user_begin() : nullptr;
  return {op.getWeight().getType().getFormat(),
          op.getBias() ? op.getBias().getType().getFormat() : StringAttr(),
          isa_and_nonnull<UnaryOp, GatedActOp>(reader) ? reader : nullptr};
}

/// Why the linear cannot be merged into one that stands at `first`; "" if it can.
StringRef obstacle(LinearOp op, LinearOp first) {
  if (!op.getWeight().hasOneUse())
    return "its weight has other uses and would be stored twice";
  if (llvm::any_of(op->getUsers(), llvm::IsaPred<RouteOp>))
    return "its logits choose experts, so that its weight keeps a precision of its own";
  // What general ops read are whole tensors: no slice joins their regions.
  if (llvm::any_of(op->getUsers(), llvm::IsaPred<FusedOp>))
    return "a region of general ops reads its rows where they lie by themselves";
  if (colsOf(op.getType()) == 1)
    return "it is one column, and the others would begin inside a panel";
  for (Value weight : {Value(op.getWeight()), Value(op.getBias())})
    if (weight && !availableBefore(weight, first))
      return "its weight is referred to only later; quern-hoist-references would move it";
  return "";
}

Value concat(OpBuilder &builder, Location loc, ValueRange weights) {
  auto first = cast<WeightType>(weights.front().getType());
  SmallVector<int64_t> shape(first.getShape());
  shape[0] = 0;
  for (Value weight : weights)
    shape[0] += cast<WeightType>(weight.getType()).getShape()[0];
  return WeightConcatOp::create(
      builder, loc, WeightType::get(builder.getContext(), shape, first.getFormat()), weights);
}

void merge(ArrayRef<LinearOp> siblings) {
  LinearOp first = siblings.front();
  OpBuilder builder(first);
  Location loc =
      mergeLocations(llvm::map_to_vector(siblings, [](LinearOp op) { return op.getLoc(); }));
  Value weight =
      concat(builder, loc,
             llvm::map_to_vector(siblings, [](LinearOp op) -> Value { return op.getWeight(); }));
  Value bias;
  if (first.getBias())
    bias = concat(builder, loc,
                  llvm::map_to_vector(siblings, [](LinearOp op) -> Value { return op.getBias(); }));
  Value input = first.getInput();
  int64_t cols = cast<WeightType>(weight.getType()).getShape()[0];
  auto merged =
      LinearOp::create(builder, loc, rowsType(builder.getContext(), rowsOf(input.getType()), cols),
                       input, weight, bias);
  int64_t offset = 0;
  for (LinearOp op : siblings) {
    Value slice = SliceOp::create(builder, op.getLoc(), op.getType(), merged, offset);
    offset += colsOf(op.getType());
    op.replaceAllUsesWith(slice);
  }
  kRemarks.hit(merged) << say("merged {0} linears of one input into {1} columns", siblings.size(),
                              cols);
  for (LinearOp op : siblings)
    op.erase();
}

struct MergeSiblingLinearsPass : impl::MergeSiblingLinearsBase<MergeSiblingLinearsPass> {
  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation())) {
      llvm::MapVector<Value, Siblings> byInput;
      for (auto linear : entry.getOps<LinearOp>())
        byInput[linear.getInput()].push_back(linear);
      for (auto &[input, all] : byInput)
        if (all.size() > 1)
          mergeSiblings(all);
    }
  }

  void mergeSiblings(ArrayRef<LinearOp> all) {
    llvm::MapVector<Kind, Siblings> groups;
    for (LinearOp op : all) {
      // The merged linear will stand where the first of them does.
      if (StringRef why = obstacle(op, all.front()); !why.empty())
        miss(op, why);
      else
        groups[kindOf(op)].push_back(op);
    }
    for (auto &[kind, siblings] : groups) {
      auto [format, biasFormat, activation] = kind;
      if (siblings.size() > 1) {
        numMerged += siblings.size();
        merge(siblings);
      } else if (groups.size() > 1) {
        miss(siblings.front(), activation ? "its activation would not be its epilogue"
                               : biasFormat
                                   ? "no sibling has a weight and a bias of the same formats"
                                   : "no sibling without a bias has a weight of its format");
      }
    }
  }

  void miss(LinearOp op, StringRef why) {
    kRemarks.miss(op) << say("not merged with its siblings: {0}", why);
    ++numMissed;
  }
};
} // namespace
} // namespace quern
