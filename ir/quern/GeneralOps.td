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

#endif // QUERN_IR_QUERN_GENERALOPS_TD
