// A pass with a bug, for testing that --verify-semantics finds it: quern-opt-test is quern-opt with
// --test-plant-bug.
#include "compiler/opt/QuernOpt.h"
#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;

namespace {

/// Breaks the meaning of the module in the way the option says.
struct PlantBug : PassWrapper<PlantBug, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PlantBug)

  PlantBug() = default;
  PlantBug(const PlantBug &other) : PassWrapper(other) {}

  StringRef getArgument() const override { return "test-plant-bug"; }
  StringRef getDescription() const override { return "Changes what the module computes"; }

  void runOnOperation() override {
    Builder builder(&getContext());
    if (bug == "eps")
      getOperation().walk(
          [&](quern::RmsNormOp op) { op.setEpsAttr(builder.getF32FloatAttr(0.5f)); });
    else if (bug == "swap")
      getOperation().walk([&](Operation *op) {
        auto binary = dyn_cast<quern::BinaryOp>(op);
        if ((binary && binary.getFn() == quern::BinaryKind::sub) ||
            isa<arith::SubFOp, arith::SubIOp>(op))
          op->setOperands({op->getOperand(1), op->getOperand(0)});
      });
    else if (bug == "window")
      // Shows only in sequences of more than four tokens, so in some batches only across steps.
      getOperation().walk(
          [&](quern::AttentionOp op) { op.setWindowAttr(builder.getI64IntegerAttr(4)); });
    else if (bug == "miswire")
      miswire();
    else if (bug == "coarse")
      getOperation().walk([&](Operation *op) { coarsen(op); });
    else if (bug == "entry")
      for (auto function : getOperation().getOps<func::FuncOp>())
        function.setName("pets");
    else if (bug != "none")
      signalPassFailure();
  }

  /// Lets a linear that reads quantized rows read others of the same shape, which another region
  /// quantized: all types and all counts stay as they were.
  void miswire() {
    SmallVector<Value> seen;
    bool done = false;
    getOperation().walk([&](quern::FusedOp fused) {
      for (OpOperand &input : fused->getOpOperands()) {
        if (!isa<quern::Q8RowsType>(input.get().getType()) || llvm::is_contained(seen, input.get()))
          continue;
        for (Value other : seen)
          if (!done && other.getType() == input.get().getType()) {
            input.set(other);
            done = true;
          }
        seen.push_back(input.get());
      }
    });
    if (!done)
      getOperation().emitError("no two quantized rows have one shape");
  }

  /// Rounds what kv state keeps to int8, and changes nothing else.
  static void coarsen(Operation *op) {
    AttrTypeReplacer replacer;
    replacer.addReplacement([](quern::StateType type) -> std::optional<Type> {
      if (type.getKind() != quern::StateKind::kv)
        return std::nullopt;
      return type.in(quern::StateFormat::int8);
    });
    replacer.replaceElementsIn(op, /*replaceAttrs=*/true, /*replaceLocs=*/false,
                               /*replaceTypes=*/true);
  }

  Option<std::string> bug{*this, "bug",
                          llvm::cl::desc("eps, swap, window, miswire, coarse, entry or none")};
};

} // namespace

int main(int argc, char **argv) {
  PassRegistration<PlantBug>();
  return quern::run_quern_opt(argc, argv);
}
