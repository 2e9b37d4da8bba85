// --quern-make-buckets: a schedule for each range of step shapes.
#include "passes/analysis/Entries.h"
#include "passes/schedule/Passes.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_MAKEBUCKETS
#include "passes/schedule/Passes.h.inc"

namespace {

struct Bucket {
  StringRef name;
  int64_t maxTokens;
  int64_t maxSeqs;
};

bool hasBatch(func::FuncOp entry) {
  return llvm::any_of(entry.getArgumentTypes(), [](Type type) { return isa<BatchType>(type); });
}

struct MakeBucketsPass : impl::MakeBucketsBase<MakeBucketsPass> {
  using MakeBucketsBase::MakeBucketsBase;

  void runOnOperation() override {
    if (maxTokens <= 0 || maxSeqs <= 0) {
      getOperation().emitError("--max-tokens and --max-seqs are at least 1");
      return signalPassFailure();
    }
    if (maxTokens < maxSeqs) {
      getOperation().emitError("--max-tokens ")
          << maxTokens.getValue() << " is less than --max-seqs " << maxSeqs.getValue()
          << ": a step could not advance every sequence by a token";
      return signalPassFailure();
    }
    const Bucket decode1{"decode1", 1, 1}, decode{"decode", maxSeqs, maxSeqs},
        prefill{"prefill", maxTokens, maxSeqs};
    for (func::FuncOp entry : entriesOf(getOperation())) {
      SmallVector<Bucket> buckets;
      if (hasBatch(entry))
        buckets = {decode1, decode};
      buckets.push_back(prefill);
      for (const Bucket &bucket : buckets)
        clone(entry, bucket);
      entry.erase();
    }
  }

  static void clone(func::FuncOp entry, const Bucket &bucket) {
    OpBuilder builder(entry);
    func::FuncOp func = entry.clone();
    func.setName((entry.getName() + "." + bucket.name).str());
    func->setAttr(attrs::kEntry, entry.getNameAttr());
    func->setAttr(attrs::kBucket, builder.getStringAttr(bucket.name));
    func->setAttr(attrs::kMaxTokens, builder.getI64IntegerAttr(bucket.maxTokens));
    func->setAttr(attrs::kMaxSeqs, builder.getI64IntegerAttr(bucket.maxSeqs));
    func->setAttr(attrs::kMaxRows, builder.getI64IntegerAttr(bucket.maxTokens));
    builder.insert(func);
  }
};
} // namespace
} // namespace quern
