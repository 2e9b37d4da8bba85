// Tensors of any rank as rows of their last dimension, in which model ops see them.
#ifndef QUERN_PASSES_RAISE_ROWS_H
#define QUERN_PASSES_RAISE_ROWS_H

#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Builders.h"

#include <string>

namespace quern::raise {

/// The type of its rows; null unless it is of float32, of rank 2 or more, and its last dimension is
/// fixed.
mlir::RankedTensorType rowsOfTensor(mlir::Type type);

/// The value as rows, and rows as a value of `type`: a reshape, or nothing where it is that
/// already.
mlir::Value asRows(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value);
mlir::Value asTensor(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value rows,
                     mlir::Type type);

/// Whether its verifier takes an op that was just made; otherwise the op is gone, and `why` says
/// what is wrong with it. What a pass finds may break a rule that it did not think of: then the
/// program stays as it was written.
bool isAccepted(mlir::Operation *made, std::string &why);

/// What is under another shape: the operand of the outermost of a chain of reshapes.
mlir::Value behindReshapes(mlir::Value value);

/// Whether the op is one of the model's own, that works on rows.
bool isModelOp(mlir::Operation *op);

/// What the model ops of a block read, so that a value that a whole graph reads is not searched for
/// them again and again.
class ModelReads {
public:
  explicit ModelReads(mlir::Block &block);
  /// The op reads the value, whatever its shape.
  void add(mlir::Value value);
  /// Whether a model op made the value, or reads it, whatever its shape.
  bool meets(mlir::Value value) const;

private:
  llvm::DenseSet<mlir::Value> values;
};

/// Whether the op's body reads where an index that it computes says, or computes with indices.
bool readsByIndex(mlir::linalg::GenericOp op);

/// An op that computes each element of its one result by itself: a move, or a generic without a
/// reduction.
bool isParallel(mlir::Operation *op);

/// An op all of whose loops are parallel, that has one result of float32 and reads, element by
/// element: tensors of the result's shape, vectors along its last dimension, and single numbers.
bool isPointwise(mlir::Operation *op);

/// Whether `value`, which a pointwise op reads, is a vector along the last dimension of its result.
bool isVector(mlir::Value value, mlir::RankedTensorType of);

/// Whether the vector is the numbers of a weight.
bool isWeight(mlir::Value vector);
/// That weight, of one dimension; null if it is something else.
mlir::Value weightOf(mlir::OpBuilder &builder, mlir::Value vector);

/// Erases ops that nothing reads, readers first.
void eraseDead(mlir::Block &block);

} // namespace quern::raise

#endif // QUERN_PASSES_RAISE_ROWS_H
