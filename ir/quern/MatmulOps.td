// Matrix products with weights, and the quantization of their inputs.
#ifndef QUERN_IR_QUERN_MATMULOPS_TD
#define QUERN_IR_QUERN_MATMULOPS_TD

include "ir/quern/QuernTypes.td"

def Quern_LinearOp : Quern_AnchorOp<"linear", [Pure]> {
  let summary = "y = x W^T + b";
  let description = [{
    y[t, n] = sum_k x[t, k] * W[n, k] + b[n].

    Constraints: C1: W is [N, K] where x has K columns. C2: b, if there, is [N]. C3: y has x's rows and N columns.

    ```mlir
    %y = quern.linear %x, %w : (tensor<?x64xf32, #quern.dims<"T">>, !quern.weight<96x64, "f32">) -> tensor<?x96xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_LinearInput:$input, Quern_Weight:$weight, Optional<Quern_Weight>:$bias);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Quern_BlockLinearOp : Quern_AnchorOp<"block_linear", [Pure]> {
  let summary = "a product with a block-diagonal matrix";
  let description = [{
    The columns of x fall into G blocks of K, those of y into as many of N: y[t, g*N + n] = sum_k x[t, g*K + k] * W[g, n, k] + b[g*N + n]. Latent
    attention's absorbed products (DeepSeek-AI, 2024), an RG-LRU's gates, Monarch matrices.

    Constraints: C1: W is [G, N, K] where x has G*K columns. C2: b, if there, is [G*N]. C3: y has x's rows and G*N columns.

    ```mlir
    %y = quern.block_linear %x, %blocks : (tensor<?x64xf32, #quern.dims<"T">>, !quern.weight<4x32x16, "f32">) -> tensor<?x128xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_LinearInput:$input, Quern_Weight:$weight, Optional<Quern_Weight>:$bias);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Quern_QuantizeRowsOp : Quern_Op<"quantize_rows", [Quern_RowWise, Pure]> {
  let summary = "rows quantized to int8 in groups of 16 columns";
  let description = [{
    Groups come in pairs. That with the larger max|x| has scale = max|x| / 127, the other scale *
    2^-n, n in [0, 4] being how often its own max|x| can be doubled without exceeding the pair's;
    code = round-half-even(x * (127 / max|x|) * 2^n). A pair of zeros has scale 0. Rows whose width
    is no multiple of 32 are padded with zeros. Where the result has blocks, each is quantized as a row of its own.

    Constraint C1: rows and columns agree.

    ```mlir
    %y = quern.quantize_rows %x : tensor<?x64xf32, #quern.dims<"T">> -> !quern.q8_rows<"T", 64>
    ```
  }];
  let arguments = (ins Quern_Rows:$input);
  let results = (outs Quern_Q8Rows:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Quern_EmbeddingOp : Quern_AnchorOp<"embedding", [Pure]> {
  let summary = "rows of a weight, looked up by token id";
  let description = [{
    y[t, :] = W[ids[t], :].

    Constraints: C1: W is [V, N]; y has N columns. C2: ids and y have the same symbolic size. Ids outside
    [0, V) are refused by the runtime before the step.

    ```mlir
    %y = quern.embedding %tokens, %embed : (tensor<?xi32, #quern.dims<"T">>, !quern.weight<100x64, "f32">) -> tensor<?x64xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Indices:$ids, Quern_Weight:$weight);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif // QUERN_IR_QUERN_MATMULOPS_TD
