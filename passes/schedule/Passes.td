// Passes of the schedule phase.
#ifndef QUERN_PASSES_SCHEDULE_PASSES_TD
#define QUERN_PASSES_SCHEDULE_PASSES_TD

include "mlir/Pass/PassBase.td"

def OutlineWeights : Pass<"quern-outline-weights", "::mlir::ModuleOp"> {
  let summary = "declare every weight that kernels read as the artifact will hold it";
  let description = [{
    Every distinct expression on weights becomes a `quern.packed`, in the order in which the entries use them, and its uses
    references to that. Weights that linears and embeddings read are packed in panels, as their format asks; the others
    are plain rows. The name is the model's names merged, with ".packed".
  }];
  let statistics = [
    Statistic<"numPacked", "packed", "packed weights declared">,
    Statistic<"numShared", "shared", "expressions that equal one met before">,
  ];
}

def OutlineKernels : Pass<"quern-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "make kernels of fused regions, one of all that are equal";
  let description = [{
    Regions that are equal but for their inputs and locations become one `quern.kernel` named `<anchor>_<n>`, and each of
    them a `quern.dispatch` labelled with its source's name. So layers that repeat share code.
  }];
  let statistics = [
    Statistic<"numKernels", "kernels", "distinct kernels">,
    Statistic<"numDispatches", "dispatches", "dispatches of them">,
  ];
}

def MakeBuckets : Pass<"quern-make-buckets", "::mlir::ModuleOp"> {
  let summary = "make a schedule of every entry for each range of step shapes";
  let description = [{
    The entry is cloned into `@<entry>.<bucket>` for each bucket of the module's target, with attributes that say the
    largest step it serves. All targets have these:

    | bucket | tokens (T) | sequences (B) |
    |---|---|---|
    | decode1 | 1 | 1 |
    | decode | max-seqs | max-seqs |
    | prefill | max-tokens | max-seqs |

    As many rows (R) are wanted as there are tokens, at most. An entry without a batch (`main` of a plain graph) has no
    sequences to tell apart and gets `prefill` alone; one whose caller chooses sizes (no T, B or R in its arguments and
    results) gets `main`, for all of them.
  }];
  let options = [
    Option<"maxTokens", "max-tokens", "int64_t", "512", "largest step, in tokens of all sequences">,
    Option<"maxSeqs", "max-seqs", "int64_t", "16", "most sequences of a step">,
  ];
}

def VerifySchedule : Pass<"quern-verify-schedule", "::mlir::ModuleOp"> {
  let summary = "check what holds after the schedule phase";
  let description = [{
    - every function is a bucket, and holds references, dispatches and the return alone;
    - weights are referred to as packed ones, and each packing is one that its format has, or "rows" of f32;
    - every kernel is dispatched;
    - the results of a bucket are results of dispatches;
    - no buffer, input or result is larger than the runtime takes; the error names the sizes to bound.
  }];
}

#endif // QUERN_PASSES_SCHEDULE_PASSES_TD
