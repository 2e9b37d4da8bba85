// --quern-plan-weights: the weights section.
#include "ir/formats/Format.h"
#include "passes/analysis/Buffers.h"
#include "passes/plan/Passes.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_PLANWEIGHTS
#include "passes/plan/Passes.h.inc"

namespace {
struct PlanWeightsPass : impl::PlanWeightsBase<PlanWeightsPass> {
  void runOnOperation() override {
    Builder builder(&getContext());
    int64_t end = 0;
    // They are declared in the order of first use.
    for (auto packed : getOperation().getOps<PackedOp>()) {
      int64_t bytes = packedBytes(packed);
      end = llvm::alignTo(end, kBufferAlignment);
      packed.setOffset(end);
      packed.setBytes(bytes);
      end += bytes;
    }
    getOperation()->setAttr(attrs::kWeightsBytes,
                            builder.getI64IntegerAttr(llvm::alignTo(end, kSectionAlignment)));
  }
};
} // namespace
} // namespace quern
