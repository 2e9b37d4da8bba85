// Evaluates elements of a kernel's tensors on demand: what N-d indices are asked for becomes code
// where it is asked for, so that a fused region costs one loop over its result and nothing in
// between touches memory.
//
// What was computed is kept, by value and indices, as long as it is visible where it is asked for
// again, so that a graph in which values are read several times does not unfold into a tree.
#ifndef QUERN_CODEGEN_CPU_ELEMENTS_H
#define QUERN_CODEGEN_CPU_ELEMENTS_H

#include "codegen/cpu/Indices.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <functional>
#include <map>
#include <vector>

namespace quern::cpu {

class Body;

class Elements {
public:
  explicit Elements(Kernel &kernel);
  ~Elements();

  Kernel &kernel;
  Code &code;
  Indices indices;

  /// The element of a tensor at these indices, as the value that valueType() says.
  Value element(mlir::Value tensor, llvm::ArrayRef<Value> at);
  /// A number that the kernel computes outside of its tensors.
  Value scalar(mlir::Value value);

  /// All results of an op at one point of its iteration space; where it reduces, only its parallel
  /// dimensions are read of it.
  llvm::SmallVector<Value> results(mlir::linalg::GenericOp op, llvm::ArrayRef<Value> point);
  /// The point that computes the result at these indices; what is reduced is left null.
  IndexList pointOf(mlir::linalg::GenericOp op, unsigned result, llvm::ArrayRef<Value> at);
  /// The extent of each loop of an op.
  IndexList extents(mlir::linalg::GenericOp op);
  /// Where the op's operand is read at a point.
  IndexList operandIndices(mlir::linalg::GenericOp op, mlir::OpOperand &operand,
                           llvm::ArrayRef<Value> point);

  /// Where a tensor lies in memory, if it does: an argument, a weight or a constant of several
  /// values, or one of these under another shape.
  Value memory(mlir::Value tensor);
  /// Has readers of `tensor` call `element` instead of computing it.
  using Element = std::function<Value(llvm::ArrayRef<Value> at)>;
  void bind(mlir::Value tensor, Element element) { bound[tensor] = std::move(element); }

  /// A loop that carries values.
  llvm::SmallVector<Value>
  loop(Value from, Value to, Value step, mlir::ValueRange init,
       std::function<llvm::SmallVector<Value>(Value, mlir::ValueRange)> body);
  /// One of two values, each computed only where it is wanted.
  Value choose(Value condition, Type type, llvm::function_ref<Value()> yes,
               llvm::function_ref<Value()> no);

  /// Forgets what was computed since: its code may be gone.
  struct Mark {
    size_t indices, made;
  };
  Mark mark() const { return {indices.mark(), log.size()}; }
  void forget(Mark mark);

  /// Notes that there is no code for an op; a value to go on with.
  Value refuse(mlir::Operation *op, Type type);
  bool refused = false;

private:
  using Key = std::pair<void *, std::vector<void *>>;
  static Key keyOf(void *what, llvm::ArrayRef<Value> at);
  llvm::SmallVector<Value> remember(Key key, llvm::function_ref<llvm::SmallVector<Value>()> make);
  Value compute(mlir::Value tensor, llvm::ArrayRef<Value> at);
  Value computeSlice(mlir::tensor::ExtractSliceOp op, llvm::ArrayRef<Value> at);
  Value computeConcat(mlir::tensor::ConcatOp op, llvm::ArrayRef<Value> at, unsigned input);
  Value computePad(mlir::tensor::PadOp op, llvm::ArrayRef<Value> at);
  Value computeReshape(ReshapeOp op, llvm::ArrayRef<Value> at);
  llvm::SmallVector<Value> computeResults(mlir::linalg::GenericOp op, llvm::ArrayRef<Value> point);

  std::unique_ptr<Body> outside;
  llvm::DenseMap<mlir::Value, Element> bound;
  llvm::DenseMap<mlir::Value, Value> arrays; // of constants
  std::map<Key, llvm::SmallVector<llvm::SmallVector<Value>, 1>> made;
  std::vector<Key> log;
};

/// The value of each of an op's results at a point of its parallel loops, its reduction loops
/// written around it (Reductions.cpp).
llvm::SmallVector<Value> reduce(Elements &elements, mlir::linalg::GenericOp op,
                                llvm::ArrayRef<Value> point);

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_ELEMENTS_H
