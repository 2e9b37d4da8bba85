// Elementwise functions and plain tensor ops.
#ifndef QUERN_IR_QUERN_TENSOROPS_TD
#define QUERN_IR_QUERN_TENSOROPS_TD

include "ir/quern/QuernTypes.td"

def Quern_UnaryKind : I32EnumAttr<"UnaryKind", "a function of one number", [
    I32EnumAttrCase<"silu", 0>, I32EnumAttrCase<"sigmoid", 1>, I32EnumAttrCase<"gelu_erf", 2>, I32EnumAttrCase<"gelu_tanh", 3>,
    I32EnumAttrCase<"relu", 4>, I32EnumAttrCase<"tanh", 5>, I32EnumAttrCase<"softplus", 6>, I32EnumAttrCase<"exp", 7>,
    I32EnumAttrCase<"relu2", 8>, I32EnumAttrCase<"quick_gelu", 9>,
    I32EnumAttrCase<"mish", 10>, I32EnumAttrCase<"relu6", 11>, I32EnumAttrCase<"leaky_relu", 12>, I32EnumAttrCase<"hardswish", 13>,
    I32EnumAttrCase<"gelu_10", 14>, I32EnumAttrCase<"abs", 15>, I32EnumAttrCase<"log_sigmoid", 16>,
    I32EnumAttrCase<"one_minus_square_root", 17>, I32EnumAttrCase<"sin", 18>, I32EnumAttrCase<"cos", 19>]> {
  let cppNamespace = "::quern";
  let genSpecializedAttr = 0;
}
def Quern_BinaryKind : I32EnumAttr<"BinaryKind", "a function of two numbers", [
    I32EnumAttrCase<"add", 0>, I32EnumAttrCase<"mul", 1>, I32EnumAttrCase<"sub", 2>,
    I32EnumAttrCase<"max", 3>, I32EnumAttrCase<"div", 4>]> {
  let cppNamespace = "::quern";
  let genSpecializedAttr = 0;
}

def Quern_UnaryOp : Quern_Op<"unary", [Quern_Elementwise, Pure, SameOperandsAndResultType]> {
  let summary = "a function of every element";
  let description = [{
    y = fn(x): silu x/(1+exp(-x)); sigmoid; gelu_erf x/2 (1+erf(x/sqrt 2)); gelu_tanh, its tanh form; relu;
    tanh; softplus log(1+exp x), x itself above 20; exp; relu2 max(x, 0)^2 (So et al., 2021); quick_gelu
    x/(1+exp(-1.702 x)); mish x tanh(softplus x) (Misra, 2019); relu6 min(max(x, 0), 6); leaky_relu max(x, x/100);
    hardswish x relu6(x + 3)/6 (Howard et al., 2019); gelu_10 min(gelu_erf x, 10); abs |x|; log_sigmoid
    -log(1+exp(-x)); one_minus_square_root sqrt(1 - exp(2 x)) for the logarithm x <= 0 of a decay, whose square is taken from 1 without
    cancellation (0 above 0; De et al., 2024); sin; cos.

    ```mlir
    %y = quern.unary silu %x : tensor<?x64xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins EnumAttr<Quern_Dialect, Quern_UnaryKind, "unary_kind">:$fn, Quern_Rows:$input);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "$fn $input attr-dict `:` type($input)";
}

def Quern_BinaryOp : Quern_Op<"binary", [Quern_Elementwise, Pure, AllTypesMatch<["lhs", "result"]>]> {
  let summary = "a function of two elements, the second broadcast where it is narrower";
  let description = [{
    y[t, c] = fn(x[t, c], r[t, c / repeat]), where r is rows of the same T, or a weight [n] used for every row.
    max is the larger of the two, NaN where one is.
    `repeat` above 1 shares an element of r among that many neighbouring columns (a per-head value over a head).

    Constraints: C1: r has columns(x) / repeat columns. C2: the result has x's type.

    ```mlir
    %y = quern.binary mul %x, %d {repeat = 16 : i64} : tensor<?x64xf32, #quern.dims<"T">>, !quern.weight<4, "f32">
    ```
  }];
  let arguments = (ins EnumAttr<Quern_Dialect, Quern_BinaryKind, "binary_kind">:$fn, Quern_Rows:$lhs, Quern_RowsOrWeight:$rhs, DefaultValuedAttr<I64Attr, "1">:$repeat);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "$fn $lhs `,` $rhs attr-dict `:` type($lhs) `,` type($rhs)";
  let hasVerifier = 1;
}

def Quern_ScaleOp : Quern_Op<"scale", [Quern_Elementwise, Quern_HeadwiseInterface, Pure, SameOperandsAndResultType]> {
  let summary = "every element times a constant";
  let arguments = (ins Quern_Rows:$input, F32Attr:$factor);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
  let description = [{
    y = factor * x.

    ```mlir
    %y = quern.scale %x {factor = 0.125 : f32} : tensor<?x64xf32, #quern.dims<"T">>
    ```
  }];
}

def Quern_ClampOp : Quern_Op<"clamp", [Quern_Elementwise, Quern_HeadwiseInterface, Pure, SameOperandsAndResultType]> {
  let summary = "every element held between two bounds";
  let description = [{
    y = min(max(x, min), max). Constraint C1: min <= max.

    ```mlir
    %y = quern.clamp %x {min = 0.0 : f32, max = 6.0 : f32} : tensor<?x64xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Rows:$input, F32Attr:$min, F32Attr:$max);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
  let hasVerifier = 1;
}

def Quern_GatedActOp : Quern_Op<"gated_act", [Quern_Elementwise, Pure, SameOperandsAndResultType]> {
  let summary = "act(gate) * up, the gated MLP's activation (Shazeer, 2020)";
  let description = [{
    y = fn(gate) * up, fn as in `quern.unary`. With `alpha` fn(x) stands for fn(alpha x) / alpha, so that silu becomes x sigmoid(alpha x); with
    `limit` the gate is first held below it, and up between it and its negative; `shift` is added to up then (GPT-OSS has all three).

    Constraint C1: alpha and limit are positive.

    ```mlir
    %y = quern.gated_act silu %gate, %up : tensor<?x96xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins EnumAttr<Quern_Dialect, Quern_UnaryKind, "unary_kind">:$fn, Quern_Rows:$gate, Quern_Rows:$up,
                       OptionalAttr<F32Attr>:$limit, OptionalAttr<F32Attr>:$alpha, OptionalAttr<F32Attr>:$shift);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "$fn $gate `,` $up attr-dict `:` type($gate)";
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::Type":$type, "::quern::UnaryKind":$fn, "::mlir::Value":$gate, "::mlir::Value":$up), [{
    build($_builder, $_state, type, fn, gate, up, ::mlir::FloatAttr(), ::mlir::FloatAttr(), ::mlir::FloatAttr());
  }]>];
}

def Quern_SliceOp : Quern_Op<"slice", [Quern_View, Pure]> {
  let summary = "neighbouring columns";
  let description = [{
    y[t, c] = x[t, offset + c]. With `groups` above 1 the same of each of as many equal runs of x's columns, side by side in y:
    y[t, g*n + c] = x[t, g*m + offset + c], where a run has m columns of x and n of y.

    Constraint C1: offset + columns(y) <= columns(x), of each of the groups, which divide both; rows agree.

    ```mlir
    %y = quern.slice %x {offset = 16 : i64} : tensor<?x64xf32, #quern.dims<"T">> -> tensor<?x32xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Rows:$input, I64Attr:$offset, DefaultValuedAttr<I64Attr, "1">:$groups);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Quern_ConcatOp : Quern_Op<"concat", [Quern_RowWise, Pure, DeclareOpInterfaceMethods<Quern_HeadwiseInterface, ["headColumns"]>]> {
  let summary = "columns side by side";
  let description = [{
    y[t] is x_0[t], x_1[t], ... With `groups` above 1 the same of each of as many equal groups of columns: group g of y is
    group g of x_0, then of x_1, ...

    Constraints: C1: at least one input. C2: inputs and result have the same rows. C3: groups divides every input's columns. C4: the result has as
    many columns as the inputs have together.

    ```mlir
    %y = quern.concat %q, %x {groups = 4 : i64} : (tensor<?x64xf32, #quern.dims<"T">>, tensor<?x64xf32, #quern.dims<"T">>) -> tensor<?x128xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Variadic<Quern_Rows>:$inputs, DefaultValuedAttr<I64Attr, "1">:$groups);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Quern_GroupSumOp : Quern_Op<"group_sum", [Quern_RowWise, Pure]> {
  let summary = "sums of neighbouring columns";
  let description = [{
    y[t, g] = sum of the columns [g*n, g*n + n) of x[t], where x has n times as many columns as y.

    Constraints: C1: rows agree. C2: y's columns divide x's.

    ```mlir
    %y = quern.group_sum %x : tensor<?x64xf32, #quern.dims<"T">> -> tensor<?x4xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Rows:$input);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Quern_TransposeOp : Quern_Op<"transpose", [Quern_RowWise, Pure, SameOperandsAndResultType]> {
  let summary = "the columns of each row as a matrix, transposed";
  let description = [{
    With n columns in each of `groups` groups of x: y[t, j*groups + g] = x[t, g*n + j]. Between two `quern.block_linear`s it makes a Monarch matrix
    (Dao et al., 2022), whose blocks each see something of all blocks of the one before.

    Constraint C1: groups divides the columns.

    ```mlir
    %y = quern.transpose %x {groups = 4 : i64} : tensor<?x64xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Rows:$input, I64Attr:$groups);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
  let hasVerifier = 1;
}

def Quern_GatherRowsOp : Quern_Op<"gather_rows", [Quern_RowWise, Pure]> {
  let summary = "chosen rows";
  let description = [{
    y[r, :] = x[rows[r], :].

    Constraint C1: y has x's columns and as many rows as `rows` has elements.

    ```mlir
    %y = quern.gather_rows %x, %rows : (tensor<?x64xf32, #quern.dims<"T">>, tensor<?xi32, #quern.dims<"R">>) -> tensor<?x64xf32, #quern.dims<"R">>
    ```
  }];
  let arguments = (ins Quern_Rows:$input, Quern_Indices:$rows);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Quern_PoolKind : I32EnumAttr<"PoolKind", "how rows of a sequence become one", [
    I32EnumAttrCase<"mean", 0>, I32EnumAttrCase<"first", 1>, I32EnumAttrCase<"last", 2>, I32EnumAttrCase<"max", 3>,
    I32EnumAttrCase<"root_mean", 4>, I32EnumAttrCase<"weighted_mean", 5>]> {
  let cppNamespace = "::quern";
  let genSpecializedAttr = 0;
}

def Quern_PoolOp : Quern_Op<"pool", [Quern_RowWise, Pure]> {
  let summary = "a row of each sequence, made of its tokens' rows";
  let description = [{
    With x[0] to x[n-1] the rows of sequence b, y[b] is: mean, their sum divided by n; first, x[0]; last, x[n-1]; max, the largest of each column;
    root_mean, their sum divided by sqrt(n); weighted_mean, the sum of (i+1) x[i] divided by n(n+1)/2 (Muennighoff, 2022).

    Constraint C1: x counts tokens, "T", y sequences, "B", and they have the same columns.

    ```mlir
    %y = quern.pool mean %x, %batch : tensor<?x64xf32, #quern.dims<"T">> -> tensor<?x64xf32, #quern.dims<"B">>
    ```
  }];
  let arguments = (ins EnumAttr<Quern_Dialect, Quern_PoolKind, "pool_kind">:$fn, Quern_Rows:$input, Quern_Batch:$batch);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "$fn $input `,` $batch attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

#endif // QUERN_IR_QUERN_TENSOROPS_TD
