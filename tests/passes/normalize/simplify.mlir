// RUN: quern-opt %s --quern-simplify -split-input-file | FileCheck %s

// Tests that a slice of all columns goes, and a slice of a slice is one slice.
!T2 = tensor<?x2xf32, #quern.dims<"T">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
// CHECK-LABEL: @slices
// CHECK-NEXT: %[[S:.*]] = quern.slice %arg0 {offset = 5 : i64}
// CHECK-NEXT: return %[[S]]
func.func @slices(%x: !T8) -> !T2 {
  %a = quern.slice %x {offset = 0 : i64} : !T8 -> !T8
  %b = quern.slice %a {offset = 3 : i64} : !T8 -> !T4
  %c = quern.slice %b {offset = 2 : i64} : !T4 -> !T2
  return %c : !T2
}

// -----

// Tests that a scale by 1 goes, and another does not.
!T8 = tensor<?x8xf32, #quern.dims<"T">>
// CHECK-LABEL: @scales
// CHECK-NEXT: %[[S:.*]] = quern.scale %arg0 {factor = 2.0{{.*}}}
// CHECK-NEXT: return %[[S]]
func.func @scales(%x: !T8) -> !T8 {
  %a = quern.scale %x {factor = 1.0 : f32} : !T8
  %b = quern.scale %a {factor = 2.0 : f32} : !T8
  return %b : !T8
}

// -----

// Tests that fn(g) * u becomes a gated activation, whichever side the function is on.
!T8 = tensor<?x8xf32, #quern.dims<"T">>
// CHECK-LABEL: @gated
// CHECK-NEXT: %[[A:.*]] = quern.gated_act {{ ?}}silu %arg0, %arg1
// CHECK-NEXT: %[[B:.*]] = quern.gated_act {{ ?}}gelu_tanh %arg1, %[[A]]
// CHECK-NEXT: return %[[B]]
func.func @gated(%g: !T8, %u: !T8) -> !T8 {
  %a = quern.unary silu %g : !T8
  %b = quern.binary mul %a, %u : !T8, !T8
  %c = quern.unary gelu_tanh %u : !T8
  %d = quern.binary mul %b, %c : !T8, !T8
  return %d : !T8
}

// -----

// Tests that a function with another use stays, since it would be computed twice.
!T8 = tensor<?x8xf32, #quern.dims<"T">>
// CHECK-LABEL: @used
// CHECK-NEXT: quern.unary
// CHECK-NEXT: quern.binary
func.func @used(%g: !T8, %u: !T8) -> (!T8, !T8) {
  %a = quern.unary silu %g : !T8
  %b = quern.binary mul %a, %u : !T8, !T8
  return %a, %b : !T8, !T8
}

// -----

// Tests that weight ops that change nothing go, and what nothing uses goes.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
// CHECK-LABEL: @weights
// CHECK: %[[W:.*]] = quern.weight_ref @w
// CHECK-NEXT: %[[R:.*]] = quern.weight_reshape %[[W]] : <4x8, "f32"> -> <8x4, "f32">
// CHECK-NEXT: quern.linear %arg0, %[[R]]
quern.weight @w : !quern.weight<4x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @weights(%x: !T4) -> !T8 {
  %w = quern.weight_ref @w : !quern.weight<4x8, "f32">
  %a = quern.weight_concat %w : (!quern.weight<4x8, "f32">) -> !quern.weight<4x8, "f32">
  %b = quern.weight_convert %a : !quern.weight<4x8, "f32"> -> !quern.weight<4x8, "f32">
  %c = quern.weight_reshape %b : !quern.weight<4x8, "f32"> -> !quern.weight<2x16, "f32">
  %d = quern.weight_reshape %c : !quern.weight<2x16, "f32"> -> !quern.weight<8x4, "f32">
  %unused = quern.unary exp %x : !T4
  %y = quern.linear %x, %d : (!T4, !quern.weight<8x4, "f32">) -> !T8
  return %y : !T8
}
