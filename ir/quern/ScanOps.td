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
    For each sequence and head, over its tokens in order, with state S of [key dim, value dim] (rows are keys):
    S_t = decay_t * S_(t-1) + a-term + k_t v_t^T;  o_t = S_t^T r_t,
    where the a-term, if `a` and `b` are there, is the rank-one correction b_t (a_t^T S_(t-1)).
    The decay multiplies elementwise: it is per head [H], per key [H, K], per value [H, V] or elementwise [H, K, V] (`decay_kind`).
    r, k (and a, b) have `groups` heads, each shared by heads/groups heads of the state.
    Mamba-2 (SSD; Dao and Gu, 2024): r = C, k = B, v = dt x, decay = exp(dt A) per head.

    Constraints: C1: the state is recurrent [H, K, V]. C2: groups divides H. C3: r and k have groups*K columns, v and the result H*V; all have
    the same rows.
    C4: the decay has as many columns as decay_kind says. C5: a and b are both there or neither, and have groups*K columns.

    ```mlir
    %y = quern.linear_recurrence %c, %b, %x, %decay, %batch, %ssm {groups = 2 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x32xf32, #quern.dims<"T">>, tensor<?x32xf32, #quern.dims<"T">>, tensor<?x64xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 4x16x16>) -> tensor<?x64xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Rows:$r, Quern_Rows:$k, Quern_Rows:$v, Quern_Rows:$decay, Optional<Quern_Rows>:$a, Optional<Quern_Rows>:$b,
                       Quern_Batch:$batch, Quern_State:$state, I64Attr:$groups, EnumAttr<Quern_Dialect, Quern_DecayKind, "decay_kind">:$decay_kind);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "$r `,` $k `,` $v `,` $decay (`correction` $a^ `,` $b)? `,` $batch `,` $state attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
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

#endif // QUERN_IR_QUERN_SCANOPS_TD
