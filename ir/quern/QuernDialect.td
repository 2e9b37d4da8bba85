// The quern dialect: what a transformer or state-space model does, at the level its authors think.
#ifndef QUERN_IR_QUERN_QUERNDIALECT_TD
#define QUERN_IR_QUERN_QUERNDIALECT_TD

include "ir/interfaces/AnchorInterface.td"
include "ir/interfaces/FusionTraits.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Quern_Dialect : Dialect {
  let name = "quern";
  let cppNamespace = "::quern";
  let summary = "Model-level operations of transformers and state-space models";
  let description = [{
    Activations are rank-2 tensors `tensor<?xNxf32, #quern.dims<"T">>`: one row a token, all
    sequences of a step packed (ragged). Which row belongs to which sequence, at which position and
    in which slot, is the `!quern.batch` value. Weights are references (`!quern.weight`), never
    bytes. State (`!quern.state`) is what a sequence carries between steps; ops that touch it say so
    by their memory effects.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

class Quern_Op<string mnemonic, list<Trait> traits = []> : Op<Quern_Dialect, mnemonic, traits>;

// An op that a region's loops are built around: the case of Quern_Anchor that has its name. It defines facts().
class Quern_AnchorOp<string mnemonic, list<Trait> traits = []>
    : Quern_Op<mnemonic, !listconcat(traits, [DeclareOpInterfaceMethods<Quern_AnchorInterface>])> {
  // What an anchor declares beside, in the place of extraClassDeclaration.
  code members = "";
  let extraClassDeclaration = "static constexpr ::quern::Anchor kAnchor = ::quern::Anchor::" # mnemonic # ";" # members;
}

// Memory effects on state go through this resource, so that ops on different state never commute
// past one another unless they only read.
def Quern_StateResource : Resource<"::quern::StateResource">;
def Quern_SizeResource : Resource<"::quern::SizeResource">;

#endif // QUERN_IR_QUERN_QUERNDIALECT_TD
