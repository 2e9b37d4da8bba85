// What follows an anchor into its region, and how the region is made.
#ifndef QUERN_PASSES_FUSE_EPILOGUE_H
#define QUERN_PASSES_FUSE_EPILOGUE_H

#include "passes/analysis/Remarks.h"
#include "passes/fuse/RegionBuilder.h"

#include "mlir/Pass/Pass.h"

namespace quern {

/// Decides about `user`, an op of a kind that may follow the anchor and alone uses `value` (through
/// views, if `through_views`): "" if it joins the region, else the reason why not.
using EpilogueRule = llvm::function_ref<llvm::StringRef(mlir::Operation *user, mlir::Value value,
                                                        bool through_views)>;

/// The rule every anchor has: the op keeps the columns of `value`, reads it without a view between
/// and does not broadcast it.
llvm::StringRef sameColumns(mlir::Operation *user, mlir::Value value, bool through_views);

/// The region of one anchor while it is made: the ops that are to make it up, and what the pass has
/// to say about those that joined and those that did not.
class AnchorRegion {
public:
  /// What a pass counts.
  struct Counters {
    mlir::Pass::Statistic &fused, &missed;
  };

  AnchorRegion(AnchorOpInterface anchor, RemarkSource remarks, Counters counters)
      : anchor(anchor), facts(anchor.facts()), remarks(remarks), counters(counters) {
    ops.insert(anchor);
  }

  /// Takes `op`, unless `why` (not empty) says what keeps it outside; a remark under the name of
  /// `at` does then, too. Returns whether it joined.
  bool take(mlir::Operation *op, llvm::StringRef why, mlir::Operation *at);

  /// Takes the ops of the anchor's epilogue that, one after the other, alone use its result, up to
  /// the first that `rule` refuses.
  void takeEpilogue(EpilogueRule rule);

  /// Takes the ops of the anchor's prologue that are elementwise: all whose users lie in the region
  /// already, as far as the region's place is behind what they read.
  void takePrologue();

  /// Takes prologue, epilogue, and what the epilogue's ops read in turn. Where the region stays in
  /// the anchor's place, what they read beside that must be there by then.
  void takeAround();

  /// Makes the region. Where an anchor touches state it stays in the anchor's place; else it moves
  /// down to its last op, to wait for what its epilogue reads.
  FusedOp build();

  RegionOps ops;

private:
  /// What takePrologue would take if the region were made up of `ops`.
  llvm::SmallVector<mlir::Operation *> prologueOf(RegionOps ops);

  AnchorOpInterface anchor;
  AnchorFacts facts;
  RemarkSource remarks;
  Counters counters;
};

} // namespace quern

#endif // QUERN_PASSES_FUSE_EPILOGUE_H
