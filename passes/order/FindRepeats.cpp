// --quern-find-repeats: layers that are alike.
#include "passes/analysis/Calls.h"
#include "passes/analysis/Entries.h"
#include "passes/analysis/Remarks.h"
#include "passes/order/Passes.h"
#include "passes/order/Repeats.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_FINDREPEATS
#include "passes/order/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"order", "find-repeats"};

/// Numbers that are the same where calls are alike.
SmallVector<unsigned> kindsOf(ArrayRef<Call> calls) {
  SmallVector<unsigned> kinds;
  SmallVector<const Call *> examples; // of each kind
  for (const Call &call : calls) {
    auto known = llvm::find_if(examples, [&](const Call *other) { return other->alike(call); });
    kinds.push_back(static_cast<unsigned>(known - examples.begin()));
    if (known == examples.end())
      examples.push_back(&call);
  }
  return kinds;
}

struct FindRepeatsPass : impl::FindRepeatsBase<FindRepeatsPass> {
  using FindRepeatsBase::FindRepeatsBase;

  void runOnOperation() override {
    const SymbolTable symbols(getOperation());
    for (func::FuncOp bucket : bucketsOf(getOperation())) {
      for (RepeatOp old : llvm::make_early_inc_range(bucket.getOps<RepeatOp>()))
        old.erase();
      FailureOr<std::vector<Call>> calls = callsOf(bucket, symbols);
      if (failed(calls))
        return signalPassFailure();
      const std::vector<order::Repeat> repeats = order::findRepeats(kindsOf(*calls), least);
      for (const order::Repeat &repeat : repeats) {
        DispatchOp first = (*calls)[repeat.first].dispatch;
        OpBuilder builder(first);
        auto op = RepeatOp::create(builder, first.getLoc(), repeat.count, repeat.period);
        ++numRepeats;
        numSaved += repeat.saved();
        kRemarks.hit(op) << say("{0}: {1} times the same {2} dispatches, behind {3} others",
                                bucket.getName(), repeat.count, repeat.period, repeat.first);
      }
      if (repeats.empty())
        kRemarks.miss(bucket) << say("{0}: no dispatches repeat so that {1} would be saved",
                                     bucket.getName(), least.getValue());
    }
  }
};

} // namespace
} // namespace quern
