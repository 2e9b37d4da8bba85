// What fusion asks of an op: the part it may play in a fused region. An op without one of these traits is
// computed row by row, in a region of anchor `rows`.
#ifndef QUERN_FUSION_TRAITS_TD
#define QUERN_FUSION_TRAITS_TD

include "mlir/IR/OpBase.td"

class Quern_FusionTrait<string name> : NativeOpTrait<name> {
  let cppNamespace = "::quern";
}

// Every element of the result depends on the operands' elements of the same row and column (or, where an
// operand is narrower, of the column it is broadcast from): joins any region's prologue or epilogue.
def Quern_Elementwise : Quern_FusionTrait<"Elementwise">;
// A region's loops are built around it, one to a region, and its name is the region's anchor.
def Quern_Anchor : Quern_FusionTrait<"Anchor">;
// Names what its operand holds already (columns of rows, positions of the batch) and moves no data: cloned into
// every region that reads it.
def Quern_View : Quern_FusionTrait<"View">;
// Names a weight or a state: never inside a region, always one of its inputs.
def Quern_Reference : Quern_FusionTrait<"Reference">;

#endif
