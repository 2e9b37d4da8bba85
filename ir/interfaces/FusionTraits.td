// What fusion asks of an op: the part it may play in a fused region. Every op of the dialect is an anchor
// (AnchorInterface.td) or has exactly one of these traits, which QuernDialect.cpp makes sure of. The arithmetic of what is
// no anchor is not counted (`quern-run bench`'s operations): it is some operations a column, beside an anchor's
// thousands.
#ifndef QUERN_IR_INTERFACES_FUSIONTRAITS_TD
#define QUERN_IR_INTERFACES_FUSIONTRAITS_TD

include "mlir/IR/OpBase.td"

class Quern_FusionTrait<string name> : NativeOpTrait<name> {
  let cppNamespace = "::quern";
}

// Every element of the result depends on the operands' elements of the same row and column (or, where an
// operand is narrower, of the column it is broadcast from): joins any region's prologue or epilogue.
def Quern_Elementwise : Quern_FusionTrait<"Elementwise">;
// A row of the result depends on some columns of a row of each operand: a norm, a rotation, a choice of rows. Joins
// a region of anchor `rows`, and where it is headwise (AnchorInterface.td) a prologue.
def Quern_RowWise : Quern_FusionTrait<"RowWise">;
// Names what its operand holds already (columns of rows, positions of the batch) and moves no data: cloned into
// every region that reads it.
def Quern_View : Quern_FusionTrait<"View">;
// Names a weight or a state: never inside a region, always one of its inputs.
def Quern_Reference : Quern_FusionTrait<"Reference">;
// An op on tensors of any rank and element type, or a number that such ops are given: it lies in a region of anchor `generic`, as
// the ops of linalg, tensor and arith do that stand beside it.
def Quern_General : Quern_FusionTrait<"General">;
// Declares, holds or ends other ops and computes nothing itself.
def Quern_Structure : Quern_FusionTrait<"Structure">;

#endif // QUERN_IR_INTERFACES_FUSIONTRAITS_TD
