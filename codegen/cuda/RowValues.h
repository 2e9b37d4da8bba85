// Evaluates values of a kernel's body for one row, over a window of its columns, on demand: writes
// the CUDA C++ that a team of threads (a block, or one warp) runs for it together.
//
// Elementwise ops become expressions inside the loop that needs them; ops that look at several
// columns (norms, rotations) are computed into shared memory first. So a fused region costs one
// loop over its columns for each thing that is stored, and what lies in between stays in registers
// or in shared memory.
//
// Columns and rows are given as expressions; the same column must be the same text.
#ifndef QUERN_CODEGEN_CUDA_ROWVALUES_H
#define QUERN_CODEGEN_CUDA_ROWVALUES_H

#include "codegen/cuda/Kernel.h"

#include <functional>
#include <optional>
#include <string>

namespace quern::cuda {

/// True for ops whose element depends on the same (sliced, shared) column of their inputs only, or
/// on that column of each block of them.
bool isElementwise(mlir::Operation *op);

class RowValues {
public:
  /// The expression of the element at column col + shift. Asked for inside the loop over the
  /// columns.
  using Element = std::function<std::string(const std::string &col, int64_t shift)>;

  /// `row`: an int that all threads of the team agree on.
  RowValues(Kernel &kernel, std::string row, Team team = Team::Block)
      : kernel(kernel), text(kernel.text), row(std::move(row)), team(team) {}

  /// Where `value`'s columns [from, from + cols) of this row lie, a const float *: in memory
  /// already, or computed into shared memory. All threads of the team may read them.
  std::string place(mlir::Value value, const std::string &from, int64_t cols);
  /// Computes `value`'s columns [from, from + cols) into `target`, a float *: all threads of the
  /// team may read them after sync().
  void write(mlir::Value value, const std::string &from, int64_t cols, const std::string &target);
  /// Computes the whole row of `value`, of q8_rows, into `target`, a u8 *.
  void write(mlir::Value value, const std::string &target);
  /// Makes readers of `value` call `element`: the anchor's result, as its loops produce it.
  void bind(mlir::Value value, Element element) { bound[value] = std::move(element); }
  /// Places what the elements of columns [from, from + cols) need, and says how they are computed
  /// from it. Only for these columns: the same value may be placed for others, too.
  Element reader(mlir::Value value, const std::string &from, int64_t cols);
  /// The element at column `col` of a value computed elementwise from what is bound or in memory.
  std::string element(mlir::Value value, const std::string &col) {
    return readerOf(value, std::nullopt)(col, 0);
  }
  /// From here on columns are those of one block of the rows, which all values that are read have:
  /// slices of groups are slices of that block.
  void readOneBlock() { oneBlock = true; }
  /// The threads meet, if any has written since they last did.
  void sync();

private:
  struct Placed {
    std::string pointer; // of column `from`
    std::string from;
    int64_t cols;
  };
  struct Window {
    std::string from;
    int64_t cols;
    int64_t shift = 0; // how far slices have moved it from where its reader put it
    void move(int64_t columns);
    /// True if it holds whole groups of `repeat` columns, or lies in one.
    bool isWhole(int64_t repeat) const;
  };
  /// Without a window nothing is placed.
  Element readerOf(mlir::Value value, std::optional<Window> window);
  Element readerOf(BinaryOp op, std::optional<Window> window);
  Element readerOf(CombineOp op, std::optional<Window> window);
  Element load(const Placed &place);
  void compute(mlir::Value value, const std::string &from, int64_t cols, const std::string &target);
  void computeNorm(NormOpInterface op, const std::string &from, int64_t cols,
                   const std::string &target);
  void computeRope(RopeOp op, const std::string &from, int64_t cols, const std::string &target);
  void computeRopeTable(RopeTableOp op, const std::string &target);
  void computeConcat(ConcatOp op, const std::string &from, int64_t cols, const std::string &target);
  /// for (int i = ...; i < cols; ...) by the team; body() is given the name of i.
  void eachColumn(int64_t cols, llvm::function_ref<void(const std::string &i)> body);
  const Placed *find(mlir::Value value, const std::string &from, int64_t cols) const;
  std::string rowOf(mlir::Value argument) const;

  Kernel &kernel;
  Text &text;
  std::string row;
  Team team;
  bool oneBlock = false;
  bool written = false; ///< memory, since the threads last met
  llvm::DenseMap<mlir::Value, llvm::SmallVector<Placed, 1>> placed;
  llvm::DenseMap<mlir::Value, Element> bound;
};

} // namespace quern::cuda

#endif // QUERN_CODEGEN_CUDA_ROWVALUES_H
