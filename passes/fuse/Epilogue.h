// What follows an anchor into its region.
#ifndef QUERN_PASSES_FUSE_EPILOGUE_H
#define QUERN_PASSES_FUSE_EPILOGUE_H

#include "passes/fuse/RegionBuilder.h"

namespace quern {

/// Decides about `user`, an elementwise op that alone uses `value` (through views, if
/// `through_views`):
/// "" if it joins the region, else the reason why not.
using EpilogueRule = llvm::function_ref<llvm::StringRef(mlir::Operation *user, mlir::Value value,
                                                        bool through_views)>;

/// How the growth of an epilogue ended.
struct EpilogueEnd {
  int64_t fused = 0;                 ///< ops that joined
  mlir::Operation *missed = nullptr; ///< the elementwise op that a rule refused, if one did
  llvm::StringRef why;
};

/// Appends to `ops` the elementwise ops that, one after the other, alone use the anchor's result.
EpilogueEnd growEpilogue(mlir::Value result, RegionOps &ops, EpilogueRule rule);

/// The rule every anchor has: the op keeps the columns of `value`, reads it without a view between
/// and does not broadcast it.
llvm::StringRef sameColumns(mlir::Operation *user, mlir::Value value, bool through_views);

} // namespace quern

#endif
