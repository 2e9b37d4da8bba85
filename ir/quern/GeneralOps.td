// What general tensor programs (ONNX graphs) need beside the ops of linalg, tensor, arith and math: sizes as numbers,
// weights as tensors, and a change of shape whose dimensions are in its type.
#ifndef QUERN_IR_QUERN_GENERALOPS_TD
#define QUERN_IR_QUERN_GENERALOPS_TD

include "ir/quern/QuernTypes.td"

def Quern_SizeOp : Quern_Op<"size", [Quern_General, Pure]> {
  let summary = "a size that is known when the entry is called";
  let description = [{
    The value of an expression over the module's `quern.sizes`, in the spelling of ir/symbols/Dim.h's text().

    Constraint C1: the expression is not empty.

    ```mlir
    %n = quern.size "T"
    ```
  }];
  let arguments = (ins StrAttr:$dim);
  let results = (outs Index:$result);
  let assemblyFormat = "$dim attr-dict";
  let hasVerifier = 1;
}

def Quern_WeightTensorOp : Quern_Op<"weight_tensor", [Quern_General, Pure]> {
  let summary = "a weight's numbers as a tensor";
  let description = [{
    y[i, j, ...] = w[i, j, ...], decoded.

    Constraint C1: y has w's shape.

    ```mlir
    %y = quern.weight_tensor %w : !quern.weight<96x64, "f32"> -> tensor<96x64xf32>
    ```
  }];
  let arguments = (ins Quern_Weight:$weight);
  let results = (outs Quern_Float32Tensor:$result);
  let assemblyFormat = "$weight attr-dict `:` type($weight) `->` type($result)";
  let hasVerifier = 1;
}

def Quern_ReshapeOp : Quern_Op<"reshape", [Quern_General, Pure]> {
  let summary = "the same elements in row-major order under another shape";
  let description = [{
    Dimensions that are not fixed are what the types' names say, so that there is no operand for them.

    Constraint C1: types and, where both are fixed, numbers of elements agree.

    ```mlir
    %y = quern.reshape %x : tensor<?x64xf32, #quern.dims<"T">> -> tensor<?x4x16xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Quern_CheckIndexOp : Quern_Op<"check_index", [Quern_General, NoMemoryEffect]> {
  let summary = "an index that has to be within a size";
  let description = [{
    y = index, where 0 <= index < size. `from_end`: y = index + size where -size <= index < 0. Any other index is a fault:
    the call fails, with the name of the node that the op's location has, and y is some number that nobody is shown.

    An element that nobody reads is not checked, so the op may be dropped with what reads it, and written where that is written. It
    may not be computed where the program does not compute it.

    ```mlir
    %i = arith.constant 3 : index
    %n = quern.size "T"
    %y = quern.check_index %i, %n from_end
    ```
  }];
  let arguments = (ins Index:$index, Index:$size, UnitAttr:$from_end);
  let results = (outs Index:$result);
  let assemblyFormat = "$index `,` $size (`from_end` $from_end^)? attr-dict";
  let hasFolder = 1;
}

def Quern_CheckDivisorOp : Quern_Op<"check_divisor", [Quern_General, NoMemoryEffect, AllTypesMatch<["divisor", "result"]>]> {
  let summary = "an integer that must not be 0";
  let description = [{
    y = divisor. 0 is a fault, as of `quern.check_index`; y is then another number.

    ```mlir
    %three = arith.constant 3 : i32
    %y = quern.check_divisor %three : i32
    ```
  }];
  let arguments = (ins AnySignlessInteger:$divisor);
  let results = (outs AnySignlessInteger:$result);
  let assemblyFormat = "$divisor attr-dict `:` type($divisor)";
  let hasFolder = 1;
}

def Quern_WhereTrueOp : Quern_Op<"where_true", [Quern_General, MemoryEffects<[MemWrite<Quern_SizeResource>]>]> {
  let summary = "the positions where a mask is true";
  let description = [{
    y[j] is the row-major position of the mask's j-th element that is true; y is as long as there are such.

    y's dimension may be one of the module's `quern.counted_sizes`: the op gives it its value, so that it stands before whatever else is
    of that size. More than the size may be at most are a fault, as of `quern.check_index`. Any other dimension is what there have to be: another number
    of true elements is a fault.

    Constraint C1: the result is of rank 1.

    ```mlir
    %zero = arith.constant 0.0 : f32
    %mask = tensor.splat %zero : tensor<64xf32>
    %flags = arith.cmpf une, %mask, %mask : tensor<64xf32>
    %y = quern.where_true %flags : tensor<64xi1> -> tensor<2xi64>
    ```
  }];
  let arguments = (ins TensorOf<[I1]>:$mask);
  let results = (outs TensorOf<[I64]>:$result);
  let assemblyFormat = "$mask attr-dict `:` type($mask) `->` type($result)";
  let hasVerifier = 1;
}

#endif // QUERN_IR_QUERN_GENERALOPS_TD
