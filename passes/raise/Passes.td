// Passes of the raise phase.
#ifndef QUERN_PASSES_RAISE_PASSES_TD
#define QUERN_PASSES_RAISE_PASSES_TD

include "mlir/Pass/PassBase.td"

def RaiseBiases : Pass<"quern-raise-biases", "::mlir::ModuleOp"> {
  let summary = "a vector that is added to a linear's result becomes its bias";
  let description = [{
    Looks through changes of shape that leave columns alone. The linear has no bias yet, and nothing else reads it.
  }];
  let dependentDialects = ["::quern::QuernDialect"];
  let statistics = [Statistic<"numRaised", "raised", "biases found">];
}

def RaiseLinears : Pass<"quern-raise-linears", "::mlir::ModuleOp"> {
  let summary = "products with a weight become linear, in whatever order their dimensions are";
  let description = [{
    A convolution whose windows are one place, a product that a weight is the left side of, one of a weight under a transposition: the weight is a
    matrix under moves, and its rows are a tensor with what is summed over as its last dimension, at most under a transposition: an image, whose channels
    are not last, is convolved where it lies. The format of weights (`--quant`) applies to what is a linear.
  }];
  let dependentDialects = ["::quern::QuernDialect"];
  let statistics = [
    Statistic<"numRaised", "raised", "linears found">,
    Statistic<"numMissed", "missed", "products with a weight that are none">,
  ];
}

def RaiseRotary : Pass<"quern-raise-rotary", "::mlir::ModuleOp"> {
  let summary = "columns that are turned in pairs become rope, of a table of cosines and sines";
  let description = [{
    Takes pieces of three tensors: one of the result's shape, and two that are the same for all heads or sequences. What a piece is, is asked by
    running it: the first columns of each head are pairs, halves apart or neighbours, and pair i is turned by the cosine and sine i; the rest stays. Where
    the tensors have a number for each column, both of a pair's have to be the same: what computes them, from positions in whatever way, is run
    to see it. The table of the op is what the two tensors are; ropes of one model share it.
  }];
  let dependentDialects = ["::quern::QuernDialect"];
  let statistics = [
    Statistic<"numRaised", "raised", "ropes found">,
    Statistic<"numMissed", "missed", "pairs that are turned by what is no such table">,
  ];
}

def RaiseAttention : Pass<"quern-raise-attention", "::mlir::ModuleOp"> {
  let summary = "a product, a softmax and a product become attention_rows";
  let description = [{
    What is between the first product and the softmax is asked by running it: scores have to be the product times a number
    plus something, which becomes the mask, one element of each dimension that it does not depend on. What is between the softmax and the second
    product has to leave its numbers alone. Operands, whatever their dimensions' order, become rows with heads as columns.
  }];
  let dependentDialects = ["::quern::QuernDialect"];
  let statistics = [
    Statistic<"numRaised", "raised", "attentions found">,
    Statistic<"numMissed", "missed", "softmaxes that are not attention's">,
  ];
}

def RaiseMasks : Pass<"quern-raise-masks", "::mlir::ModuleOp"> {
  let summary = "masks of attention_rows that are bounds, or hide keys, become that";
  let description = [{
    What computes a mask is run, on inputs of several sizes, and asked of what it is a function. Where it lets a query see what is not
    behind it, or not farther than some distance, that becomes `causal`, `left` and `right`, so that nothing beyond is computed, and what is left of
    the mask is one number a key; where that hides the keys at which an input has one value, it is written as a comparison with it
    (passes/analysis/KeyMasks.h). What is guessed at some sizes is verified at others, up to the greatest that constants of the mask ask for, or that the
    module allows. A mask that is anything else stays a tensor that is added.
  }];
  let dependentDialects = ["::quern::QuernDialect"];
  let statistics = [
    Statistic<"numRaised", "raised", "masks found">,
    Statistic<"numMissed", "missed", "masks that stay tensors">,
  ];
}

def RaiseEmbeddings : Pass<"quern-raise-embeddings", "::mlir::ModuleOp"> {
  let summary = "rows of a weight that are looked up become embedding";
  let description = [{
    A program that copies, for each of its outer indices, one row of a weight of two dimensions, and a slice of neighbouring rows. Numbers of rows
    become a tensor of their own, in whatever way the graph computed them; one outside of the table is a fault of the call, as it was. Rows that are the same for
    every sequence and are added to rows of all of them, as learned positions are, are looked up for each.
    Not where they are cosines, or numbers that are added to scores: formats (`--quant`) are for features.
  }];
  let dependentDialects = ["::quern::QuernDialect"];
  let statistics = [
    Statistic<"numRaised", "raised", "embeddings found">,
    Statistic<"numMissed", "missed", "rows of a weight that are read for something else">,
  ];
}

def RaiseNorms : Pass<"quern-raise-norms", "::mlir::ModuleOp"> {
  let summary = "programs that normalize rows become layer_norm and rms_norm";
  let description = [{
    Takes pieces of a general program that compute a tensor of float32 from one of its shape, from sums over its last dimension and from up to two
    vectors, whatever ops they are written in, and asks what they compute by computing it: rows of normal numbers, of several
    scales, so that eps shows. A piece that agrees with layer_norm or rms_norm, with an eps that is a constant of the piece, is one.
  }];
  let dependentDialects = ["::quern::QuernDialect"];
  let statistics = [
    Statistic<"numRaised", "raised", "norms found">,
    Statistic<"numMissed", "missed", "pieces that look like a norm and are none">,
  ];
}

def RaiseElementwise : Pass<"quern-raise-elementwise", "::mlir::ModuleOp"> {
  let summary = "elementwise programs beside model ops become the dialect's own";
  let description = [{
    Pieces of one or two tensors of float32 and at most one vector, which a model op reads or whose operand one computes. What a piece is, is asked
    by computing it on a range of numbers: a function of `quern.unary`, a `binary`, a `scale`, a `gated_act`. The largest piece
    that is something is taken, so that an activation in nine nodes is one op, and joins the region of its linear.
  }];
  let dependentDialects = ["::quern::QuernDialect"];
  let statistics = [Statistic<"numRaised", "raised", "ops found">];
}

#endif // QUERN_PASSES_RAISE_PASSES_TD
