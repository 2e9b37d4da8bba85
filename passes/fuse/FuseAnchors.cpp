// --quern-fuse-anchors: anchors that no pass before it knows, and the elementwise ops around them.
#include "passes/fuse/Epilogue.h"
#include "passes/fuse/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_FUSEANCHORS
#include "passes/fuse/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"fuse", "fuse-anchors"};

struct FuseAnchorsPass : impl::FuseAnchorsBase<FuseAnchorsPass> {
  using FuseAnchorsBase::FuseAnchorsBase;

  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation())) {
      // Last first: where two anchors meet in an op, the other's result is there already when the
      // later one ends.
      auto anchors = llvm::to_vector(entry.getOps<AnchorOpInterface>());
      for (AnchorOpInterface anchor : llvm::reverse(anchors)) {
        AnchorRegion region(anchor, kRemarks, {numFused, numMissed});
        if (join)
          region.takeAround();
        region.build();
      }
    }
  }
};
} // namespace
} // namespace quern
