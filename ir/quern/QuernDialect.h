// The quern dialect's C++ face: types, attributes and ops (generated from the .td files beside this
// one), and the few helpers that builders and passes share.
#ifndef QUERN_IR_QUERN_QUERNDIALECT_H
#define QUERN_IR_QUERN_QUERNDIALECT_H

#include "ir/interfaces/AnchorInterface.h"
#include "ir/interfaces/FusionTraits.h"
#include "ir/interfaces/NormInterface.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace quern {
/// The resource that every effect on state goes through.
struct StateResource : public mlir::SideEffects::Resource::Base<StateResource> {
  llvm::StringRef getName() final { return "quern.state"; }
};

/// The resource that the setting of a counted size is an effect on.
struct SizeResource : public mlir::SideEffects::Resource::Base<SizeResource> {
  llvm::StringRef getName() final { return "quern.size"; }
};

/// tensor<?xNxf32, #quern.dims<S>>: activation rows.
bool isRows(mlir::Type type);
/// tensor<?xi32, #quern.dims<S>>: token ids or row numbers.
bool isIndices(mlir::Type type);
/// tensor<?xkxi32, #quern.dims<S>>: for each row the numbers of its k experts.
bool isChoices(mlir::Type type);
/// The rows type of `cols` columns whose row count is the symbol `rows` ("T", "R", "B").
mlir::RankedTensorType rowsType(mlir::MLIRContext *context, llvm::StringRef rows, int64_t cols);
/// The indices type of symbolic length `rows`.
mlir::RankedTensorType indicesType(mlir::MLIRContext *context, llvm::StringRef rows);
/// The type of `count` expert numbers a row.
mlir::RankedTensorType choicesType(mlir::MLIRContext *context, llvm::StringRef rows, int64_t count);
/// The columns of rows, of q8_rows or of choices.
int64_t colsOf(mlir::Type type);
/// The symbol that counts the rows of rows, q8_rows, choices or indices.
llvm::StringRef rowsOf(mlir::Type type);
} // namespace quern

#include "ir/quern/QuernDialect.h.inc"
#include "ir/quern/QuernEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "ir/quern/QuernAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "ir/quern/QuernTypes.h.inc"
#define GET_OP_CLASSES
#include "ir/quern/QuernOps.h.inc"

#endif // QUERN_IR_QUERN_QUERNDIALECT_H
