// --quern-fuse-embeddings: a look-up and what becomes of each element, as a scale or other rows
// that are added to it.
#include "passes/fuse/Epilogue.h"
#include "passes/fuse/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_FUSEEMBEDDINGS
#include "passes/fuse/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"fuse", "fuse-embeddings"};

struct FuseEmbeddingsPass : impl::FuseEmbeddingsBase<FuseEmbeddingsPass> {
  using FuseEmbeddingsBase::FuseEmbeddingsBase;

  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation())) {
      // Last first: where rows of two tables are added, the first's are there when the second looks
      // up its own.
      auto embeddings = llvm::to_vector(entry.getOps<EmbeddingOp>());
      for (EmbeddingOp embedding : llvm::reverse(embeddings)) {
        AnchorRegion region(embedding, kRemarks, {numFused, numMissed});
        if (join)
          region.takeEpilogue(sameColumns);
        region.build();
      }
    }
  }
};
} // namespace
} // namespace quern
