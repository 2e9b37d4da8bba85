// Passes of the order phase.
#ifndef QUERN_PASSES_ORDER_PASSES_TD
#define QUERN_PASSES_ORDER_PASSES_TD

include "mlir/Pass/PassBase.td"

def ReplicateDispatches : Pass<"quern-replicate-dispatches", "::mlir::ModuleOp"> {
  let summary = "have every worker compute small dispatches of one token for itself";
  let description = [{
    In a bucket of one token, what no more than one worker could share is computed by all of them, each in memory of its own: it saves
    the barrier behind it, for which the others would have waited as long, and its next reader finds the row in its own cache.
    Which kernels these are, and how large an arena a worker may have of its own, the target says. What touches state, scratch memory
    or an output of the entry, of which there is one each, stays shared.
  }];
  let statistics = [
    Statistic<"numReplicated", "replicated", "dispatches that every worker computes">,
    Statistic<"numTooLarge", "too-large", "buckets whose arena is larger than a worker's own may be">,
  ];
}

def PlaceBarriers : Pass<"quern-place-barriers", "::mlir::ModuleOp"> {
  let summary = "have workers wait where what one does depends on what another did";
  let description = [{
    From the first dispatch to the last, `barrier` is set where a dispatch reads or overwrites what one since the barrier before wrote,
    overwrites what one read, touches the same state, or where its kernel's workers fetch work and another's already did (the target says
    whose do). What every worker computes for itself, and reads of that, need none. `quern.barriers` on the bucket is how many there are.
  }];
  let statistics = [
    Statistic<"numBarriers", "barriers", "barriers placed">,
    Statistic<"numSpared", "spared", "dispatches before which nobody waits">,
  ];
}

def MarkArgmax : Pass<"quern-mark-argmax", "::mlir::ModuleOp"> {
  let summary = "mark the dispatch of whose one row the largest column may be all that is asked for";
  let description = [{
    In a bucket of one token whose entry has one result, its dispatch is marked `argmax`: its kernel leaves the largest column where a step asks for
    that, and need not write the row.
  }];
  let statistics = [
    Statistic<"numMarked", "marked", "dispatches marked">,
  ];
}

def FindRepeats : Pass<"quern-find-repeats", "::mlir::ModuleOp"> {
  let summary = "say where a bucket's dispatches repeat: its layers";
  let description = [{
    A `quern.repeat` goes before stretches that are so many times the same dispatches, alike but for numbers, so that code does not grow with depth.
    The first layer often differs, in what it adds to or who wrote its input, so turns may begin inside a layer.
  }];
  let options = [
    Option<"least", "least", "unsigned", /*default=*/"8", "dispatches that a repeat must save, at least; fewer than a small layer has are not worth a loop">,
  ];
  let statistics = [
    Statistic<"numRepeats", "repeats", "repeats found">,
    Statistic<"numSaved", "saved", "dispatches that need not be written out">,
  ];
}

def VerifyOrder : Pass<"quern-verify-order", "::mlir::ModuleOp"> {
  let summary = "check what holds after the order phase";
  let description = [{
    - between two dispatches that nobody waits between, no byte of arena, state or output that one writes is touched by the other, and not both
      fetch work: found from what their kernels do to their operands and where these were planned, apart from how barriers were placed;
    - what is replicated is one of the target's replicable kernels in a bucket of one token, with an arena that it may have, and writes memory of its own only;
    - `argmax` is on the one dispatch that gives all of a one-token bucket's entry, wherever there is such, and on no other;
    - the turns of a `quern.repeat` are alike, and end before the next one and the bucket do;
    - `quern.barriers` counts the barriers. One without which nothing would touch what another does is a remark.
  }];
}

#endif // QUERN_PASSES_ORDER_PASSES_TD
