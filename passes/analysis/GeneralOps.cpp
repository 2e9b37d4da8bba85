#include "passes/analysis/GeneralOps.h"

#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace quern {

bool isGeneral(mlir::Operation *op) {
  return op->hasTrait<General>() ||
         mlir::isa_and_nonnull<mlir::linalg::LinalgDialect, mlir::tensor::TensorDialect,
                               mlir::arith::ArithDialect, mlir::math::MathDialect,
                               mlir::scf::SCFDialect>(op->getDialect());
}

bool isComputed(mlir::Value value) {
  mlir::Operation *op = value.getDefiningOp();
  return op && !op->hasTrait<Reference>() &&
         !mlir::isa<mlir::arith::ConstantOp, mlir::tensor::EmptyOp, WeightTensorOp>(op);
}

void forEachRead(mlir::Operation *op, llvm::function_ref<void(mlir::Value)> visit) {
  op->walk([&](mlir::Operation *inner) {
    for (mlir::Value operand : inner->getOperands())
      if (!op->isAncestor(operand.getParentBlock()->getParentOp()))
        visit(operand);
  });
}

} // namespace quern
