// Products of tensors in a general program, and tensors with their dimensions in another order.
#ifndef QUERN_PASSES_RAISE_PRODUCT_H
#define QUERN_PASSES_RAISE_PRODUCT_H

#include "ir/symbols/Dim.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Builders.h"

#include <optional>

namespace quern::raise {

/// A matrix product, of each of some outer indices: result[.., m, n] = sum over k of
/// left[.., m, k] * right[.., n, k], dimensions of the operands in any order. Numbers of loops.
struct Product {
  mlir::linalg::GenericOp op;
  llvm::SmallVector<unsigned> outer{};
  unsigned m = 0, n = 0, k = 0;

  mlir::Value left() { return op.getInputs()[0]; }
  mlir::Value right() { return op.getInputs()[1]; }
  mlir::AffineMap map(unsigned operand) { return op.getIndexingMapsArray()[operand]; }
};

/// Whether the op's body is out + a * b, and nothing else.
bool isMultiplyAdd(mlir::linalg::GenericOp op);
/// Whether what sums begin with is 0.
bool isZero(mlir::Value init);

/// The op as such a product of float32; none if it is something else.
std::optional<Product> productOf(mlir::Operation *op);

/// A dimension of a tensor: its size, or its name.
struct DimSize {
  int64_t size;
  mlir::StringAttr name;
};
DimSize dimOf(mlir::RankedTensorType type, unsigned dim);
/// The dimension as an expression over sizes.
symbols::Dim countOf(const DimSize &dim);
mlir::RankedTensorType tensorOf(llvm::ArrayRef<DimSize> dims, mlir::Type element);
/// The sizes of a tensor's dimensions that are not fixed, as numbers.
llvm::SmallVector<mlir::Value> sizesOf(mlir::OpBuilder &builder, mlir::Location loc,
                                       mlir::RankedTensorType type);

/// The value with dimension order[i] as its i-th. Of a value that is a permutation already, one of
/// what that one reads; the value itself where nothing moves.
mlir::Value permuted(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
                     llvm::ArrayRef<unsigned> order);
/// Gives the readers of `value` what is equal to it instead; those that permute it get a
/// permutation of what `by` is one of, so that two that undo each other are none.
void replaceUnderPermutations(mlir::Value value, mlir::Value by);
/// The order in which a permutation, as `permuted` writes one, has its input's dimensions; none of
/// other ops.
std::optional<llvm::SmallVector<unsigned>> permutationOf(mlir::Operation *op);

} // namespace quern::raise

#endif // QUERN_PASSES_RAISE_PRODUCT_H
