// Passes of the quantize phase.
#ifndef QUERN_PASSES_QUANTIZE_PASSES_TD
#define QUERN_PASSES_QUANTIZE_PASSES_TD

include "mlir/Pass/PassBase.td"

def QuantizeWeights : Pass<"quern-quantize-weights", "::mlir::ModuleOp"> {
  let summary = "give every weight the format it is stored in";
  let description = [{
    Weights of linears and embeddings (matrices) get the format that `quant` names; `keep` leaves them their own. What
    experts are chosen by becomes f32 unless it is kept as floats, and everything that is no matrix (norms, biases,
    convolutions, decays) is f32.

    Under a format of less bits than int8 tables (the embedding and the linear that computes the entry's result) get int8
    instead: an error there goes straight into the probabilities. But a model with experts, or with state that does not grow, may take 0.1
    bits a weight more than its blocks as a whole: what norms and the like leave of that is room for matrices in int8. All
    of one shape get it or none, those first that are smallest: rounding moves what a matrix computes by as much whatever
    its size. Tables come before others up to 32 times smaller, and are int8 anyhow where they are a fifth of such a model.

    A weight in a format that Quern does not know is an error that names the weight, the format and the formats there are.
  }];
  let options = [
    Option<"quant", "quant", "std::string", "\"keep\"",
           "keep, or the format of matrices: f32, f16, bf16, int8, int6, int5, int4[:g32|g64|g128][,sym|asym], mxfp4, int3">,
  ];
  let statistics = [
    Statistic<"numKept", "kept", "weights that keep their format">,
    Statistic<"numConverted", "converted", "weights that get another format">,
  ];
}

def QuantizeStates : Pass<"quern-quantize-states", "::mlir::ModuleOp"> {
  let summary = "give kv state the format it is stored in";
  let description = [{
    Every `!quern.state<kv, ...>` gets the format that `kv` names, in declarations and wherever it is used. `auto` is f16 where
    a linear has integer weights, whose inputs are rounded to 8 bits anyway. Beside linears with bf16 weights it is what
    the module's target prefers, or another of its `quern.targets`, which have the same states: bf16 on cuda. It is f32
    elsewhere. Other states are sums over all tokens so far, and stay float32.
  }];
  let options = [
    Option<"kv", "kv", "std::string", "\"auto\"", "auto, f32, f16, bf16 or int8">,
  ];
  let statistics = [
    Statistic<"numStates", "states", "kv states that got another format">,
  ];
}

def QuantizeActivations : Pass<"quern-quantize-activations", "::mlir::ModuleOp"> {
  let summary = "quantize the inputs of linears whose weights are quantized";
  let description = [{
    A linear with weights in an integer packing multiplies integers: its input becomes the `quern.quantize_rows` of it.
    That is appended to the region that computes the input if its anchor is rows, linear or attention (it then yields the
    quantized rows, and the float rows only if something else reads them), else it gets a rows region of its own. A
    linear, and a kv head of attention, must compute whole pairs of groups for it, multiples of 32 columns. Every value, or
    slice of one, is quantized once.
  }];
  let options = [
    Option<"join", "join", "bool", /*default=*/"true",
           "append to the regions that compute the inputs; off, each quantization has a region of its own">,
  ];
  let statistics = [
    Statistic<"numAppended", "appended", "quantizations that joined the region of their input">,
    Statistic<"numSeparate", "separate", "quantizations in a region of their own">,
  ];
}

def VerifyQuantize : Pass<"quern-verify-quantize", "::mlir::ModuleOp"> {
  let summary = "check what holds after the quantize phase";
  let description = [{
    - every weight that a region reads has a format that Quern knows;
    - weights that are no matrices are f32;
    - a linear reads quantized rows exactly if its weight's packing is quantized;
    - what holds after the fuse phase, still.
  }];
}

#endif // QUERN_PASSES_QUANTIZE_PASSES_TD
