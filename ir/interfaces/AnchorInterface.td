// Anchors: what the loops of a fused region are built around, and what passes and targets ask of such an op.
#ifndef QUERN_IR_INTERFACES_ANCHORINTERFACE_TD
#define QUERN_IR_INTERFACES_ANCHORINTERFACE_TD

include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

// Each but `rows` and `generic` is the name of an op of class Quern_AnchorOp.
def Quern_Anchor : I32EnumAttr<"Anchor", "what the loops of a fused region are built around", [
    I32EnumAttrCase<"rows", 0>, I32EnumAttrCase<"linear", 1>, I32EnumAttrCase<"attention", 2>,
    I32EnumAttrCase<"kv_append", 3>, I32EnumAttrCase<"linear_recurrence", 4>, I32EnumAttrCase<"causal_conv1d", 5>,
    I32EnumAttrCase<"embedding", 6>, I32EnumAttrCase<"route", 7>, I32EnumAttrCase<"expert_linear", 8>,
    I32EnumAttrCase<"block_linear", 9>, I32EnumAttrCase<"token_shift", 10>, I32EnumAttrCase<"scan", 11>,
    I32EnumAttrCase<"long_conv", 12>, I32EnumAttrCase<"generic", 13>, I32EnumAttrCase<"attention_rows", 14>]> {
  let cppNamespace = "::quern";
  let genSpecializedAttr = 0;
}

def Quern_AnchorInterface : OpInterface<"AnchorOpInterface"> {
  let cppNamespace = "::quern";
  let description = [{
    An op that a region's loops are built around, one to a region. It answers what depends on the op alone; how a
    target computes it (who takes which part of the work, what is computed by every worker for itself) is said beside
    that target's lowerings.
  }];
  let methods = [
    StaticInterfaceMethod<"The regions' anchor that stands for this op.", "::quern::Anchor", "anchor", (ins),
                          "return ConcreteOp::kAnchor;">,
    InterfaceMethod<"The answers. Each op must give them all (AnchorInterface.h says what they are).",
                    "::quern::AnchorFacts", "facts">,
  ];
  // After the op's own verifier: the answers rely on what that makes sure of.
  let verifyWithRegions = 1;
  let verify = "return ::quern::verifyAnchor($_op);";
}

def Quern_HeadwiseInterface : OpInterface<"HeadwiseOpInterface"> {
  let cppNamespace = "::quern";
  let description = [{
    An op whose result's columns fall into heads, each computed from the same head of the first operand. It joins the
    prologue of an anchor that reads its rows head by head.
  }];
  let methods = [
    InterfaceMethod<"Columns that it takes together; 0 where every column stands alone, so that heads of any width will do.",
                    "int64_t", "headColumns", (ins), "", "return 0;">,
  ];
}

#endif // QUERN_IR_INTERFACES_ANCHORINTERFACE_TD
