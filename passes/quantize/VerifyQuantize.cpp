// --quern-verify-quantize: what holds after the quantize phase.
#include "ir/formats/Format.h"
#include "passes/analysis/Entries.h"
#include "passes/analysis/WeightRoles.h"
#include "passes/quantize/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_VERIFYQUANTIZE
#include "passes/quantize/Passes.h.inc"

namespace {

LogicalResult verifyRegion(FusedOp fused) {
  for (auto [index, input] : llvm::enumerate(fused.getInputs())) {
    auto type = dyn_cast<WeightType>(input.getType());
    if (!type)
      continue;
    if (!formats::find_format(type.getFormat().getValue()))
      return fused.emitError("weight '")
             << weightName(input) << "' has the unknown format " << type.getFormat();
    if (roleOfInput(fused, index) != WeightRole::matrix && type.getFormat() != "f32")
      return fused.emitError("weight '")
             << weightName(input) << "' is no matrix and must be f32, not " << type.getFormat();
  }
  for (Operation &op : fused.getBody().front()) {
    if (!isa<LinearOp, ExpertLinearOp>(op))
      continue;
    auto matrix =
        cast<WeightType>(cast<AnchorOpInterface>(op).facts().matrix.operand->get().getType());
    bool integers = isQuantized(matrix);
    if (integers != isa<Q8RowsType>(op.getOperand(0).getType()))
      return op.emitOpError("reads ") << (integers ? "float rows with quantized weights"
                                                   : "quantized rows with float weights");
  }
  return success();
}

struct VerifyQuantizePass : impl::VerifyQuantizeBase<VerifyQuantizePass> {
  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation()))
      for (Operation &op : entry.getBody().front()) {
        if (auto fused = dyn_cast<FusedOp>(op)) {
          if (failed(verifyRegion(fused)))
            return signalPassFailure();
        } else if (!isReference(&op) && !isa<func::ReturnOp>(op)) {
          op.emitOpError("is in no fused region");
          return signalPassFailure();
        }
      }
    markAllAnalysesPreserved();
  }
};

} // namespace
} // namespace quern
