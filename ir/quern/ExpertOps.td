// Mixture of experts: which experts a token goes to, what these make of it, and their sum.
#ifndef QUERN_IR_QUERN_EXPERTOPS_TD
#define QUERN_IR_QUERN_EXPERTOPS_TD

include "ir/quern/QuernTypes.td"

def Quern_RouteScore : I32EnumAttr<"RouteScore", "what a router makes of its logits", [
    I32EnumAttrCase<"softmax", 0>, I32EnumAttrCase<"sigmoid", 1>, I32EnumAttrCase<"chosen", 2>]> {
  let cppNamespace = "::quern";
  let genSpecializedAttr = 0;
}

def Quern_RouteOp : Quern_AnchorOp<"route", [Pure]> {
  let summary = "the experts that each token goes to, and their weights";
  let description = [{
    Of E logits s = softmax(logits) over all of them, sigmoid(logits), or the logits themselves (`chosen`). The top_k experts with the
    largest c = s + bias are chosen (bias, for the choice alone, is 0 where it is not there); of equal ones those of lower number. They are given in
    rising number: ids[t, j] < ids[t, j + 1].

    With top_groups < groups, experts fall into `groups` equal runs, and are chosen from the top_groups best of these, a run counting
    the sum of its group_top largest c (DeepSeek-V2, V3).

    The weights are s of the chosen, or of `chosen` the softmax over the chosen logits. With `normalize` they are divided by the sum
    of their magnitudes (1) or by the root of the sum of their squares (2), plus eps; then multiplied by scale.

    Constraints: C1: 0 < top_k <= E. C2: groups divides E, 0 < top_groups <= groups, 0 < group_top <= E / groups, and top_groups groups have
    top_k experts. C3: bias, if there, is [E]. C4: ids and weights have the logits' rows and top_k columns. C5: normalize is 0, 1 or 2, and eps not negative.

    ```mlir
    %ids, %weights = quern.route softmax %x {top_k = 2 : i64, normalize = 1 : i64} : (tensor<?x64xf32, #quern.dims<"T">>) -> (tensor<?x2xi32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>)
    ```
  }];
  let arguments = (ins EnumAttr<Quern_Dialect, Quern_RouteScore, "route_score">:$score, Quern_Rows:$logits, Optional<Quern_Weight>:$bias,
                       I64Attr:$top_k, DefaultValuedAttr<I64Attr, "1">:$groups, DefaultValuedAttr<I64Attr, "1">:$top_groups,
                       DefaultValuedAttr<I64Attr, "1">:$group_top, DefaultValuedAttr<I64Attr, "0">:$normalize,
                       DefaultValuedAttr<F32Attr, "0.0f">:$eps, DefaultValuedAttr<F32Attr, "1.0f">:$scale);
  let results = (outs Quern_Choices:$ids, Quern_Rows:$weights);
  let assemblyFormat = "$score operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Quern_ExpertLinearOp : Quern_AnchorOp<"expert_linear", [Pure]> {
  let summary = "each token's product with the weights of its experts";
  let description = [{
    The columns of a row are as many blocks as a token has experts: y[t, j*N + n] = sum_k x[t, j*K + k] * W[e, n, k] + b[e, n], where e = ids[t, j];
    where x has K columns alone, every block is of x[t, k].

    Constraints: C1: W is [E, N, K], where x has K columns or K for each of the ids. C2: b, if there, is [E, N]. C3: ids and y have x's rows, and y N
    columns for each of the ids. The ids lie in [0, E), as `quern.route` gives them.

    ```mlir
    %y = quern.expert_linear %x, %chosen, %experts : (tensor<?x64xf32, #quern.dims<"T">>, tensor<?x2xi32, #quern.dims<"T">>, !quern.weight<4x32x64, "f32">) -> tensor<?x64xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_LinearInput:$input, Quern_Choices:$ids, Quern_Weight:$weight, Optional<Quern_Weight>:$bias);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let members = [{
    /// Experts of a token.
    int64_t choices();
    /// Columns of a block of the result, and of the input.
    int64_t blockOutputs();
    int64_t blockInputs();
    /// Whether each of a token's experts has a block of the input to itself.
    bool readsBlocks();
  }];
}

def Quern_CombineOp : Quern_Op<"combine", [Quern_RowWise, Pure]> {
  let summary = "the weighted sum of a token's experts";
  let description = [{
    y[t, n] = sum_j weights[t, j] * x[t, j*N + n], where N is y's columns. Products are added up in the order of j, that is of the experts'
    numbers, each operation rounded on its own. It joins the product that makes x, of which no more than the sum is written then.

    Constraint C1: rows agree, and x has N columns for each of the weights.

    ```mlir
    %y = quern.combine %x, %weights : (tensor<?x64xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>) -> tensor<?x32xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Rows:$input, Quern_Rows:$weights);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif // QUERN_IR_QUERN_EXPERTOPS_TD
