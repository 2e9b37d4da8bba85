// RUN: quern-opt %s --quern-hoist-references | FileCheck %s

// Tests that references move to the start, in their order, and nothing else moves.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK-LABEL: @f
// CHECK-NEXT: quern.weight_ref @a
// CHECK-NEXT: quern.state_ref @s
// CHECK-NEXT: quern.weight_ref @b
// CHECK-NEXT: quern.weight_map
// CHECK-NEXT: quern.unary exp
// CHECK-NEXT: quern.binary
// CHECK-NEXT: quern.causal_conv1d
// CHECK-NEXT: quern.binary
quern.weight @a : !quern.weight<4x3, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @b : !quern.weight<4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.declare_state @s : !quern.state<window, 4x2>
func.func @f(%x: !T4, %batch: !quern.batch) -> !T4 {
  %a = quern.weight_ref @a : !quern.weight<4x3, "f32">
  %e = quern.unary exp %x : !T4
  %s = quern.state_ref @s : !quern.state<window, 4x2>
  %d = quern.binary add %e, %x : !T4, !T4
  %c = quern.causal_conv1d %d, %batch, %s, %a : (!T4, !quern.batch, !quern.state<window, 4x2>, !quern.weight<4x3, "f32">) -> !T4
  %b = quern.weight_ref @b : !quern.weight<4, "f32">
  %m = quern.weight_map "neg_exp" %b : !quern.weight<4, "f32"> -> !quern.weight<4, "f32">
  %y = quern.binary mul %c, %m : !T4, !quern.weight<4, "f32">
  return %y : !T4
}
