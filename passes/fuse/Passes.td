// Passes of the fuse phase.
#ifndef QUERN_PASSES_FUSE_PASSES_TD
#define QUERN_PASSES_FUSE_PASSES_TD

include "mlir/Pass/PassBase.td"

// Regions are not optional, code is generated of nothing else; what joins an anchor's is.
class JoinOption : Option<"join", "join", "bool", /*default=*/"true",
                          "let other ops join the regions; off, each has its anchor alone">;

def FuseGeneric : Pass<"quern-fuse-generic", "::mlir::ModuleOp"> {
  let summary = "cut general tensor programs into regions of one result each";
  let description = [{
    A region has a root, an op of linalg or tensor whose results are written to memory, and what it reads, element by element on demand, up to
    other roots. Roots are: what the entry returns or a model op reads; every reduction; and what computes something (moves
    elements by more than an index) and would be computed again, because several regions read it or one reads an element several times.

    Where a model op reads a tensor as rows, these are what is written, and others read them through a reshape.

    Not optional: code is generated of regions.
  }];
  let dependentDialects = ["::quern::QuernDialect"];
  let statistics = [Statistic<"numRegions", "regions", "regions made">];
}

def MergeSiblingLinears : Pass<"quern-merge-sibling-linears", "::mlir::ModuleOp"> {
  let summary = "make one linear of those that read the same input";
  let description = [{
    Linears of the same input whose weights have the same format become one over the weights one below the other;
    their users read slices of its result. The input is read (and quantized) once, and there is one barrier where there
    were several. Biases are concatenated; linears with a bias and without one stay apart.

    A weight with other uses (an embedding tied with the output projection) is not merged: it would be stored twice.
    Linears whose only reader is an activation merge only with what the same activation reads (gate and up), since it
    could not be an epilogue of a linear of which it reads a part. What a region of general ops reads stays apart: these read
    whole tensors.

    Optional: nothing after it needs merged linears.
  }];
  let statistics = [
    Statistic<"numMerged", "merged", "linears that became part of a merged one">,
    Statistic<"numMissed", "missed", "linears of a shared input that could not be merged">,
  ];
}

def CopyLinearInputs : Pass<"quern-copy-linear-inputs", "::mlir::ModuleOp"> {
  let summary = "copy columns that a linear reads out of wider rows";
  let description = [{
    A linear's kernel streams rows that lie one behind the other. Where its input is a slice (Mamba's dt out of [dt, B, C], a low-rank
    projection out of a merged one), a scale by 1 makes rows of their own of it. Where weights are integers that costs nothing: the
    columns are quantized in passing, by the region that the scale becomes.

    Not optional: kernels do not read slices.
  }];
  let statistics = [Statistic<"numCopied", "copied", "slices that linears read">];
}

def MergeSiblingExperts : Pass<"quern-merge-sibling-experts", "::mlir::ModuleOp"> {
  let summary = "make one product of experts' gates and ups";
  let description = [{
    Two `expert_linear`s of the same rows and choices, whose results one gated activation alone reads, become one over each
    expert's gate and up, one below the other; the activation reads slices of its blocks. Rows are gathered once, and the
    activation can be the product's epilogue. Weights agree in format, and both have a bias or none.

    Optional: nothing after it needs merged products.
  }];
  let statistics = [
    Statistic<"numMerged", "merged", "products that became part of a merged one">,
    Statistic<"numMissed", "missed", "gates and ups that could not be merged">,
  ];
}

def FuseLinearEpilogues : Pass<"quern-fuse-linear-epilogues", "::mlir::ModuleOp"> {
  let summary = "wrap every linear in a region with the elementwise ops that follow it";
  let description = [{
    Takes elementwise ops (activations, residual additions) that alone use the linear's result, and so on from their
    results. A gated activation whose gate and up are the two slices of a merged linear joins too, if the slices begin at
    multiples of 16 columns, since kernels work on panels of 16 output columns.
  }];
  let options = [JoinOption<>];
  let statistics = [
    Statistic<"numFused", "fused", "elementwise ops that joined a linear's region">,
    Statistic<"numMissed", "missed", "elementwise ops that could not join">,
  ];
}

def FuseExpertEpilogues : Pass<"quern-fuse-expert-epilogues", "::mlir::ModuleOp"> {
  let summary = "wrap every expert_linear in a region with the activation or the sum that follows it";
  let description = [{
    Takes functions of one operand that alone use the products, a gated activation of the two slices of their blocks that a
    merged product has, and the `combine` that alone reads them, with the elementwise ops (residual additions) behind it. So the products of
    a token's experts, of which only the sum is wanted, are never written.
  }];
  let options = [JoinOption<>];
  let statistics = [
    Statistic<"numFused", "fused", "ops that joined a region of experts">,
    Statistic<"numMissed", "missed", "ops that could not join">,
  ];
}

def FuseAttentionPrologues : Pass<"quern-fuse-attention-prologues", "::mlir::ModuleOp"> {
  let summary = "wrap attention and kv_append in regions with the norm and rope of their rows";
  let description = [{
    The query of an attention, the keys and values of a kv_append take with them, from their producer on: a slice, and
    in any order the ops that work head by head, of heads as wide as the state's: norms (group is the head's width), ropes,
    clamps and scales. Each must have no other use.
  }];
  let options = [JoinOption<>];
  let statistics = [
    Statistic<"numFused", "fused", "ops that joined a region">,
    Statistic<"numMissed", "missed", "ops that could not join">,
  ];
}

def FuseConvolutions : Pass<"quern-fuse-convolutions", "::mlir::ModuleOp"> {
  let summary = "wrap every causal_conv1d in a region with the function that follows it";
  let description = "Functions of one operand that alone use the convolution's result, one after the other, join its region.";
  let options = [JoinOption<>];
  let statistics = [
    Statistic<"numFused", "fused", "functions that joined a convolution's region">,
    Statistic<"numMissed", "missed", "functions that could not join">,
  ];
}

def FuseRecurrences : Pass<"quern-fuse-recurrences", "::mlir::ModuleOp"> {
  let summary = "wrap every linear_recurrence in a region with the elementwise ops around it";
  let description = [{
    The prologue is every elementwise op whose users all lie in the region: how the decay is computed from the step
    size, the values scaled by it. The epilogue is the elementwise ops that alone use the result (the skip connection,
    the gate), with their own elementwise producers.
  }];
  let options = [JoinOption<>];
  let statistics = [
    Statistic<"numFused", "fused", "elementwise ops that joined a recurrence's region">,
    Statistic<"numMissed", "missed", "elementwise ops that could not join">,
  ];
}

def FuseEmbeddings : Pass<"quern-fuse-embeddings", "::mlir::ModuleOp"> {
  let summary = "wrap every embedding in a region with the elementwise ops that follow it";
  let description = [{
    Takes elementwise ops (a scale, the addition of learned positions) that alone use the rows looked up, and so on
    from their results.
  }];
  let options = [JoinOption<>];
  let statistics = [
    Statistic<"numFused", "fused", "elementwise ops that joined an embedding's region">,
    Statistic<"numMissed", "missed", "elementwise ops that could not join">,
  ];
}

def FuseAnchors : Pass<"quern-fuse-anchors", "::mlir::ModuleOp"> {
  let summary = "wrap every other anchor in a region with the elementwise ops around it";
  let description = [{
    For anchors that have no pass of their own: takes the elementwise ops before and after the anchor that its facts let
    join, as `quern-fuse-recurrences` does.
  }];
  let options = [JoinOption<>];
  let statistics = [
    Statistic<"numFused", "fused", "elementwise ops that joined a region">,
    Statistic<"numMissed", "missed", "elementwise ops that could not join">,
  ];
}

def FuseRows : Pass<"quern-fuse-rows", "::mlir::ModuleOp"> {
  let summary = "wrap what is left in regions that work row by row";
  let description = [{
    Starting from the last op that has no region, takes the ops of as many rows whose users all lie in the region already. Views
    that nothing reads any more are removed. After this pass every op lies in a region; without `join` in one of its own.
  }];
  let options = [JoinOption<>];
  let statistics = [
    Statistic<"numRegions", "regions", "rows regions made">,
    Statistic<"numFused", "fused", "ops that joined a region of another">,
  ];
}

def VerifyFuse : Pass<"quern-verify-fuse", "::mlir::ModuleOp"> {
  let summary = "check what holds after the fuse phase";
  let description = [{
    - every op of an entry is a reference to a weight or state, a `quern.fused` or the return;
    - a region holds no references and no other anchor than its own;
    - a region of anchor rows works on rows of one symbol;
    - beside views, a region holds what its anchor's facts (ir/interfaces/AnchorInterface.h) let join before it and after it;
    - no general op takes more steps than a machine gets to the end of (passes/analysis/Work.h).
  }];
}

#endif // QUERN_PASSES_FUSE_PASSES_TD
