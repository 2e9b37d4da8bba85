// RUN: quern-opt %s --quern-fuse-convolutions --verify-semantics -split-input-file | FileCheck %s
// RUN: quern-opt %s --quern-fuse-convolutions -split-input-file --remarks-filter=fuse 2>&1 | FileCheck %s --check-prefix=REMARK

// Tests that the function after a convolution joins it, and the slice before it is taken in.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: quern.fused causal_conv1d
// CHECK: quern.slice
// CHECK-NEXT: quern.causal_conv1d
// CHECK-NEXT: quern.unary {{ ?}}silu
// CHECK-NEXT: quern.yield
// REMARK: [Passed] fuse-convolutions | Category:fuse | Remark="quern.unary joined the causal_conv1d"
quern.weight @embed : !quern.weight<16x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @w : !quern.weight<4x3, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.declare_state @s : !quern.state<window, 4x2>
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R4 {
  %embed = quern.weight_ref @embed : !quern.weight<16x8, "f32">
  %w = quern.weight_ref @w : !quern.weight<4x3, "f32">
  %s = quern.state_ref @s : !quern.state<window, 4x2>
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x8, "f32">) -> !T8
  %c = quern.slice %x {offset = 2 : i64} : !T8 -> !T4
  %y = quern.causal_conv1d %c, %batch, %s, %w : (!T4, !quern.batch, !quern.state<window, 4x2>, !quern.weight<4x3, "f32">) -> !T4
  %z = quern.unary silu %y : !T4
  %r = quern.gather_rows %z, %rows : (!T4, !rows) -> !R4
  return %r : !R4
}

// -----

// Tests that an op of two operands stays outside.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: quern.causal_conv1d
// CHECK-NEXT: quern.yield
// CHECK: quern.binary
// REMARK: [Missed] fuse-convolutions | Category:fuse | Remark="'quern.binary' stays outside the region of the causal_conv1d: only functions of one operand join a convolution"
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @w : !quern.weight<4x3, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.declare_state @s : !quern.state<window, 4x2>
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R4 {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %w = quern.weight_ref @w : !quern.weight<4x3, "f32">
  %s = quern.state_ref @s : !quern.state<window, 4x2>
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x4, "f32">) -> !T4
  %y = quern.causal_conv1d %x, %batch, %s, %w : (!T4, !quern.batch, !quern.state<window, 4x2>, !quern.weight<4x3, "f32">) -> !T4
  %z = quern.binary add %x, %y : !T4, !T4
  %r = quern.gather_rows %z, %rows : (!T4, !rows) -> !R4
  return %r : !R4
}
