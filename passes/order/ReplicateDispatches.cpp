// --quern-replicate-dispatches: what every worker computes for itself.
#include "passes/analysis/Buffers.h"
#include "passes/analysis/Remarks.h"
#include "passes/order/Passes.h"
#include "passes/target/Target.h"

#include "mlir/IR/SymbolTable.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_REPLICATEDISPATCHES
#include "passes/order/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"order", "replicate-dispatches"};

struct ReplicateDispatchesPass : impl::ReplicateDispatchesBase<ReplicateDispatchesPass> {
  void runOnOperation() override {
    const SymbolTable symbols(getOperation());
    for (func::FuncOp bucket : bucketsOf(getOperation())) {
      FailureOr<BucketShape> shape = bucketShape(bucket);
      auto arena = bucket->getAttrOfType<IntegerAttr>(attrs::kArena);
      if (failed(shape))
        return signalPassFailure();
      if (!arena) {
        bucket.emitError("has no `") << attrs::kArena << "`; the plan phase sets it";
        return signalPassFailure();
      }
      mark(bucket, symbols, shape->single(), arena.getInt());
    }
  }

  void mark(func::FuncOp bucket, const SymbolTable &symbols, bool single, int64_t arena) {
    const target::Target &target = target::of(getOperation());
    const bool possible = single && arena <= target.replicatedArena;
    size_t could = 0, all = 0;
    for (auto dispatch : bucket.getOps<DispatchOp>()) {
      const bool replicable = isReplicable(dispatch, symbols, target);
      dispatch.setReplicated(possible && replicable);
      could += replicable;
      ++all;
    }
    if (possible) {
      numReplicated += could;
      kRemarks.hit(bucket) << say("{0}: {1} of {2} dispatches are computed by every worker",
                                  bucket.getName(), could, all);
    } else if (single && could) {
      ++numTooLarge;
      kRemarks.miss(bucket) << say("{0}: a worker would need an arena of {1} bytes of its own; the "
                                   "target gives it {2}",
                                   bucket.getName(), arena, target.replicatedArena);
    }
  }

  static bool isReplicable(DispatchOp dispatch, const SymbolTable &symbols,
                           const target::Target &target) {
    auto kernel = symbols.lookup<KernelOp>(dispatch.getKernel());
    return target.traits(kernel.getAnchor()).replicable && !dispatch.getScratch() &&
           dispatch.getOffsets() &&
           llvm::all_of(*dispatch.getOffsets(), [](int64_t offset) { return offset >= 0; }) &&
           llvm::none_of(dispatch.getInputs().getTypes(),
                         [](Type type) { return isa<StateType>(type); });
  }
};

} // namespace
} // namespace quern
