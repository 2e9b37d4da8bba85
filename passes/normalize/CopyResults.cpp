// --quern-copy-results: what an entry returns is written by it.
#include "passes/analysis/Entries.h"
#include "passes/analysis/GeneralOps.h"
#include "passes/analysis/Remarks.h"
#include "passes/normalize/GeneralBuilder.h"
#include "passes/normalize/Passes.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_COPYRESULTS
#include "passes/normalize/Passes.h.inc"

namespace {
constexpr RemarkSource kRemarks{"normalize", "copy-results"};

struct CopyResultsPass : impl::CopyResultsBase<CopyResultsPass> {
  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation()))
      if (llvm::none_of(entry.getArgumentTypes(), llvm::IsaPred<BatchType>))
        copyResults(cast<func::ReturnOp>(entry.getBody().front().getTerminator()));
  }

  void copyResults(func::ReturnOp ret) {
    // A copy is of the one before: two of one value would be found equal, and be one again.
    llvm::SmallDenseMap<Value, Value> last;
    for (OpOperand &operand : ret->getOpOperands()) {
      Value value = operand.get();
      auto type = dyn_cast<RankedTensorType>(value.getType());
      if (!type || (isComputed(value) && last.try_emplace(value, value).second))
        continue;
      OpBuilder builder(ret);
      Value &from = last.try_emplace(value, value).first->second;
      Value copy = genericOp(
          builder, value.getLoc(), from, emptyTensor(builder, value.getLoc(), type), -1,
          [](OpBuilder &, Location, ValueRange in, Value) -> Value { return in.front(); });
      kRemarks.miss(copy.getDefiningOp())
          << say("result {0} is {1}: copied", operand.getOperandNumber(),
                 isComputed(value) ? "returned before" : "not computed");
      operand.set(copy);
      from = copy;
      ++numCopied;
    }
  }
};

} // namespace
} // namespace quern
