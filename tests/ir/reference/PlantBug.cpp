// A pass with a bug, for testing that --verify-semantics finds it: quern-opt-test is quern-opt with
// --test-plant-bug.
#include "compiler/opt/QuernOpt.h"
#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
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
      getOperation().walk([&](quern::BinaryOp op) {
        if (op.getFn() == quern::BinaryKind::sub)
          op->setOperands({op.getRhs(), op.getLhs()});
      });
    else if (bug == "window")
      // Shows only in sequences of more than four tokens, so in some batches only across steps.
      getOperation().walk(
          [&](quern::AttentionOp op) { op.setWindowAttr(builder.getI64IntegerAttr(4)); });
    else if (bug == "entry")
      for (auto function : getOperation().getOps<func::FuncOp>())
        function.setName("pets");
    else if (bug != "none")
      signalPassFailure();
  }

  Option<std::string> bug{*this, "bug", llvm::cl::desc("eps, swap, window, entry or none")};
};

} // namespace

int main(int argc, char **argv) {
  PassRegistration<PlantBug>();
  return quern::run_quern_opt(argc, argv);
}
