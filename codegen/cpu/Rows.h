// Evaluates values of a kernel's body for one row, over a window of its columns, on demand.
//
// Elementwise ops become expressions inside the loop that needs them; ops that look at several
// columns (norms, rotations) are computed into memory first. So a fused region costs one loop over
// its columns for each thing that is stored, and nothing in between touches memory.
#ifndef QUERN_CODEGEN_CPU_ROWS_H
#define QUERN_CODEGEN_CPU_ROWS_H

#include "codegen/cpu/Kernel.h"

namespace quern::cpu {

/// True for ops whose element depends on the same (sliced, shared) column of their inputs only.
bool isElementwise(mlir::Operation *op);

class Rows {
public:
  Rows(Kernel &kernel, Value row) : kernel(kernel), code(kernel.code), row(row) {}

  /// Where `value`'s columns [from, from + cols) of this row lie: in memory already, or computed
  /// into scratch.
  Value place(mlir::Value value, Value from, int64_t cols);
  /// Computes `value`'s columns [from, from + cols) into `target`; for q8_rows the whole quantized
  /// row.
  void write(mlir::Value value, Value from, int64_t cols, Value target);
  /// Makes element(value, ...) call `element(col, shift)`: the anchor's result, as its loops
  /// produce it.
  void bind(mlir::Value value, std::function<Value(Value col, int64_t shift)> element) {
    bound[value] = std::move(element);
  }
  /// Places what element(value, col) will need for columns [from, from + cols).
  void prepare(mlir::Value value, Value from, int64_t cols);
  /// The element at column col + shift. What it needs is placed.
  Value element(mlir::Value value, Value col, int64_t shift = 0);

private:
  struct Placed {
    Value pointer; // of column `from`
    Value from;
    int64_t cols;
  };
  void compute(mlir::Value value, Value from, int64_t cols, Value target);
  void computeNorm(NormOpInterface op, Value from, int64_t cols, Value target);
  void computeRope(RopeOp op, Value from, int64_t cols, Value target);
  void computeRopeTable(RopeTableOp op, Value target);
  const Placed *find(mlir::Value value, Value from, int64_t cols) const;

  Kernel &kernel;
  Code &code;
  Value row;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<Placed, 1>> placed;
  llvm::DenseMap<mlir::Value, std::function<Value(Value, int64_t)>> bound;
};

} // namespace quern::cpu

#endif
