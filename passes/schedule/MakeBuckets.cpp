// --quern-make-buckets: a schedule for each range of step shapes.
#include "passes/analysis/Entries.h"
#include "passes/analysis/Sizes.h"
#include "passes/schedule/Passes.h"
#include "passes/target/Target.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_MAKEBUCKETS
#include "passes/schedule/Passes.h.inc"

namespace {

/// Whether there are steps that go on with sequences, a token of each: not with plain tensors, nor
/// where sequences lie in the step as a whole.
bool goesOn(func::FuncOp entry) {
  const bool whole =
      entry->walk([](AttentionRowsOp) { return WalkResult::interrupt(); }).wasInterrupted();
  return !whole &&
         llvm::any_of(entry.getArgumentTypes(), [](Type type) { return isa<BatchType>(type); });
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
    ArrayRef<target::Bucket> all = target::of(getOperation()).buckets;
    for (func::FuncOp entry : entriesOf(getOperation())) {
      if (takesSizes(entry))
        cloneForSizes(entry);
      else
        for (const target::Bucket &bucket : goesOn(entry) ? all : all.take_back())
          clone(entry, bucket);
      entry.erase();
    }
  }

  int64_t most(target::Limit limit) const {
    switch (limit) {
    case target::Limit::one:
      return 1;
    case target::Limit::seqs:
      return maxSeqs;
    case target::Limit::tokens:
      return maxTokens;
    }
    llvm_unreachable("a limit is one of these");
  }

  static func::FuncOp clone(func::FuncOp entry, StringRef name, int64_t tokens, int64_t seqs) {
    OpBuilder builder(entry);
    func::FuncOp func = entry.clone();
    func.setName((entry.getName() + "." + name).str());
    func->setAttr(attrs::kEntry, entry.getNameAttr());
    func->setAttr(attrs::kBucket, builder.getStringAttr(name));
    func->setAttr(attrs::kMaxTokens, builder.getI64IntegerAttr(tokens));
    func->setAttr(attrs::kMaxSeqs, builder.getI64IntegerAttr(seqs));
    func->setAttr(attrs::kMaxRows, builder.getI64IntegerAttr(tokens));
    builder.insert(func);
    return func;
  }

  void clone(func::FuncOp entry, const target::Bucket &bucket) const {
    clone(entry, bucket.name, most(bucket.tokens), most(bucket.seqs));
  }

  static void cloneForSizes(func::FuncOp entry) {
    clone(entry, "main", 1, 1)->setAttr(attrs::kSized, UnitAttr::get(entry.getContext()));
  }
};
} // namespace
} // namespace quern
