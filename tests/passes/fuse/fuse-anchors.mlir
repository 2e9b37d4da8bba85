// RUN: quern-opt %s --quern-fuse-anchors --verify-semantics -split-input-file | FileCheck %s
// RUN: quern-opt %s --quern-fuse-anchors=join=false --verify-semantics -split-input-file | FileCheck %s --check-prefix=ALONE
// RUN: quern-opt %s --quern-fuse-anchors -split-input-file --remarks-filter=fuse 2>&1 | FileCheck %s --check-prefix=REMARK

// Tests that anchors get regions by what they say of themselves: a linear that waits for what its epilogue reads, a
// convolution that writes state and takes only what is there before it.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: quern.fused embedding
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.embedding
// CHECK-NEXT: quern.yield
// CHECK: quern.fused causal_conv1d
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.causal_conv1d
// CHECK-NEXT: quern.binary add
// CHECK-NEXT: quern.yield
// CHECK: quern.unary silu
// CHECK: quern.fused linear
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.linear
// CHECK-NEXT: quern.binary mul
// CHECK-NEXT: quern.yield
// ALONE-LABEL: @step
// ALONE: quern.causal_conv1d
// ALONE-NEXT: quern.yield
// ALONE: quern.linear
// ALONE-NEXT: quern.yield
// REMARK-DAG: [Passed] fuse-anchors | Category:fuse | Remark="quern.binary joined the causal_conv1d"
// REMARK-DAG: [Passed] fuse-anchors | Category:fuse | Remark="quern.binary joined the linear"
// REMARK-DAG: loc("conv"): [Missed] fuse-anchors | Category:fuse | Remark="'quern.binary' stays outside the region of the causal_conv1d: it reads what is computed after the anchor"
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @w : !quern.weight<4x3, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @m : !quern.weight<4x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.declare_state @s : !quern.state<window, 4x2>
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R4 {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %w = quern.weight_ref @w : !quern.weight<4x3, "f32">
  %m = quern.weight_ref @m : !quern.weight<4x4, "f32">
  %s = quern.state_ref @s : !quern.state<window, 4x2>
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x4, "f32">) -> !T4
  %y = quern.causal_conv1d %x, %batch, %s, %w : (!T4, !quern.batch, !quern.state<window, 4x2>, !quern.weight<4x3, "f32">) -> !T4 loc("conv")
  %z = quern.binary add %y, %x : !T4, !T4
  %g = quern.unary silu %x : !T4
  %u = quern.binary mul %z, %g : !T4, !T4
  %l = quern.linear %u, %m : (!T4, !quern.weight<4x4, "f32">) -> !T4
  %h = quern.unary silu %u : !T4
  %v = quern.binary mul %l, %h : !T4, !T4
  %r = quern.gather_rows %v, %rows : (!T4, !rows) -> !R4
  return %r : !R4
}
