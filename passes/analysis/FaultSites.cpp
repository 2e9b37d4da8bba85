#include "passes/analysis/FaultSites.h"

#include "ir/quern/QuernDialect.h"

namespace quern {

llvm::SmallVector<mlir::Operation *> faultSites(mlir::Operation *op) {
  llvm::SmallVector<mlir::Operation *> sites;
  op->walk<mlir::WalkOrder::PreOrder>([&](mlir::Operation *inner) {
    if (mlir::isa<CheckIndexOp, CheckDivisorOp, WhereTrueOp>(inner))
      sites.push_back(inner);
  });
  return sites;
}

} // namespace quern
