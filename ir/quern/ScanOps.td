// Recurrences over a sequence: linear-state mixers and causal convolutions.
#ifndef QUERN_IR_QUERN_SCANOPS_TD
#define QUERN_IR_QUERN_SCANOPS_TD

include "ir/quern/QuernTypes.td"

def Quern_DecayKind : I32EnumAttr<"DecayKind", "what the decay of a linear recurrence varies over", [
    I32EnumAttrCase<"head", 0>, I32EnumAttrCase<"key", 1>, I32EnumAttrCase<"value", 2>, I32EnumAttrCase<"elementwise", 3>]> {
  let cppNamespace = "::quern";
  let genSpecializedAttr = 0;
}

def Quern_LinearRecurrenceOp : Quern_AnchorOp<"linear_recurrence", [AttrSizedOperandSegments, MemoryEffects<[MemRead<Quern_StateResource>, MemWrite<Quern_StateResource>]>]> {
  let summary = "the one op of every linear-state mixer";
  let description = [{
    For each sequence and head, over its tokens in order, with state S of [key dim, value dim] (rows are keys), and D, k, v, r, beta, a
    and b those of the token:

    | | S becomes | the result |
    |---|---|---|
    | plain | D * S + k v^T | S^T r |
    | `correction` a, b | D * S + b (a^T S) + k v^T | S^T r |
    | `delta` beta | S' + k (beta (v - S'^T k))^T, where S' = D * S | S^T r |
    | `bonus` u | as without | (S + (u * k) v^T)^T r, S being the state before the token |

    D multiplies elementwise: it is the decay, per head [H], per key [H, K], per value [H, V] or elementwise [H, K, V] (`decay_kind`); with
    `rate`, a weight [H, K, V], it is exp(decay * rate), the decay being per value.
    r and k have `groups` heads, each shared by heads/groups heads of the state; so may the decay, a and b, or they have H.
    Where k and v have P times the columns, P blocks side by side, their products k v^T are added one after the other, and D and the
    correction come before the first; each delta reads what the one before left. Where r has Q times the columns, the result has Q
    blocks, the state after the token read by each.

    Mamba-2 (SSD; Dao and Gu, 2024): r = C, k = B, v = dt x, decay = exp(dt A) per head. Mamba (Gu and Dao, 2023): one head of N keys and
    a value a channel, v = dt x, decay = dt with the rate A. Gated DeltaNet (Yang et al., 2025): delta, decay per head; KDA: per
    key. RWKV-5 and 6: bonus, decay per key; RWKV-7: correction. RG-LRU: one head of one key, decay per value.

    Constraints: C1: the state is recurrent [H, K, V]. C2: groups divides H. C3: r has Q*groups*K columns, k P*groups*K, v P*H*V and the
    result Q*H*V; all have the same rows. C4: the decay has as many columns as decay_kind says, for H heads or for groups.
    C5: a and b are both there or neither, and have groups*K or H*K columns. C6: the rate is [H, K, V], and decay_kind is value.
    C7: beta has P*H columns, and there is no correction. C8: the bonus is [H, K], P and Q are 1, and there is neither
    delta nor correction.

    ```mlir
    %y = quern.linear_recurrence %c, %b, %x, %decay, %batch, %ssm {groups = 2 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x32xf32, #quern.dims<"T">>, tensor<?x32xf32, #quern.dims<"T">>, tensor<?x64xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 4x16x16>) -> tensor<?x64xf32, #quern.dims<"T">>
    %z = quern.linear_recurrence %c, %b, %x, %decay delta %decay, %batch, %ssm {groups = 2 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x32xf32, #quern.dims<"T">>, tensor<?x32xf32, #quern.dims<"T">>, tensor<?x64xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 4x16x16>) -> tensor<?x64xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Rows:$r, Quern_Rows:$k, Quern_Rows:$v, Quern_Rows:$decay, Optional<Quern_Weight>:$rate, Optional<Quern_Rows>:$beta,
                       Optional<Quern_Rows>:$a, Optional<Quern_Rows>:$b, Optional<Quern_Weight>:$bonus,
                       Quern_Batch:$batch, Quern_State:$state, I64Attr:$groups, EnumAttr<Quern_Dialect, Quern_DecayKind, "decay_kind">:$decay_kind);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "$r `,` $k `,` $v `,` $decay (`rate` $rate^)? (`delta` $beta^)? (`correction` $a^ `,` $b)? (`bonus` $bonus^)? `,` $batch `,` $state attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let members = [{
    /// Heads, keys and values of the state.
    int64_t heads() { return getState().getType().getShape()[0]; }
    int64_t keyDim() { return getState().getType().getShape()[1]; }
    int64_t valueDim() { return getState().getType().getShape()[2]; }
    /// P: products k v^T that a token adds.
    int64_t products();
    /// Q: times that the state is read after a token.
    int64_t reads();
    /// Elements of the decay for a head, as decay_kind says.
    int64_t decayColumns();
    /// Heads of the state that share a head of `rows`, which has `columns` for each of its own: a decay, a or b.
    int64_t headsThatShare(::mlir::Value rows, int64_t columns);
  }];
}

def Quern_CausalConv1dOp : Quern_AnchorOp<"causal_conv1d", [MemoryEffects<[MemRead<Quern_StateResource>, MemWrite<Quern_StateResource>]>]> {
  let summary = "depthwise causal convolution along each sequence";
  let description = [{
    y[t, c] = b[c] + sum_(i<L) w[c, i] * x[t - (L-1) + i, c], where x before the step's first token of the
    sequence is the window state, which then keeps the last L-1 inputs.

    Constraints: C1: w is [C, L] where x has C columns. C2: the state is window [C, L-1]. C3: b, if there, is [C].
    C4: the result has x's type.

    ```mlir
    %y = quern.causal_conv1d %x, %batch, %window, %conv : (tensor<?x64xf32, #quern.dims<"T">>, !quern.batch, !quern.state<window, 64x3>, !quern.weight<64x4, "f32">) -> tensor<?x64xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Rows:$input, Quern_Batch:$batch, Quern_State:$state, Quern_Weight:$weight, Optional<Quern_Weight>:$bias);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Quern_TokenShiftOp : Quern_AnchorOp<"token_shift", [MemoryEffects<[MemRead<Quern_StateResource>, MemWrite<Quern_StateResource>]>]> {
  let summary = "each token's row of the token before";
  let description = [{
    y[t] = x[t - 1], where x before the step's first token of the sequence is the window state (zeros at a sequence's start), which
    then keeps the last input. (RWKV; Peng et al., 2023.)

    Constraints: C1: the state is window [C, 1] where x has C columns. C2: the result has x's type.

    ```mlir
    %y = quern.token_shift %x, %batch, %shift : (tensor<?x64xf32, #quern.dims<"T">>, !quern.batch, !quern.state<window, 64x1>) -> tensor<?x64xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Rows:$input, Quern_Batch:$batch, Quern_State:$state);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Quern_ScanOp : Quern_AnchorOp<"scan", [IsolatedFromAbove, SingleBlock, MemoryEffects<[MemRead<Quern_StateResource>, MemWrite<Quern_StateResource>]>]> {
  let summary = "a recurrence that is no linear one, column by column";
  let description = [{
    For each sequence, over its tokens in order: the body is given the S states of C columns (zeros at a sequence's start) and the token's
    row of each input, and yields the states that follow and the token's results. For what is a running maximum (RWKV-4's and mLSTM's exponents) or
    not linear at all. The body's ops are elementwise, so that columns never meet; what it reads of outside is an input.

    Constraints: C1: the state is recurrent [S, 1, C]. C2: inputs are rows of C columns, or that others are repeated over, or weights. C3: the
    body's arguments are S rows of C columns and the inputs' types. C4: the body yields S states and the results, rows of C columns. C5: the body's ops
    are elementwise.

    ```mlir
    %y = quern.scan %x, %v, %batch, %most : (tensor<?x64xf32, #quern.dims<"T">>, tensor<?x32xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 1x1x64>) -> tensor<?x64xf32, #quern.dims<"T">> {
    ^bb0(%before: tensor<?x64xf32, #quern.dims<"T">>, %in: tensor<?x64xf32, #quern.dims<"T">>, %decays: tensor<?x32xf32, #quern.dims<"T">>):
      %0 = quern.binary sub %before, %decays {repeat = 2 : i64} : tensor<?x64xf32, #quern.dims<"T">>, tensor<?x32xf32, #quern.dims<"T">>
      %1 = quern.binary max %0, %in : tensor<?x64xf32, #quern.dims<"T">>, tensor<?x64xf32, #quern.dims<"T">>
      quern.yield %1, %0 : tensor<?x64xf32, #quern.dims<"T">>, tensor<?x64xf32, #quern.dims<"T">>
    }
    ```
  }];
  let arguments = (ins Variadic<Quern_RowsOrWeight>:$inputs, Quern_Batch:$batch, Quern_State:$state);
  let results = (outs Variadic<Quern_Rows>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results) $body";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    static constexpr ::quern::Anchor kAnchor = ::quern::Anchor::scan;
    int64_t states() { return getState().getType().getShape()[0]; }
    int64_t columns() { return getState().getType().getShape()[2]; }
    /// What the body yields: the states that follow, then the token's results.
    ::quern::YieldOp yield();
    /// The body's arguments that are states, and those that are the inputs.
    ::mlir::Block::BlockArgListType stateArguments() { return getBody().getArguments().take_front(states()); }
    ::mlir::Block::BlockArgListType inputArguments() { return getBody().getArguments().drop_front(states()); }
  }];
}

def Quern_LongConvOp : Quern_AnchorOp<"long_conv", [MemoryEffects<[MemRead<Quern_StateResource>, MemWrite<Quern_StateResource>]>]> {
  let summary = "a convolution as long as the sequence, whose filters are sums of exponentials";
  let description = [{
    Each channel c has N complex poles p and residues R, and a filter h[i] = Re(sum_n R_n p_n^i) of any length, which it computes without
    storing it, from N complex states: over a sequence's tokens in order

        s_n = p_n s_n + x[t, c]         y[t, c] = Re(sum_n R_n s_n) + d[c] x[t, c]

    This is Hyena's modal form (Massaroli et al., 2023). A filter given by its taps is `quern.causal_conv1d`, of any length too. An FFT would add
    the same numbers up in another order, for every length another.
    Numbers lie with the channels last: the real parts of pole n are row 2n of the weight, the imaginary ones row 2n + 1, and so of residues and states.
    Where poles and residues have G channels, each is that of C/G neighbouring channels.

    Constraints: C1: the state is recurrent [N, 2, C] where x has C columns. C2: poles and residues are [N, 2, G], and G divides C.
    C3: d, if there, is [C]. C4: the result has x's type.

    ```mlir
    %y = quern.long_conv %x, %batch, %modes, %poles, %poles, %norm : (tensor<?x64xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 4x2x64>, !quern.weight<4x2x32, "f32">, !quern.weight<4x2x32, "f32">, !quern.weight<64, "f32">) -> tensor<?x64xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Rows:$input, Quern_Batch:$batch, Quern_State:$state, Quern_Weight:$poles, Quern_Weight:$residues, Optional<Quern_Weight>:$skip);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let members = [{
    /// Poles of a channel.
    int64_t modes() { return getState().getType().getShape()[0]; }
    /// Neighbouring channels that share theirs.
    int64_t channelsThatShare();
  }];
}

#endif // QUERN_IR_QUERN_SCANOPS_TD
