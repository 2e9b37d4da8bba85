// --quern-mark-argmax: which dispatch gives all of a token's step.
#include "passes/analysis/Buffers.h"
#include "passes/order/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_MARKARGMAX
#include "passes/order/Passes.h.inc"

namespace {

struct MarkArgmaxPass : impl::MarkArgmaxBase<MarkArgmaxPass> {
  void runOnOperation() override {
    for (func::FuncOp bucket : bucketsOf(getOperation())) {
      FailureOr<BucketShape> shape = bucketShape(bucket);
      if (failed(shape))
        return signalPassFailure();
      auto returned = bucket.getBody().front().getTerminator()->getOperands();
      const bool possible = shape->single() && returned.size() == 1;
      for (auto dispatch : bucket.getOps<DispatchOp>()) {
        dispatch.setArgmax(possible && dispatch.getNumResults() == 1 &&
                           dispatch.getResult(0) == returned.front());
        numMarked += dispatch.getArgmax();
      }
    }
  }
};

} // namespace
} // namespace quern
