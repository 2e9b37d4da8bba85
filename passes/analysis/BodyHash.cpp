#include "passes/analysis/BodyHash.h"

#include "mlir/IR/OperationSupport.h"

using namespace mlir;

namespace quern {

size_t hashOfBody(Region &region) {
  llvm::hash_code hash(0);
  region.walk<WalkOrder::PreOrder>([&](Operation *op) {
    hash = llvm::hash_combine(
        hash, OperationEquivalence::computeHash(op, OperationEquivalence::ignoreHashValue,
                                                OperationEquivalence::ignoreHashValue,
                                                OperationEquivalence::IgnoreLocations));
  });
  return hash;
}

} // namespace quern
