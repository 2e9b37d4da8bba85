// Evaluates values of a kernel's body for one row, over a window of its columns, on demand.
//
// Elementwise ops become expressions inside the loop that needs them; ops that look at several
// columns (norms, rotations) are computed into memory first. So a fused region costs one loop over
// its columns for each thing that is stored, and nothing in between touches memory.
#ifndef QUERN_CODEGEN_CPU_ROWVALUES_H
#define QUERN_CODEGEN_CPU_ROWVALUES_H

#include "codegen/cpu/Kernel.h"

#include <functional>
#include <optional>

namespace quern::cpu {

/// True for ops whose element depends on the same (sliced, shared) column of their inputs only, or
/// on that column of each block of them.
bool isElementwise(mlir::Operation *op);

class RowValues {
public:
  /// Gives the element at column col + shift. Called inside the loop over the columns.
  using Element = std::function<Value(Value col, int64_t shift)>;

  RowValues(Kernel &kernel, Value row) : kernel(kernel), code(kernel.code), row(row) {}

  /// Where `value`'s columns [from, from + cols) of this row lie: in memory already, or computed
  /// into scratch.
  Pointer<const float> place(mlir::Value value, Value from, int64_t cols);
  /// Computes `value`'s columns [from, from + cols) into `target`.
  void write(mlir::Value value, Value from, int64_t cols, Pointer<float> target);
  /// Computes the whole row of `value`, of q8_rows, into `target`.
  void write(mlir::Value value, Pointer<QkQ8Row> target);
  /// Makes readers of `value` call `element`: the anchor's result, as its loops produce it.
  void bind(mlir::Value value, Element element) { bound[value] = std::move(element); }
  /// Places what the elements of columns [from, from + cols) need, and says how they are computed
  /// from it. Only for these columns: the same value may be placed for others, too.
  Element reader(mlir::Value value, Value from, int64_t cols);
  /// The element at column `col` of a value computed elementwise from what is bound or in memory.
  Value element(mlir::Value value, Value col) { return readerOf(value, std::nullopt)(col, 0); }

  /// From here on columns are those of one block of the rows, which all values that are read have:
  /// slices of groups are slices of that block.
  void readOneBlock() { oneBlock = true; }

private:
  struct Placed {
    Pointer<const float> pointer; // of column `from`
    Value from;
    int64_t cols;
  };
  struct Window {
    Value from;
    int64_t cols;
  };
  static bool isWhole(const Window &window, int64_t repeat);
  /// Without a window nothing is placed.
  Element readerOf(mlir::Value value, std::optional<Window> window);
  Element readerOf(BinaryOp op, std::optional<Window> window);
  Element readerOf(CombineOp op, std::optional<Window> window);
  Element load(const Placed &place);
  void compute(mlir::Value value, Value from, int64_t cols, Pointer<float> target);
  void computeNorm(NormOpInterface op, Value from, int64_t cols, Pointer<float> target);
  void computeRope(RopeOp op, Value from, int64_t cols, Pointer<float> target);
  void computeRopeTable(RopeTableOp op, Pointer<float> target);
  void computeConcat(ConcatOp op, Value from, int64_t cols, Pointer<float> target);
  void computeTranspose(TransposeOp op, Value from, int64_t cols, Pointer<float> target);
  void computePool(PoolOp op, Value from, int64_t cols, Pointer<float> target);
  void computeGroupSum(GroupSumOp op, Value from, int64_t cols, Pointer<float> target);
  const Placed *find(mlir::Value value, Value from, int64_t cols) const;

  Kernel &kernel;
  Code &code;
  Value row;
  bool oneBlock = false;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<Placed, 1>> placed;
  llvm::DenseMap<mlir::Value, Element> bound;
};

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_ROWVALUES_H
