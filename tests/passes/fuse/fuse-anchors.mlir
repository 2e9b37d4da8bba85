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

// -----

// Tests that a long convolution takes the product that it is given and the gate behind it, and not what reads more columns than
// its own.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T12 = tensor<?x12xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: quern.fused long_conv
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.slice
// CHECK-NEXT: quern.slice
// CHECK-NEXT: quern.binary mul
// CHECK-NEXT: quern.long_conv
// CHECK-NEXT: quern.slice
// CHECK-NEXT: quern.binary mul
// CHECK-NEXT: quern.yield
// CHECK: quern.transpose
// ALONE-LABEL: @step
// ALONE: quern.long_conv
// ALONE-NEXT: quern.yield
// REMARK-DAG: [Passed] fuse-anchors | Category:fuse | Remark="quern.binary, quern.binary joined the long_conv"
quern.weight @embed : !quern.weight<16x12, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @p : !quern.weight<3x2x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.2 : f32}
quern.declare_state @s : !quern.state<recurrent, 3x2x4>
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R4 {
  %embed = quern.weight_ref @embed : !quern.weight<16x12, "f32">
  %p = quern.weight_ref @p : !quern.weight<3x2x4, "f32">
  %s = quern.state_ref @s : !quern.state<recurrent, 3x2x4>
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x12, "f32">) -> !T12
  %x2 = quern.slice %x {offset = 0 : i64} : !T12 -> !T4
  %x1 = quern.slice %x {offset = 4 : i64} : !T12 -> !T4
  %v = quern.slice %x {offset = 8 : i64} : !T12 -> !T4
  %u = quern.binary mul %v, %x1 : !T4, !T4
  %y = quern.long_conv %u, %batch, %s, %p, %p : (!T4, !quern.batch, !quern.state<recurrent, 3x2x4>, !quern.weight<3x2x4, "f32">, !quern.weight<3x2x4, "f32">) -> !T4
  %z = quern.binary mul %y, %x2 : !T4, !T4
  %w = quern.transpose %z {groups = 2 : i64} : !T4
  %r = quern.gather_rows %w, %rows : (!T4, !rows) -> !R4
  return %r : !R4
}

// -----

// Tests that a Monarch matrix is two regions: each block-diagonal product writes its columns where the transposition behind it
// puts them, with what is elementwise; a second transposition stays outside.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R6 = tensor<?x6xf32, #quern.dims<"R">>
!T6 = tensor<?x6xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: quern.fused block_linear
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.block_linear
// CHECK-NEXT: quern.transpose
// CHECK-NEXT: quern.yield
// CHECK: quern.fused block_linear
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.block_linear
// CHECK-NEXT: quern.unary silu
// CHECK-NEXT: quern.transpose
// CHECK-NEXT: quern.binary add
// CHECK-NEXT: quern.yield
// CHECK: quern.transpose
// ALONE-LABEL: @step
// ALONE: quern.block_linear
// ALONE-NEXT: quern.yield
// REMARK-DAG: [Passed] fuse-anchors | Category:fuse | Remark="quern.transpose joined the block_linear"
// REMARK-DAG: [Missed] fuse-anchors | Category:fuse | Remark="'quern.transpose' stays outside the region of the block_linear: the columns are permuted already"
quern.weight @embed : !quern.weight<16x6, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @right : !quern.weight<2x3x3, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @left : !quern.weight<3x2x2, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R6 {
  %embed = quern.weight_ref @embed : !quern.weight<16x6, "f32">
  %right = quern.weight_ref @right : !quern.weight<2x3x3, "f32">
  %left = quern.weight_ref @left : !quern.weight<3x2x2, "f32">
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x6, "f32">) -> !T6
  %a = quern.block_linear %x, %right : (!T6, !quern.weight<2x3x3, "f32">) -> !T6
  %b = quern.transpose %a {groups = 2 : i64} : !T6
  %c = quern.block_linear %b, %left : (!T6, !quern.weight<3x2x2, "f32">) -> !T6
  %d = quern.unary silu %c : !T6
  %e = quern.transpose %d {groups = 3 : i64} : !T6
  %f = quern.binary add %e, %x : !T6, !T6
  %g = quern.transpose %f {groups = 2 : i64} : !T6
  %r = quern.gather_rows %g, %rows : (!T6, !rows) -> !R6
  return %r : !R6
}
