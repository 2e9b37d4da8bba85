// Builds quern.fused regions around ops of an entry.
#ifndef QUERN_PASSES_FUSE_REGIONBUILDER_H
#define QUERN_PASSES_FUSE_REGIONBUILDER_H

#include "passes/analysis/Entries.h"

#include "llvm/ADT/SetVector.h"

namespace quern {

/// The ops that are to make up a region.
using RegionOps = llvm::SetVector<mlir::Operation *>;

/// Whether `value` can be an input of a region placed before `where`: what it is computed from
/// (behind views, which regions clone) stands before it.
bool availableBefore(mlir::Value value, mlir::Operation *where);

/// Whether all users of the op's results are in `ops`, directly or through views.
bool allUsersIn(mlir::Operation *op, const RegionOps &ops);

/// Wraps `ops`, all of one block, in a quern.fused placed before `where` (one of them). Views that
/// they read are cloned into the region; everything else they read from outside becomes an input,
/// in the order of first use; results used outside are yielded. Its location is that of `namesake`.
/// The ops are erased; views that nothing reads any more stay (FuseRows removes them).
///
/// The caller has checked that every outside operand is availableBefore `where` and that no outside
/// user stands before it.
FusedOp buildRegion(Anchor anchor, mlir::Operation *namesake, const RegionOps &ops,
                    mlir::Operation *where);

} // namespace quern

#endif // QUERN_PASSES_FUSE_REGIONBUILDER_H
