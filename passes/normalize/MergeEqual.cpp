// --quern-merge-equal: one op where there were equal ones.
//
// As MLIR's cse, whose hash of an op leaves its body out: the bodies of thousands of ops that read
// the same values (outputs of a Split, a value that a constant each is added to) are compared with
// each other there, which took a graph of 5,000 outputs a minute.
#include "passes/analysis/BodyHash.h"
#include "passes/normalize/Passes.h"

#include "mlir/IR/OperationSupport.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/ScopedHashTable.h"

using namespace mlir;

namespace quern {
#define GEN_PASS_DEF_MERGEEQUAL
#include "passes/normalize/Passes.h.inc"

namespace {

struct EqualOps : llvm::DenseMapInfo<Operation *> {
  static unsigned getHashValue(const Operation *of) {
    auto *op = const_cast<Operation *>(of);
    llvm::hash_code hash = OperationEquivalence::computeHash(
        op, OperationEquivalence::directHashValue, OperationEquivalence::ignoreHashValue,
        OperationEquivalence::IgnoreLocations);
    for (Region &region : op->getRegions())
      hash = llvm::hash_combine(hash, hashOfBody(region));
    return static_cast<unsigned>(static_cast<size_t>(hash));
  }
  static bool isEqual(const Operation *a, const Operation *b) {
    if (a == b)
      return true;
    if (a == getTombstoneKey() || a == getEmptyKey() || b == getTombstoneKey() ||
        b == getEmptyKey())
      return false;
    return OperationEquivalence::isEquivalentTo(const_cast<Operation *>(a),
                                                const_cast<Operation *>(b),
                                                OperationEquivalence::IgnoreLocations);
  }
};
using Known = llvm::ScopedHashTable<Operation *, Operation *, EqualOps>;

struct MergeEqualPass : impl::MergeEqualBase<MergeEqualPass> {
  void runOnOperation() override {
    Known known;
    for (Region &region : getOperation()->getRegions())
      mergeIn(region, known);
  }

  void mergeIn(Region &region, Known &known) {
    if (!region.hasOneBlock())
      return;
    const Known::ScopeTy scope(known);
    for (Operation &op : llvm::make_early_inc_range(region.front())) {
      if (isOpTriviallyDead(&op)) {
        op.erase();
        continue;
      }
      // What is outside of an isolated op is not seen in it.
      Known inside;
      for (Region &nested : op.getRegions())
        mergeIn(nested, op.mightHaveTrait<OpTrait::IsIsolatedFromAbove>() ? inside : known);
      if (op.hasTrait<OpTrait::IsTerminator>() || !isMemoryEffectFree(&op) ||
          llvm::any_of(op.getRegions(),
                       [](Region &nested) { return !nested.empty() && !nested.hasOneBlock(); }))
        continue;
      if (Operation *equal = known.lookup(&op)) {
        op.replaceAllUsesWith(equal);
        op.erase();
        ++numMerged;
      } else {
        known.insert(&op, &op);
      }
    }
  }
};
} // namespace
} // namespace quern
