// --quern-fuse-embeddings: a look-up and its scale.
#include "passes/analysis/Remarks.h"
#include "passes/fuse/Epilogue.h"
#include "passes/fuse/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_FUSEEMBEDDINGS
#include "passes/fuse/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"fuse", "fuse-embeddings"};

struct FuseEmbeddingsPass : impl::FuseEmbeddingsBase<FuseEmbeddingsPass> {
  void runOnOperation() override {
    auto rule = [](Operation *user, Value value, bool throughViews) -> StringRef {
      return isa<ScaleOp>(user) ? sameColumns(user, value, throughViews) : "it is no scale";
    };
    for (func::FuncOp entry : entriesOf(getOperation())) {
      for (EmbeddingOp embedding : llvm::to_vector(entry.getOps<EmbeddingOp>())) {
        RegionOps ops;
        ops.insert(embedding);
        EpilogueEnd end = growEpilogue(embedding.getResult(), ops, rule);
        numFused += end.fused;
        FusedOp fused = buildRegion("embedding", embedding, ops, ops.back());
        if (end.fused)
          kRemarks.hit(fused) << say(
              [&] { return companions(fused) + " joined the " + fused.getAnchor().str(); });
      }
    }
  }
};
} // namespace
} // namespace quern
