// Writes linalg ops on tensors whose dimensions have names.
#ifndef QUERN_PASSES_NORMALIZE_GENERALBUILDER_H
#define QUERN_PASSES_NORMALIZE_GENERALBUILDER_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Builders.h"

namespace quern {

/// A tensor of that type without contents: its sizes are `quern.size`s of the type's names.
mlir::Value emptyTensor(mlir::OpBuilder &builder, mlir::Location loc, mlir::RankedTensorType type);

/// A tensor of that type, every element the number.
mlir::Value filledTensor(mlir::OpBuilder &builder, mlir::Location loc, mlir::RankedTensorType type,
                         const llvm::APFloat &number);

/// Makes an element of the result of one of each input; `result` is what it was before in a
/// reduction.
using ElementBody = llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Location,
                                                   mlir::ValueRange inputs, mlir::Value result)>;

/// A linalg.generic of one result, with the shape and type of `init`. Its loops are those of the
/// first input's dimensions, all parallel but `reduced` (-1: none); where they have one dimension
/// less, other inputs and the result are without that.
mlir::Value genericOp(mlir::OpBuilder &builder, mlir::Location loc, mlir::ValueRange inputs,
                      mlir::Value init, int64_t reduced, ElementBody body);

} // namespace quern

#endif // QUERN_PASSES_NORMALIZE_GENERALBUILDER_H
