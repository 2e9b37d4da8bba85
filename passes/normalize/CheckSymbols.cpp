// --quern-check-symbols: rows of different symbols never meet in one op, and targets are known.
#include "passes/analysis/Buffers.h"
#include "passes/analysis/GeneralOps.h"
#include "passes/normalize/Passes.h"
#include "passes/target/Target.h"

#include "llvm/ADT/StringExtras.h"

#include <set>

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
  // Their operands' and results' symbols differ: that is what they are for. General ops have their
  // own rules.
  if (isa<GatherRowsOp, PoolOp>(op) || isGeneral(&op))
    return success();
  if (auto attention = dyn_cast<AttentionRowsOp>(op); attention && attention.getSequences())
    return success(); // its keys are other rows than its queries
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

/// Dimensions are T, B, R or expressions over the module's sizes, one name for each that is not
/// fixed.
LogicalResult checkDims(Type type, const symbols::Maxima &sizes,
                        llvm::function_ref<InFlightDiagnostic()> error) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return success();
  ArrayRef<StringAttr> names = dimNames(type);
  if (names.size() != static_cast<size_t>(tensor.getNumDynamicDims()))
    return error() << "has type " << type << ": each dimension that is not fixed has a name in it";
  for (StringAttr name : names)
    if (!isKnownSymbol(name.getValue()) && !dimOf(name.getValue(), sizes))
      return error() << "has a dimension '" << name.getValue()
                     << "', which is not T, B or R, nor an expression over the module's "
                     << attrs::kSizes;
  return success();
}

LogicalResult checkDims(func::FuncOp entry, const symbols::Maxima &sizes) {
  for (Type type : llvm::concat<const Type>(entry.getArgumentTypes(), entry.getResultTypes()))
    if (failed(checkDims(type, sizes, [&] { return entry.emitError("the entry "); })))
      return failure();
  bool ok = true;
  for (Operation &op : entry.getOps())
    for (Type type : op.getResultTypes())
      ok &= succeeded(checkDims(type, sizes, [&] { return op.emitOpError(); }));
  return success(ok);
}

/// Every size is in the dimension of some input: else no call could say it.
LogicalResult checkSizesAreSaid(func::FuncOp entry, const symbols::Maxima &sizes) {
  if (!takesSizes(entry))
    return success();
  std::set<std::string> said;
  const DictionaryAttr counted = countedSizesOf(entry);
  for (NamedAttribute size : counted ? counted.getValue() : ArrayRef<NamedAttribute>())
    said.insert(size.getName().str());
  for (Type type : entry.getArgumentTypes())
    for (StringAttr name : dimNames(type))
      if (std::optional<symbols::Dim> dim = dimOf(name.getValue(), sizes))
        said.merge(dim->symbols());
  for (const auto &[size, most] : sizes) {
    if (!said.contains(size))
      return entry.emitError("no input has a dimension with the size '")
             << size << "' in it, so that no call could say it";
    if (most < 0 || most > kTooMany)
      return entry.emitError("the size '") << size << "' cannot be at most " << most;
  }
  return success();
}

/// A size that the model counts gets its value once, before anything is of that size.
LogicalResult checkCounted(func::FuncOp entry, const symbols::Maxima &sizes) {
  const DictionaryAttr counted = countedSizesOf(entry);
  if (!counted || counted.empty())
    return success();
  std::set<std::string> set;
  auto check = [&](Operation &op, StringRef text) -> LogicalResult {
    const std::optional<symbols::Dim> dim = dimOf(text, sizes);
    for (const std::string &symbol : dim ? dim->symbols() : std::set<std::string>())
      if (counted.contains(symbol) && !set.contains(symbol))
        return op.emitOpError("is of the size '") << symbol << "', which nothing has counted yet";
    return success();
  };
  for (Operation &op : entry.getOps()) {
    if (auto where = dyn_cast<WhereTrueOp>(op); where && !countedSize(where).empty())
      if (!set.insert(countedSize(where).str()).second)
        return where.emitOpError("counts the size '")
               << countedSize(where) << "', which has been counted";
    const WalkResult result = op.walk([&](Operation *inner) {
      if (auto size = dyn_cast<SizeOp>(inner); size && failed(check(op, size.getDim())))
        return WalkResult::interrupt();
      for (Type type : inner->getResultTypes())
        for (StringAttr name : dimNames(type))
          if (failed(check(op, name.getValue())))
            return WalkResult::interrupt();
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return failure();
  }
  return success();
}

struct CheckSymbolsPass : impl::CheckSymbolsBase<CheckSymbolsPass> {
  void runOnOperation() override {
    bool ok = succeeded(checkTargets(getOperation()));
    const symbols::Maxima sizes = sizesOf(getOperation());
    for (func::FuncOp entry : entriesOf(getOperation())) {
      ok &= succeeded(checkDims(entry, sizes)) && succeeded(checkSizesAreSaid(entry, sizes)) &&
            succeeded(checkCounted(entry, sizes));
      for (Operation &op : entry.getOps())
        if (isa<QuernDialect>(op.getDialect()))
          ok &= succeeded(checkOp(op)); // all of them in one go
    }
    if (!ok)
      return signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
} // namespace quern
