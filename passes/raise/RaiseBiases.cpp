// --quern-raise-biases: vectors that are added to a linear's result.
#include "passes/analysis/Entries.h"
#include "passes/analysis/Remarks.h"
#include "passes/raise/Meaning.h"
#include "passes/raise/Passes.h"
#include "passes/raise/Rows.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_RAISEBIASES
#include "passes/raise/Passes.h.inc"

namespace {
using namespace raise;
constexpr RemarkSource kRemarks{"raise", "raise-biases"};

struct RaiseBiasesPass : impl::RaiseBiasesBase<RaiseBiasesPass> {
  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation())) {
      for (Operation &op : llvm::make_early_inc_range(entry.getBody().front()))
        if (isPointwise(&op))
          raise(cast<linalg::GenericOp>(op));
      eraseDead(entry.getBody().front());
    }
  }

  /// The linear of whose result, under whatever shape, the value is the only reader.
  static LinearOp linearBehind(Value value) {
    for (;; value = value.getDefiningOp<ReshapeOp>().getInput()) {
      if (!value.hasOneUse())
        return {};
      if (auto linear = value.getDefiningOp<LinearOp>())
        return linear;
      if (!value.getDefiningOp<ReshapeOp>())
        return {};
    }
  }

  void raise(linalg::GenericOp add) {
    LinearOp linear;
    for (Value input : add.getInputs())
      if (LinearOp found = linearBehind(input); found && !found.getBias())
        linear = found;
    if (!linear)
      return;
    const auto meaning = meaningOf(Piece(add));
    if (!meaning || meaning->kind != Meaning::Kind::Binary || meaning->binary != BinaryKind::add ||
        !meaning->vector() || linearBehind(meaning->first) != linear ||
        colsOf(linear.getType()) !=
            cast<RankedTensorType>(add.getResult(0).getType()).getShape().back())
      return;
    OpBuilder builder(add);
    Value bias = weightOf(builder, meaning->second);
    if (!bias)
      return;
    auto biased = LinearOp::create(builder, linear.getLoc(), linear.getType(), linear.getInput(),
                                   linear.getWeight(), bias);
    if (std::string why; !isAccepted(biased, why)) {
      kRemarks.miss(add) << say("a linear's bias, but {0}", why);
      return;
    }
    kRemarks.hit(add) << say("a linear's bias");
    ++numRaised;
    add.getResult(0).replaceAllUsesWith(
        asTensor(builder, add.getLoc(), biased, add.getResult(0).getType()));
  }
};
} // namespace
} // namespace quern
