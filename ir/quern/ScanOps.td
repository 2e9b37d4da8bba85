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

#endif // QUERN_IR_QUERN_SCANOPS_TD
