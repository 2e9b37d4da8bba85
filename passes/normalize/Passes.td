// Passes of the normalize phase.
#ifndef QUERN_PASSES_NORMALIZE_PASSES_TD
#define QUERN_PASSES_NORMALIZE_PASSES_TD

include "mlir/Pass/PassBase.td"

def CheckSymbols : Pass<"quern-check-symbols", "::mlir::ModuleOp"> {
  let summary = "check that the symbols of dynamic dimensions agree";
  let description = [{
    Every op works on rows that are counted by one symbol: T for the step's tokens, B for its
    sequences, R for the tokens whose outputs are wanted. Only `quern.gather_rows` goes from one to
    another. Ops that read the batch or a state work on its tokens, T.

    An op that mixes symbols is an error that names it, its operands and their symbols. General ops (of linalg and the like) mix
    them.

    Each dimension that is not fixed has a name in its type: T, B, R, or an expression over the module's `quern.sizes`. Where an
    entry's caller chooses sizes, each is in the dimension of an input.

    So is a module whose `quern.target`, or one of whose `quern.targets`, is a target that there is not.
  }];
}

def DecomposeSoftmax : Pass<"quern-decompose-softmax", "::mlir::ModuleOp"> {
  let summary = "take linalg.softmax apart";
  let description = [{
    y = e / sum(e) with e = exp(x - max(x)), as four ops of linalg, in the element's own type. As upstream's decomposition, which would
    lose the names of dimensions: a NaN makes a row NaN, and so does a row of -infinity alone.
  }];
  let dependentDialects = ["::quern::QuernDialect"];
  let statistics = [
    Statistic<"numDecomposed", "decomposed", "softmaxes taken apart">,
  ];
}

def CopyResults : Pass<"quern-copy-results", "::mlir::ModuleOp"> {
  let summary = "copy what an entry returns and does not compute";
  let description = [{
    A result lies in memory of the caller's, which what computes it writes. An argument, a constant or a weight that is returned, or a value
    that is returned a second time, is copied by a `linalg.generic` that yields its input. Entries with a batch are left alone.
  }];
  let dependentDialects = ["::quern::QuernDialect"];
  let statistics = [
    Statistic<"numCopied", "copied", "results copied">,
  ];
}

def Simplify : Pass<"quern-simplify", "::mlir::ModuleOp"> {
  let summary = "rewrite ops into fewer ones with the same numbers, bit for bit";
  let description = [{
    - a slice of all columns is its input; a slice of a slice is one slice;
    - a scale by 1 is its input;
    - fn(g) * u with a `quern.unary` that has no other use is a `quern.gated_act`;
    - a weight_concat of one weight, a weight_convert to its own format and a weight_reshape to its own shape are their
      input; a weight_reshape of a weight_reshape is one.

    Ops without uses and effects are removed.
  }];
  let statistics = [
    Statistic<"numRewritten", "rewritten", "ops rewritten into fewer ones">,
  ];
}

def MergeEqual : Pass<"quern-merge-equal"> {
  let summary = "one op where there were equal ones";
  let description = [{
    Of ops without effects that have the same attributes, operands and bodies, in a block or around it, the first is left; ops that nothing reads are
    dropped. As MLIR's `cse`, whose time grows with the square of the number of ops that differ in their bodies alone.
  }];
  let statistics = [Statistic<"numMerged", "merged", "ops that an equal one takes the place of">];
}

def HoistReferences : Pass<"quern-hoist-references", "::mlir::ModuleOp"> {
  let summary = "move references to weights and states to the start of their entry";
  let description = [{
    References cost nothing and depend on nothing that is computed. At the start of the entry they dominate every op, so
    that fusion may place a region anywhere. Their order stays.
  }];
}

def DropUnused : Pass<"quern-drop-unused", "::mlir::ModuleOp"> {
  let summary = "remove declared weights and states that no entry refers to";
  let description = [{
    Checkpoints hold tensors that a model never reads (precomputed frequencies, a tied output projection's copy). A
    remark names each.
  }];
  let statistics = [
    Statistic<"numWeights", "weights", "unused weights removed">,
    Statistic<"numStates", "states", "unused states removed">,
  ];
}

def VerifyNormalize : Pass<"quern-verify-normalize", "::mlir::ModuleOp"> {
  let summary = "check what holds after the normalize phase";
  let description = [{
    - entries are one block of the dialect's ops and of general ones, no `linalg.softmax` among them;
    - there are no fused regions, dispatches or packed weights yet;
    - dimensions are counted by T, B or R, or by expressions over the module's sizes;
    - references to weights and states come before everything else;
    - every op without effects has a use;
    - every result of an entry is computed, and returned once.
  }];
}

#endif // QUERN_PASSES_NORMALIZE_PASSES_TD
