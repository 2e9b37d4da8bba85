// Products of matrices of float32, and what is one: batched ones, convolutions as products of a
// matrix that is never written whole.
#ifndef QUERN_CODEGEN_CPU_CONTRACTION_H
#define QUERN_CODEGEN_CPU_CONTRACTION_H

#include "codegen/cpu/Elements.h"

#include <optional>

namespace quern::cpu {

/// result[batch, rows, columns] = sum over reduced of left[rows, reduced] * right[reduced,
/// columns], where `batch` may appear on either side. Numbers are those of the op's loops.
struct Contraction {
  mlir::linalg::GenericOp op;
  mlir::OpOperand *left, *right;
  llvm::SmallVector<unsigned> batch, rows, columns, reduced;
  size_t runs = 0; ///< the first of `columns` from which on they are neighbours on the right side
};

/// What the op is, if it is a product that is worth its panels: of at least four rows.
std::optional<Contraction> findContraction(Elements &elements, mlir::linalg::GenericOp op);

/// Writes the loops, shared out among the workers: columns of the right side are packed into panels
/// of 16 in memory of the worker's, which qk_gemm_f32_rows multiplies rows with. `finish` is called
/// with the point of an element and its value, in loops over neighbours. Sums are those of the
/// microkernel over up to 512 inputs, then over these in order: the same for every variant and
/// however many workers there are.
void writeContraction(Kernel &kernel, Elements &elements, const Contraction &contraction,
                      llvm::function_ref<void(llvm::ArrayRef<Value>, Value)> finish);

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_CONTRACTION_H
