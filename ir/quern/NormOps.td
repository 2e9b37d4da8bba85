// Normalizations.
#ifndef QUERN_IR_QUERN_NORMOPS_TD
#define QUERN_IR_QUERN_NORMOPS_TD

include "ir/interfaces/NormInterface.td"
include "ir/quern/QuernTypes.td"

def Quern_RmsNormOp : Quern_Op<"rms_norm", [Quern_RowWise, Pure, Quern_NormInterface, DeclareOpInterfaceMethods<Quern_HeadwiseInterface, ["headColumns"]>]> {
  let summary = "root-mean-square normalization of groups of columns";
  let description = [{
    Columns fall into groups of `group` (0: the whole row is one). In each group
    y = x / sqrt(mean(x^2) + eps) * w. (Zhang and Sennrich, 2019.) With `root_eps` eps is added to the root, not under it:
    y = x / (sqrt(mean(x^2)) + eps) * w.

    Constraints: C1: group divides the columns. C2: w, if there, is [group] (shared by all groups, as query and
    key norms are) or [columns]. C3: eps >= 0. C4: the result has the input's type.

    ```mlir
    %y = quern.rms_norm %x, %norm {eps = 1.0e-5 : f32} : (tensor<?x64xf32, #quern.dims<"T">>, !quern.weight<64, "f32">) -> tensor<?x64xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Rows:$input, Optional<Quern_Weight>:$weight, F32Attr:$eps, DefaultValuedAttr<I64Attr, "0">:$group,
                       UnitAttr:$root_eps);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Columns that are normalized together: `group`, or the whole row where that is 0.
    int64_t groupSize();
    ::mlir::Value getBias() { return {}; }
    bool isCentered() { return false; }
    bool addsEpsToRoot() { return getRootEps(); }
  }];
}

def Quern_LayerNormOp : Quern_Op<"layer_norm", [Quern_RowWise, Pure, AttrSizedOperandSegments, Quern_NormInterface, DeclareOpInterfaceMethods<Quern_HeadwiseInterface, ["headColumns"]>]> {
  let summary = "layer normalization of groups of columns";
  let description = [{
    Columns fall into groups of `group` (0: the whole row is one). In each group
    y = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps) * w + b. (Ba, Kiros and Hinton, 2016.)

    Constraints: C1: group divides the columns. C2: w and b, each if there, are [group] (shared by all groups) or
    [columns]. C3: eps >= 0. C4: the result has the input's type.

    ```mlir
    %y = quern.layer_norm %x weight %norm bias %norm {eps = 1.0e-5 : f32} : (tensor<?x64xf32, #quern.dims<"T">>, !quern.weight<64, "f32">, !quern.weight<64, "f32">) -> tensor<?x64xf32, #quern.dims<"T">>
    ```
  }];
  let arguments = (ins Quern_Rows:$input, Optional<Quern_Weight>:$weight, Optional<Quern_Weight>:$bias, F32Attr:$eps, DefaultValuedAttr<I64Attr, "0">:$group);
  let results = (outs Quern_Rows:$result);
  let assemblyFormat = "$input (`weight` $weight^)? (`bias` $bias^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Columns that are normalized together: `group`, or the whole row where that is 0.
    int64_t groupSize();
    bool isCentered() { return true; }
    bool addsEpsToRoot() { return false; }
  }];
}

#endif // QUERN_IR_QUERN_NORMOPS_TD
