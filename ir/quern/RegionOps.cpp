// Fused regions, kernels and dispatches.
#include "ir/quern/QuernDialect.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace quern;

LogicalResult FusedOp::verify() {
  Block &body = getBody().front();
  if (body.getArgumentTypes() != getInputs().getTypes())
    return emitOpError("C1: block arguments have the inputs' types");
  if (body.getTerminator()->getOperandTypes() != getResultTypes())
    return emitOpError("C2: the yield has the results' types");
  if (getAnchor() != Anchor::rows && getAnchor() != Anchor::generic) {
    auto anchors = llvm::count_if(body.getOps<AnchorOpInterface>(),
                                  [&](AnchorOpInterface op) { return op.anchor() == getAnchor(); });
    if (anchors != 1)
      return emitOpError("C3: one op of the anchor's kind, quern.")
             << stringifyAnchor(getAnchor()) << ", not " << anchors;
  }
  return success();
}

// quern.kernel @name linear (%x: type, ...) -> (type, ...) attributes {...} { ... }
ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr name;
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<Type> results;
  FailureOr<Anchor> anchor;
  if (parser.parseSymbolName(name, getSymNameAttrName(result.name), result.attributes) ||
      failed(anchor = FieldParser<Anchor>::parse(parser)) ||
      parser.parseArgumentList(arguments, OpAsmParser::Delimiter::Paren, /*allowType=*/true) ||
      parser.parseOptionalArrowTypeList(results) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  result.addAttribute(getAnchorAttrName(result.name),
                      AnchorAttr::get(parser.getContext(), *anchor));
  SmallVector<Type> inputs =
      llvm::map_to_vector(arguments, [](OpAsmParser::Argument &arg) { return arg.type; });
  result.addAttribute(getFunctionTypeAttrName(result.name),
                      TypeAttr::get(parser.getBuilder().getFunctionType(inputs, results)));
  return parser.parseRegion(*result.addRegion(), arguments);
}

void KernelOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  printer.printSymbolName(getSymName());
  printer << ' ' << stringifyAnchor(getAnchor()) << " (";
  llvm::interleaveComma(getBody().getArguments(), printer,
                        [&](BlockArgument arg) { printer.printRegionArgument(arg); });
  printer << ')';
  printer.printOptionalArrowTypeList(getResultTypes());
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(), {getSymNameAttrName(), getAnchorAttrName(), getFunctionTypeAttrName()});
  printer << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

LogicalResult KernelOp::verify() {
  if (getBody().front().getTerminator()->getOperandTypes() != getResultTypes())
    return emitOpError("C1: the yield has the function type's results");
  return success();
}

LogicalResult DispatchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto kernel = dyn_cast_or_null<KernelOp>(symbols.lookupNearestSymbolFrom(*this, getKernelAttr()));
  if (!kernel)
    return emitOpError("C1: ") << getKernelAttr() << " is no kernel";
  if (kernel.getArgumentTypes() != getInputs().getTypes() ||
      kernel.getResultTypes() != getResultTypes())
    return emitOpError("C1: ") << getKernelAttr() << " has type " << kernel.getFunctionType();
  return success();
}

LogicalResult DispatchOp::verify() {
  if (getOffsets() && getOffsets()->size() != getNumResults())
    return emitOpError("C2: one offset a result");
  if (getReplicated() &&
      (getScratch() ||
       (getOffsets() && llvm::any_of(*getOffsets(), [](int64_t offset) { return offset < 0; }))))
    return emitOpError("C3: every worker computes it, and there is one output, one scratch memory");
  return success();
}

LogicalResult RepeatOp::verify() {
  if (static_cast<int64_t>(getTurns()) < 2 || static_cast<int64_t>(getPeriod()) < 1)
    return emitOpError("C1: at least two turns of at least one dispatch");
  return success();
}
