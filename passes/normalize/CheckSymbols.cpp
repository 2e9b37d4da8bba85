// --quern-check-symbols: rows of different symbols never meet in one op, and targets are known.
#include "passes/analysis/Buffers.h"
#include "passes/normalize/Passes.h"
#include "passes/target/Target.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_CHECKSYMBOLS
#include "passes/normalize/Passes.h.inc"

namespace {

/// The symbol that counts the value's rows; "" for a weight, a state, the batch.
StringRef symbolOf(Type type) {
  return isRows(type) || isIndices(type) || isChoices(type) || isa<Q8RowsType>(type) ? rowsOf(type)
                                                                                     : StringRef();
}

LogicalResult checkOp(Operation &op) {
  // Their operands' and results' symbols differ: that is what they are for.
  if (isa<GatherRowsOp, PoolOp>(op))
    return success();
  StringRef expected;
  if (llvm::any_of(op.getOperandTypes(), [](Type type) { return isa<BatchType>(type); }))
    expected = "T";
  StringRef because = expected.empty() ? "" : " (the op reads the batch, whose tokens are T)";
  auto check = [&](Type type, StringRef what, unsigned index) -> LogicalResult {
    StringRef symbol = symbolOf(type);
    if (symbol.empty())
      return success();
    if (expected.empty())
      expected = symbol;
    if (symbol == expected)
      return success();
    return op.emitOpError() << what << " " << index << " has " << symbol << " rows where "
                            << expected << " rows are expected" << because;
  };
  for (auto [index, type] : llvm::enumerate(op.getOperandTypes()))
    if (failed(check(type, "operand", index)))
      return failure();
  for (auto [index, type] : llvm::enumerate(op.getResultTypes()))
    if (failed(check(type, "result", index)))
      return failure();
  return success();
}

/// Passes after this one take it for granted that a target's name is one.
LogicalResult checkTargets(ModuleOp module) {
  SmallVector<Attribute> named;
  if (Attribute target = module->getAttr(attrs::kTarget))
    named.push_back(target);
  if (auto targets = module->getAttrOfType<ArrayAttr>(attrs::kTargets))
    llvm::append_range(named, targets);
  for (Attribute attr : named)
    if (auto name = dyn_cast<StringAttr>(attr); !name || !target::find(name.getValue()))
      return module.emitError("there is no target ")
             << attr << "; there are "
             << llvm::join(llvm::map_range(target::all(),
                                           [](const target::Target &t) { return t.name.str(); }),
                           ", ");
  return success();
}

struct CheckSymbolsPass : impl::CheckSymbolsBase<CheckSymbolsPass> {
  void runOnOperation() override {
    bool ok = succeeded(checkTargets(getOperation()));
    for (func::FuncOp entry : entriesOf(getOperation()))
      for (Operation &op : entry.getOps())
        if (isa<QuernDialect>(op.getDialect()))
          ok &= succeeded(checkOp(op)); // all of them in one go
    if (!ok)
      return signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
} // namespace quern
