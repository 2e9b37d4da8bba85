// Weights by reference, and what passes do to them, written as IR and carried out when they are packed.
#ifndef QUERN_IR_QUERN_WEIGHTOPS_TD
#define QUERN_IR_QUERN_WEIGHTOPS_TD

include "ir/quern/QuernTypes.td"

def Quern_WeightOp : Quern_Op<"weight", [Quern_Structure, Symbol]> {
  let summary = "declares a weight of the model's files";
  let description = [{
    Names `count(shape)` elements in `format`, at `offset` bytes into `file` (an index into the
    module's `quern.files`). File -1 is synthetic: elements come from the counter-based generator
    keyed by `seed` and the symbol's name, as `mean + spread * normal`. With `coded`, the elements in
    `format` are made of several tensors of the files, of which the codes are the one at `offset`.

    `places` is for a weight whose first dimension the files hold in as many tensors of equal shape (experts): pairs of
    a file and an offset, the first of them `file` and `offset`.

    Constraints: C1: file >= -1. C2: offset >= 0. C3: what `coded` describes is a weight of that shape, and `format`
    holds it. C4: places are pairs, the first of them file and offset, none of them synthetic, and as many as divide the first dimension.

    ```mlir
    quern.weight @"blk.0.attn_q.weight" : !quern.weight<64x64, "f32"> {file = 0 : i32, offset = 4096 : i64}
    quern.weight @"blk.0.attn_k.weight" : !quern.weight<64x64, "int4:g32:sym"> {coded = #quern.coded<layout = "gptq", bits = 4, group = 32, codes = "i32", scales = <0, 2048, "f16">>, file = 0 : i32, offset = 0 : i64}
    quern.weight @"blk.0.experts" : !quern.weight<2x64x64, "f32"> {file = 0 : i32, offset = 4096 : i64, places = array<i64: 0, 4096, 1, 0>}
    quern.weight @norm : !quern.weight<64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 1.0 : f32, spread = 0.1 : f32}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<Quern_Weight>:$type, I32Attr:$file, I64Attr:$offset,
                       OptionalAttr<I64Attr>:$seed, OptionalAttr<F32Attr>:$mean, OptionalAttr<F32Attr>:$spread,
                       OptionalAttr<Quern_CodedAttr>:$coded, OptionalAttr<DenseI64ArrayAttr>:$places);
  let assemblyFormat = "$sym_name `:` $type attr-dict";
  let hasVerifier = 1;
}

def Quern_PackedOp : Quern_Op<"packed", [Quern_Structure, Symbol, IsolatedFromAbove, SingleBlock, NoRegionArguments]> {
  let summary = "declares a weight as the artifact holds it";
  let description = [{
    The body computes the weight from the model's weights; `packing` names the layout a kernel reads
    it in ("rows" keeps plain rows), `offset` its place in the weights section once planned.

    Constraint C1: the yielded type is `type`.

    ```mlir
    quern.packed @l0.qkv : !quern.weight<128x64, "q4_1"> packing "q4.g32.z0.min.f16" {
      %0 = quern.weight_ref @q : !quern.weight<64x64, "q4_1">
      %1 = quern.weight_ref @k : !quern.weight<64x64, "q4_1">
      %2 = quern.weight_concat %0, %1 : (!quern.weight<64x64, "q4_1">, !quern.weight<64x64, "q4_1">) -> !quern.weight<128x64, "q4_1">
      quern.yield %2 : !quern.weight<128x64, "q4_1">
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<Quern_Weight>:$type, StrAttr:$packing, OptionalAttr<I64Attr>:$offset, OptionalAttr<I64Attr>:$bytes);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name `:` $type `packing` $packing attr-dict-with-keyword $body";
  let hasVerifier = 1;
}

def Quern_WeightRefOp : Quern_Op<"weight_ref", [Quern_Reference, Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a reference to a declared weight";
  let description = [{
    Constraint C1: the symbol is a `quern.weight` or `quern.packed` of the result's type.

    ```mlir
    %y = quern.weight_ref @q : !quern.weight<64x64, "q4_1">
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$name);
  let results = (outs Quern_Weight:$result);
  let assemblyFormat = "$name attr-dict `:` type($result)";
}

def Quern_WeightConcatOp : Quern_Op<"weight_concat", [Quern_Reference, Pure]> {
  let summary = "weights one below the other: rows of the first, then of the next";
  let description = [{
    Result row i is row i - (rows before) of the input it falls in. Merges sibling matmuls. With `axis` 1 the same of each of the first dimension:
    [E, N, K] and [E, M, K] become [E, N + M, K], experts' gates and ups; and biases [E, N] and [E, M] become [E, N + M].

    Constraints: C1: at least one input. C2: all inputs and the result have the same format and the
    same dimensions but that of the axis, which is 0 or 1 and one of theirs. C3: the result's dimension of the axis is the sum of the inputs'.

    ```mlir
    %y = quern.weight_concat %w, %a : (!quern.weight<96x64, "f32">, !quern.weight<64x64, "f32">) -> !quern.weight<160x64, "f32">
    ```
  }];
  let arguments = (ins Variadic<Quern_Weight>:$inputs, DefaultValuedAttr<I64Attr, "0">:$axis);
  let results = (outs Quern_Weight:$result);
  let assemblyFormat = "$inputs attr-dict `:` functional-type($inputs, $result)";
  let hasVerifier = 1;
}

def Quern_WeightConvertOp : Quern_Op<"weight_convert", [Quern_Reference, Pure]> {
  let summary = "the weight in another format, rounded by that format's encoder";
  let description = [{
    Constraint C1: input and result have the same shape.

    ```mlir
    %y = quern.weight_convert %w : !quern.weight<96x64, "f32"> -> !quern.weight<96x64, "int4:g32:sym">
    ```
  }];
  let arguments = (ins Quern_Weight:$input);
  let results = (outs Quern_Weight:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Quern_WeightMapOp : Quern_Op<"weight_map", [Quern_Reference, Pure]> {
  let summary = "a function of a weight, element by element but for one, computed once when it is packed";
  let description = [{
    `fn`: `neg_exp` is -exp(x) (Mamba's A from its A_log), `add_one` is 1 + x (norm scales stored off one), `softplus` is
    log(1 + exp(x)) (an RG-LRU's rates), `scale` is factor x. `cumulated_softmax` is of a matrix's columns: element i is the sum of the
    elements 1 to i of the column's softmax, and element 0 is 0 (HGRN's lower bounds, a row a layer; Qin et al., 2023).

    Constraints: C1: fn is one of these, and there is a factor beside `scale` alone. C2: the result is "f32" of the input's shape.
    C3: cumulated_softmax is of a matrix.

    ```mlir
    %y = quern.weight_map "neg_exp" %d : !quern.weight<4, "f32"> -> !quern.weight<4, "f32">
    ```
  }];
  let arguments = (ins Quern_Weight:$input, StrAttr:$fn, OptionalAttr<F32Attr>:$factor);
  let results = (outs Quern_Weight:$result);
  let assemblyFormat = "$fn $input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Quern_WeightReshapeOp : Quern_Op<"weight_reshape", [Quern_Reference, Pure]> {
  let summary = "the same elements in row-major order under another shape";
  let description = [{
    Constraint C1: element counts and formats agree; blocks of the format must not cross rows of the result.

    ```mlir
    %y = quern.weight_reshape %conv3 : !quern.weight<64x1x4, "f32"> -> !quern.weight<64x4, "f32">
    ```
  }];
  let arguments = (ins Quern_Weight:$input);
  let results = (outs Quern_Weight:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Quern_WeightTransposeOp : Quern_Op<"weight_transpose", [Quern_Reference, Pure]> {
  let summary = "a matrix stored [inputs, outputs], as rows of outputs";
  let description = [{
    y[n, k] = w[k, n], of each of the first dimension where there are three. Only for formats of one number an element (f32, f16, bf16): the blocks of others lie
    along the rows they were made for.

    Constraint C1: w is [K, N] or [E, K, N], the result [N, K] or [E, N, K] of the same format.

    ```mlir
    %y = quern.weight_transpose %w : !quern.weight<96x64, "f32"> -> !quern.weight<64x96, "f32">
    ```
  }];
  let arguments = (ins Quern_Weight:$input);
  let results = (outs Quern_Weight:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Quern_WeightRowsOp : Quern_Op<"weight_rows", [Quern_Reference, Pure]> {
  let summary = "chosen rows: blocks of neighbours at even distances";
  let description = [{
    Result row r is input row offset + (r / block) * stride + r % block; block 0 stands for all rows of the result,
    stride 0 for block. Takes a projection out of one that models store fused: queries out of [heads, 3, dim], block dim and
    stride 3 dim. Of a vector, the elements are chosen, and its format has one number an element (f32, f16, bf16).

    Constraints: C1: offset >= 0, block >= 0 and stride >= block. C2: input and result agree in format and in all
    dimensions but the first. C3: block divides the result's rows, and they lie inside the input.

    ```mlir
    %y = quern.weight_rows %w {offset = 8 : i64, block = 8 : i64, stride = 24 : i64} : !quern.weight<96x64, "f32"> -> !quern.weight<32x64, "f32">
    ```
  }];
  let arguments = (ins Quern_Weight:$input, I64Attr:$offset, DefaultValuedAttr<I64Attr, "0">:$block, DefaultValuedAttr<I64Attr, "0">:$stride);
  let results = (outs Quern_Weight:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Rows of a block, and from one block to the next, with what 0 stands for put in.
    int64_t blockRows();
    int64_t strideRows();
  }];
}

#endif // QUERN_IR_QUERN_WEIGHTOPS_TD
