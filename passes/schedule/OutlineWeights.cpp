// --quern-outline-weights: weights as the artifact holds them.
#include "ir/formats/Packing.h"
#include "passes/analysis/BodyHash.h"
#include "passes/analysis/Entries.h"
#include "passes/analysis/WeightRoles.h"
#include "passes/schedule/Passes.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

#include <unordered_map>

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_OUTLINEWEIGHTS
#include "passes/schedule/Passes.h.inc"

namespace {

/// The weight ops that `weight` is computed by, operands first.
void collect(Value weight, llvm::SetVector<Operation *> &ops) {
  Operation *def = weight.getDefiningOp();
  for (Value operand : def->getOperands())
    collect(operand, ops);
  ops.insert(def);
}

struct OutlineWeightsPass : impl::OutlineWeightsBase<OutlineWeightsPass> {
  void runOnOperation() override {
    packed.clear();
    SymbolTable symbols(getOperation());
    for (func::FuncOp entry : entriesOf(getOperation())) {
      llvm::MapVector<std::pair<Value, StringAttr>, Value> done;
      for (auto fused : entry.getOps<FusedOp>())
        for (OpOperand &input : fused->getOpOperands())
          if (isa<WeightType>(input.get().getType()) &&
              failed(outline(fused, input, symbols, done)))
            return signalPassFailure();
      for (Operation &op : llvm::make_early_inc_range(llvm::reverse(entry.getBody().front())))
        if (isReference(&op) && op.use_empty())
          op.erase();
    }
  }

  LogicalResult outline(FusedOp fused, OpOperand &input, SymbolTable &symbols,
                        llvm::MapVector<std::pair<Value, StringAttr>, Value> &done) {
    Value weight = input.get();
    FailureOr<StringAttr> packing = packingOf(fused, input);
    if (failed(packing))
      return failure();
    Value &reference = done[{weight, *packing}];
    if (!reference) {
      OpBuilder builder(&getContext());
      builder.setInsertionPointAfterValue(weight);
      reference = WeightRefOp::create(builder, weight.getLoc(), weight.getType(),
                                      declare(weight, *packing, symbols));
    }
    input.set(reference);
    return success();
  }

  FailureOr<StringAttr> packingOf(FusedOp fused, OpOperand &input) {
    auto type = cast<WeightType>(input.get().getType());
    if (roleOfInput(fused, input.getOperandNumber()) != WeightRole::matrix)
      return StringAttr::get(&getContext(), "rows");
    const formats::Format *format = formats::find_format(type.getFormat().getValue());
    if (!format)
      return fused.emitError("weight '")
             << weightName(input.get()) << "' has the unknown format " << type.getFormat()
             << "; quern-quantize-weights gives it one that kernels read";
    return StringAttr::get(&getContext(), formats::packing_name(format->packing()));
  }

  /// The symbol of the quern.packed of that expression and packing, declared unless there is one.
  FlatSymbolRefAttr declare(Value weight, StringAttr packing, SymbolTable &symbols) {
    llvm::SetVector<Operation *> ops;
    collect(weight, ops);
    OpBuilder builder(&getContext());
    auto op = PackedOp::create(builder, weight.getLoc(), weightName(weight) + ".packed",
                               cast<WeightType>(weight.getType()), packing.getValue(),
                               IntegerAttr(), IntegerAttr());
    builder.setInsertionPointToEnd(&op.getBody().emplaceBlock());
    IRMapping mapping;
    for (Operation *step : ops)
      builder.clone(*step, mapping);
    YieldOp::create(builder, weight.getLoc(), mapping.lookup(weight));
    std::vector<PackedOp> &alike = packed[hashOfBody(op.getBody())];
    for (PackedOp other : alike)
      if (other.getType() == op.getType() && other.getPacking() == packing.getValue() &&
          OperationEquivalence::isRegionEquivalentTo(&other.getBody(), &op.getBody(),
                                                     OperationEquivalence::IgnoreLocations)) {
        op.erase();
        ++numShared;
        return FlatSymbolRefAttr::get(other.getSymNameAttr());
      }
    // In the order of first use, before the functions.
    Operation *before = *getOperation().getOps<func::FuncOp>().begin();
    symbols.insert(op, before->getIterator());
    alike.push_back(op);
    ++numPacked;
    return FlatSymbolRefAttr::get(op.getSymNameAttr());
  }

  std::unordered_map<size_t, std::vector<PackedOp>>
      packed; ///< by hashOfBody; looked up, never walked
};
} // namespace
} // namespace quern
