// Writes what the body of an op says of one point: its ops in terms of values of the code, each
// when it is asked for.
#ifndef QUERN_CODEGEN_CPU_BODY_H
#define QUERN_CODEGEN_CPU_BODY_H

#include "codegen/cpu/Elements.h"

namespace quern::cpu {

class Body {
public:
  /// Of what lies in the kernel outside of its ops' bodies.
  explicit Body(Elements &elements) : elements(elements), code(elements.code) {}
  /// Of an op at a point of its loops.
  Body(Elements &elements, mlir::linalg::GenericOp op, llvm::ArrayRef<Value> point)
      : elements(elements), code(elements.code), op(op), point(point) {}

  /// What `value` of the body is; of an argument, the element that it stands for.
  Value get(mlir::Value value);
  void bind(mlir::Value value, Value is) { known[value].push_back(is); }

private:
  llvm::SmallVector<Value> translate(mlir::Operation *op);
  llvm::SmallVector<Value> translateIf(mlir::scf::IfOp op);
  llvm::SmallVector<Value> translateFor(mlir::scf::ForOp op);
  Value translateBitcast(mlir::arith::BitcastOp op);
  llvm::SmallVector<Value> clone(mlir::Operation *op);
  llvm::SmallVector<Value> yields(mlir::Block &block);

  Elements &elements;
  Code &code;
  mlir::linalg::GenericOp op;
  llvm::SmallVector<Value, 6> point;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<Value, 1>> known;
};

/// An op of the math dialect, or a remainder of floats, on values of float32 or float64, or of
/// integers; null if there is no code for it. What is of 16 bits is not rounded yet, and float32 or
/// float64.
Value writeMath(Code &code, mlir::Operation *op, llvm::ArrayRef<Value> operands);

} // namespace quern::cpu

#endif // QUERN_CODEGEN_CPU_BODY_H
