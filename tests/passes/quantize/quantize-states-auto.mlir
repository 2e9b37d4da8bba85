// RUN: quern-opt %s --split-input-file --quern-quantize-states | FileCheck %s

// Tests that by default kv state is f16 beside a linear that multiplies integers, and f32 elsewhere.
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
// CHECK: quern.declare_state @kv : !quern.state<kv, 2x4x4, f16>
quern.declare_state @kv : !quern.state<kv, 2x4x4>
quern.weight @w : !quern.weight<16x32, "q4_0"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%x: !T32) -> !T16 {
  %w = quern.weight_ref @w : !quern.weight<16x32, "q4_0">
  %y = quern.fused linear(%x, %w) : (!T32, !quern.weight<16x32, "q4_0">) -> !T16 {
  ^bb0(%a: !T32, %b: !quern.weight<16x32, "q4_0">):
    %c = quern.linear %a, %b : (!T32, !quern.weight<16x32, "q4_0">) -> !T16
    quern.yield %c : !T16
  }
  return %y : !T16
}

// -----

!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
// CHECK: quern.declare_state @kv : !quern.state<kv, 2x4x4>
quern.declare_state @kv : !quern.state<kv, 2x4x4>
quern.weight @w : !quern.weight<16x32, "bf16"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%x: !T32) -> !T16 {
  %w = quern.weight_ref @w : !quern.weight<16x32, "bf16">
  %y = quern.fused linear(%x, %w) : (!T32, !quern.weight<16x32, "bf16">) -> !T16 {
  ^bb0(%a: !T32, %b: !quern.weight<16x32, "bf16">):
    %c = quern.linear %a, %b : (!T32, !quern.weight<16x32, "bf16">) -> !T16
    quern.yield %c : !T16
  }
  return %y : !T16
}
