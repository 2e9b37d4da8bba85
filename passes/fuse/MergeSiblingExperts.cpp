// --quern-merge-sibling-experts: one product of experts' gates and ups.
#include "passes/analysis/Remarks.h"
#include "passes/analysis/SourceNames.h"
#include "passes/fuse/Passes.h"
#include "passes/fuse/RegionBuilder.h"
#include "passes/target/Target.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_MERGESIBLINGEXPERTS
#include "passes/fuse/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"fuse", "merge-sibling-experts"};

/// Why the two cannot be merged into one that stands at `gate`; "" if they can.
StringRef obstacle(ExpertLinearOp gate, ExpertLinearOp up, int64_t panel) {
  if (gate.getInput() != up.getInput() || gate.getIds() != up.getIds())
    return "gate and up read other rows";
  if (gate.getWeight().getType() != up.getWeight().getType() || !gate.getBias() != !up.getBias() ||
      (gate.getBias() && gate.getBias().getType() != up.getBias().getType()))
    return "gate and up have weights of other shapes or formats";
  if (!gate->hasOneUse() || !up->hasOneUse())
    return "gate or up has other uses";
  if (gate.blockOutputs() % panel != 0)
    return "up would begin inside a panel of columns";
  for (ExpertLinearOp op : {gate, up})
    for (Value weight : {Value(op.getWeight()), Value(op.getBias())})
      if (weight && !weight.hasOneUse())
        return "a weight has other uses and would be stored twice";
  return "";
}

/// Of each expert the rows of one, then of the other.
Value concat(OpBuilder &builder, Location loc, Value first, Value second) {
  auto type = cast<WeightType>(first.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape[1] *= 2;
  return WeightConcatOp::create(builder, loc,
                                WeightType::get(builder.getContext(), shape, type.getFormat()),
                                ValueRange{first, second}, /*axis=*/1);
}

void merge(ExpertLinearOp gate, ExpertLinearOp up) {
  // Where both have been: what they read is there by then.
  ExpertLinearOp later = gate->isBeforeInBlock(up) ? up : gate;
  OpBuilder builder(later);
  Location loc = mergeLocations({gate.getLoc(), up.getLoc()});
  Value weight = concat(builder, loc, gate.getWeight(), up.getWeight());
  Value bias;
  if (gate.getBias())
    bias = concat(builder, loc, gate.getBias(), up.getBias());
  const int64_t width = gate.blockOutputs(), choices = gate.choices();
  auto type = rowsType(builder.getContext(), rowsOf(gate.getType()), 2 * choices * width);
  auto merged =
      ExpertLinearOp::create(builder, loc, type, gate.getInput(), gate.getIds(), weight, bias);
  for (auto [op, offset] : {std::pair(gate, int64_t{0}), std::pair(up, width)}) {
    Value slice = SliceOp::create(builder, op.getLoc(), op.getType(), merged,
                                  static_cast<uint64_t>(offset), static_cast<uint64_t>(choices));
    op.replaceAllUsesWith(slice);
    op.erase();
  }
  kRemarks.hit(merged) << say("merged the gates and ups of experts into {0} columns", 2 * width);
}

struct MergeSiblingExpertsPass : impl::MergeSiblingExpertsBase<MergeSiblingExpertsPass> {
  void runOnOperation() override {
    const int64_t panel = target::of(getOperation()).panelColumns;
    for (func::FuncOp entry : entriesOf(getOperation()))
      for (GatedActOp act : llvm::to_vector(entry.getOps<GatedActOp>())) {
        auto gate = act.getGate().getDefiningOp<ExpertLinearOp>();
        auto up = act.getUp().getDefiningOp<ExpertLinearOp>();
        if (!gate || !up || gate == up)
          continue;
        if (StringRef why = obstacle(gate, up, panel); !why.empty()) {
          kRemarks.miss(act) << say("gate and up are not merged: {0}", why);
          ++numMissed;
          continue;
        }
        merge(gate, up);
        numMerged += 2;
      }
  }
};
} // namespace
} // namespace quern
