// Attention over kv state and among rows, and rotary positions.
#ifndef QUERN_IR_QUERN_ATTENTIONOPS_TD
#define QUERN_IR_QUERN_ATTENTIONOPS_TD

include "ir/quern/QuernTypes.td"

def Quern_PositionsOp : Quern_Op<"positions", [Quern_View, Pure]> {
  let summary = "every token's position in its sequence, to look up learned positions";
  let description = [{
    y[t] = position of token t + offset. (OPT's table begins with two rows that no position uses: offset 2.)

    Constraints: C1: offset >= 0. C2: the result counts tokens, "T".

    ```mlir
    %y = quern.positions %batch {offset = 2 : i64} : tensor<?xi32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Batch:$batch, DefaultValuedAttr<I64Attr, "0">:$offset);
  let results = (outs Quern_Indices:$result);
  let assemblyFormat = "$batch attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Quern_StartsOp : Quern_Op<"starts", [Quern_RowWise, Pure]> {
  let summary = "which tokens are their sequence's first";
  let description = [{
    y[t, 0] = 1 where token t is at position 0 of its sequence, else 0. (RG-LRU does not scale the input of a first token.)

    Constraint C1: the result has one column and counts tokens, "T".

    ```mlir
    %y = quern.starts %batch : tensor<?x1xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Batch:$batch);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "$batch attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Quern_RopeTableOp : Quern_Op<"rope_table", [Quern_RowWise, Pure]> {
  let summary = "cosines and sines of every token's position, for rotary embedding";
  let description = [{
    For token t at position p and frequency i: angle = p * inv_freq[i] (a float32 product), column i is
    scale * cos(angle), column n + i is scale * sin(angle), n = size(inv_freq).
    Scalings of the frequencies (linear, llama3, YaRN) are in inv_freq and scale, computed by the frontend.

    Constraint C1: the result has 2 n columns.

    ```mlir
    %y = quern.rope_table %batch {inv_freq = array<f32: 1.0, 0.1, 0.01, 0.001, 0.0001, 0.00001, 0.000001, 0.0000001>} : tensor<?x16xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Batch:$batch, DenseF32ArrayAttr:$inv_freq, DefaultValuedAttr<F32Attr, "1.0f">:$scale);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "$batch attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Quern_RopeOp : Quern_Op<"rope", [Quern_RowWise, Pure, DeclareOpInterfaceMethods<Quern_HeadwiseInterface, ["headColumns"]>]> {
  let summary = "rotary position embedding of every head (Su et al., 2021)";
  let description = [{
    In each group of `head_dim` columns, the first 2 n (n: frequencies of the table) are rotated in
    pairs (a, b) -> (a cos - b sin, a sin + b cos); the rest pass. Pair i is columns (i, i + n), or
    (2 i, 2 i + 1) where `interleaved`.

    Constraints: C1: head_dim divides the columns. C2: the table has 2 n <= head_dim columns and the input's rows. C3: the result has the input's type.

    ```mlir
    %y = quern.rope %q, %table {head_dim = 16 : i64} : (tensor<?x64xf32, #quern.dims<"T">>, tensor<?x16xf32, #quern.dims<"T">>) -> tensor<?x64xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Rows:$input, Quern_Rows:$table, I64Attr:$head_dim, DefaultValuedAttr<BoolAttr, "false">:$interleaved);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Quern_AttentionOp : Quern_AnchorOp<"attention", [MemoryEffects<[MemRead<Quern_StateResource>]>]> {
  let summary = "causal softmax attention of the step's queries over kv state";
  let description = [{
    The step's keys and values are in the state already (`quern.kv_append`). For token t of sequence b at
    position p and query head h, with kv head g = h / (heads / kv heads) and j over 0..p (with a `window`
    w > 0: over p-w+1..p):
    s_j = scale * dot(q[t,h], keys[b,j,g]); s_j = softcap * tanh(s_j / softcap) where softcap > 0;
    s_j = s_j + alibi[h] * (j - p) where there is `alibi` (Press et al., 2021): a bias that grows with the
    distance. What models add instead, alibi[h] * j, differs by a constant a row, which the softmax does not see.
    With `alibi_bf16`, s_j = s_j + scale * (bf16(alibi[h] * j) - bf16(alibi[h] * p)), which is how Falcon rounds it.
    y[t,h] = sum_j softmax(s)_j * values[b,j,g], where values are the first V columns of the keys if the state is `shared`. Where there are `sinks` (Xiao et al., 2023), the softmax of head h has one
    more score, sinks[h], whose value is 0.

    Constraints: C1: the state is kv [G, D, V]. C2: G divides heads. C3: q has heads*D columns, y heads*V and q's rows.
    C4: alibi, if there, has a slope a head; alibi_bf16 needs it. C5: sinks, if there, is [heads].

    ```mlir
    %y = quern.attention %q, %batch, %kv {heads = 4 : i64, scale = 0.25 : f32} : (tensor<?x64xf32, #quern.dims<"T">>, !quern.batch, !quern.state<kv, 2x16x16>) -> tensor<?x64xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Rows:$query, Quern_Batch:$batch, Quern_State:$state, Optional<Quern_Weight>:$sinks, I64Attr:$heads, F32Attr:$scale,
                       DefaultValuedAttr<I64Attr, "0">:$window, DefaultValuedAttr<F32Attr, "0.0f">:$softcap,
                       OptionalAttr<DenseF32ArrayAttr>:$alibi, DefaultValuedAttr<BoolAttr, "false">:$alibi_bf16);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    static constexpr ::quern::Anchor kAnchor = ::quern::Anchor::attention;
    /// Equal runs that the query heads of a kv head are worked on in, each by itself: where values are shared
    /// there may be a hundred heads to a kv head, too many rows for a worker's caches and too few kv heads for all workers.
    int64_t headRuns();
  }];
}

def Quern_AttentionRowsOp : Quern_AnchorOp<"attention_rows", [AttrSizedOperandSegments, Pure]> {
  let summary = "softmax attention among rows of the same step, to both sides: an encoder's";
  let description = [{
    Keys and values are rows of the step and are kept by nobody, so every sequence of the batch lies in the step as a whole, from position
    0 on. In the place of a batch `sequences` says how many there are: then all have equally many queries, the query's rows by that number,
    and equally many keys. For token t of sequence b at position p and query head h, with kv head g = h / (heads / kv_heads) and j over the
    positions of b (with `left` w > 0 not before p-w, with `right` w > 0 not after p+w, `causal` not after p):
    s_j = scale * dot(q[t,h], k[b,j,g]); s_j = softcap * tanh(s_j / softcap) where softcap > 0;
    s_j = s_j + bias[buckets[clamp(j - p, -m, m) + m], h] where there is `bias`, `buckets` having 2 m + 1 entries: relative positions in buckets
    (Raffel et al., 2020); s_j = s_j + mask[b, h, p, j] where there is `mask`, of which a dimension of one element stands for all.
    Where a mask of keys alone adds at most -1e28 to all that `left`, `right` and `causal` let p see, j is over all positions after all, and s_j is the
    lowest float where they keep it from p: a query that is shown nothing has equal weights, as where bounds were part of the mask.
    y[t,h] = sum_j softmax(s)_j * v[b,j,g]; with `nan_is_zero` 0 where all of s are -infinity.

    Constraints: C1: kv_heads divides heads. C2: q has heads*D columns, k kv_heads*D, v kv_heads*V and y heads*V; query and result have the
    same rows, and key and value, with a batch all of them.
    C3: bias, if there, is [N, heads], and buckets an odd number of entries in [0, N); neither is there without the other. C4: left and right are not
    negative, and what is causal has no right. C5: there is a batch or `sequences`, which say what rows belong together, and not both.
    C6: a mask is float32 of four dimensions, beside `sequences`.

    ```mlir
    %y = quern.attention_rows %q, %k, %k batch %batch {heads = 4 : i64, kv_heads = 2 : i64, scale = 0.25 : f32, left = 8 : i64, right = 8 : i64} : (tensor<?x64xf32, #quern.dims<"T">>, tensor<?x32xf32, #quern.dims<"T">>, tensor<?x32xf32, #quern.dims<"T">>, !quern.batch) -> tensor<?x64xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Rows:$query, Quern_Rows:$key, Quern_Rows:$value, Optional<Quern_Batch>:$batch, Optional<Quern_Weight>:$bias,
                       Optional<AnyRankedTensor>:$mask,
                       I64Attr:$heads, I64Attr:$kv_heads, F32Attr:$scale, DefaultValuedAttr<I64Attr, "0">:$left, DefaultValuedAttr<I64Attr, "0">:$right,
                       UnitAttr:$causal, DefaultValuedAttr<F32Attr, "0.0f">:$softcap, OptionalAttr<DenseI32ArrayAttr>:$buckets,
                       OptionalAttr<StrAttr>:$sequences, UnitAttr:$nan_is_zero);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "$query `,` $key `,` $value (`batch` $batch^)? (`bias` $bias^)? (`mask` $mask^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let members = [{
    /// Columns of a head's keys and of its values.
    int64_t keyDim();
    int64_t valueDim();
  }];
}

#endif // QUERN_IR_QUERN_ATTENTIONOPS_TD
