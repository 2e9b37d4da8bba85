// Numbers of elements: sizes of tensors, their indices, and the places that these are in memory.
//
// The same arithmetic is written once where it is still visible, so that what is computed from it
// can be found again by its operands.
#ifndef QUERN_CODEGEN_CPU_INDICES_H
#define QUERN_CODEGEN_CPU_INDICES_H

#include "codegen/cpu/Kernel.h"

#include "mlir/IR/AffineExpr.h"

#include <map>
#include <string>
#include <tuple>

namespace quern::cpu {

using IndexList = llvm::SmallVector<Value, 6>;

class Indices {
public:
  explicit Indices(Kernel &kernel);

  Value constant(int64_t value);
  /// An index of the code (index) as a number (i64), and back.
  Value number(Value index);
  Value index(Value number);

  Value add(Value l, Value r);
  Value sub(Value l, Value r);
  Value mul(Value l, Value r);
  /// Of what is not negative, by what is positive.
  Value div(Value l, Value r);
  Value rem(Value l, Value r);
  /// Rounded down, of anything by what is positive.
  Value floorDiv(Value l, Value r);

  /// A dimension of a tensor's type, and all of them.
  Value size(mlir::RankedTensorType type, int64_t dim);
  IndexList sizes(mlir::RankedTensorType type);
  Value product(llvm::ArrayRef<Value> sizes);

  /// The number of an element in row-major order. Indices that `split` made of one number are that
  /// number again.
  Value linear(llvm::ArrayRef<Value> at, llvm::ArrayRef<Value> sizes);
  /// The indices of element `number` in row-major order.
  IndexList split(Value number, llvm::ArrayRef<Value> sizes);
  /// An affine expression of indices.
  Value evaluate(mlir::AffineExpr expression, llvm::ArrayRef<Value> dims);

  /// Whether the value may be used where code is being written.
  bool visible(Value value) const;
  /// Forgets what was computed since `mark`, whose code may be gone.
  size_t mark() const { return log.size(); }
  void forget(size_t mark);

  static std::optional<int64_t> known(Value value);

  /// Has `make` write at the function's beginning.
  Value atEntry(llvm::function_ref<Value()> make);

private:
  enum class Kind { add, sub, mul, div, rem, number, index };
  using Key = std::tuple<Kind, void *, void *>;
  Value remember(Kind kind, Value l, Value r, llvm::function_ref<Value()> make);

  Kernel &kernel;
  Code &code;
  mlir::Operation *entry; ///< before which lies what is visible everywhere
  std::map<int64_t, Value> constants;
  std::map<std::string, Value> symbols;
  std::map<Key, llvm::SmallVector<Value, 1>> made;
  std::vector<Key> log;
};

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_INDICES_H
