// RUN: quern-opt %s --quern-fuse-linear-epilogues --verify-semantics -split-input-file | FileCheck %s
// RUN: quern-opt %s --quern-fuse-linear-epilogues -split-input-file --remarks-filter=fuse 2>&1 | FileCheck %s --check-prefix=REMARK

// Tests that a residual addition, whose other side is an input, and what follows it join the linear.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: %[[X:.*]] = quern.embedding
// CHECK: %[[Y:.*]] = quern.fused linear(%[[X]], %{{.*}}) : {{.*}} {
// CHECK-NEXT: ^bb0(%[[A:.*]]: {{.*}}, %[[W:.*]]: {{.*}}):
// CHECK-NEXT: %[[L:.*]] = quern.linear %[[A]], %[[W]]
// CHECK-NEXT: %[[S:.*]] = quern.binary {{ ?}}add %[[A]], %[[L]]
// CHECK-NEXT: %[[T:.*]] = quern.unary {{ ?}}silu %[[S]]
// CHECK-NEXT: quern.yield %[[T]]
// CHECK: quern.gather_rows %[[Y]]
// REMARK: loc("proj"): [Passed] fuse-linear-epilogues | Category:fuse | Remark="quern.binary, quern.unary joined the linear"
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @w : !quern.weight<4x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R4 {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %w = quern.weight_ref @w : !quern.weight<4x4, "f32">
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x4, "f32">) -> !T4
  %y = quern.linear %x, %w : (!T4, !quern.weight<4x4, "f32">) -> !T4 loc("proj")
  %s = quern.binary add %x, %y : !T4, !T4
  %t = quern.unary silu %s : !T4
  %r = quern.gather_rows %t, %rows : (!T4, !rows) -> !R4
  return %r : !R4
}

// -----

// Tests that where two linears meet in an addition, the later one takes it and reads the other.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: %[[A:.*]] = quern.fused linear
// CHECK-NOT: quern.binary
// CHECK: quern.fused linear(%{{.*}}, %{{.*}}, %[[A]])
// CHECK: quern.linear
// CHECK-NEXT: quern.binary {{ ?}}add
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @v : !quern.weight<4x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @w : !quern.weight<4x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R4 {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %v = quern.weight_ref @v : !quern.weight<4x4, "f32">
  %w = quern.weight_ref @w : !quern.weight<4x4, "f32">
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x4, "f32">) -> !T4
  %a = quern.linear %x, %v : (!T4, !quern.weight<4x4, "f32">) -> !T4
  %b = quern.linear %x, %w : (!T4, !quern.weight<4x4, "f32">) -> !T4
  %s = quern.binary add %a, %b : !T4, !T4
  %r = quern.gather_rows %s, %rows : (!T4, !rows) -> !R4
  return %r : !R4
}

// -----

// Tests that a gated activation of two slices at panels joins, one inside a panel does not, and a result with two users ends the epilogue.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R8 = tensor<?x8xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: quern.fused linear
// CHECK: quern.linear
// CHECK-NEXT: quern.slice {{.*}}{{[{]}}offset = 0 : i64}
// CHECK-NEXT: quern.slice {{.*}}{{[{]}}offset = 16 : i64}
// CHECK-NEXT: quern.gated_act
// CHECK-NEXT: quern.yield
// CHECK: quern.fused linear
// CHECK: quern.linear
// CHECK-NEXT: quern.yield
// CHECK: quern.gated_act
// CHECK: quern.fused linear
// CHECK: quern.linear
// CHECK-NEXT: quern.yield
// CHECK: quern.unary
// CHECK: quern.binary
// REMARK-DAG: loc("panels"): [Passed] {{.*}}quern.gated_act joined the linear
// REMARK-DAG: loc("odd"): [Missed] {{.*}}'quern.gated_act' stays outside the region of the linear: a slice begins inside a panel of columns
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @w : !quern.weight<32x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @v : !quern.weight<16x16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @u : !quern.weight<8x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R8 {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %w = quern.weight_ref @w : !quern.weight<32x4, "f32">
  %v = quern.weight_ref @v : !quern.weight<16x16, "f32">
  %u = quern.weight_ref @u : !quern.weight<8x8, "f32">
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x4, "f32">) -> !T4
  %y = quern.linear %x, %w : (!T4, !quern.weight<32x4, "f32">) -> !T32 loc("panels")
  %g = quern.slice %y {offset = 0 : i64} : !T32 -> !T16
  %h = quern.slice %y {offset = 16 : i64} : !T32 -> !T16
  %z = quern.gated_act silu %g, %h : !T16
  %y2 = quern.linear %z, %v : (!T16, !quern.weight<16x16, "f32">) -> !T16 loc("odd")
  %g2 = quern.slice %y2 {offset = 0 : i64} : !T16 -> !T8
  %h2 = quern.slice %y2 {offset = 8 : i64} : !T16 -> !T8
  %z2 = quern.gated_act silu %g2, %h2 : !T8
  %y3 = quern.linear %z2, %u : (!T8, !quern.weight<8x8, "f32">) -> !T8
  %e = quern.unary silu %y3 : !T8
  %s = quern.binary add %y3, %e : !T8, !T8
  %r = quern.gather_rows %s, %rows : (!T8, !rows) -> !R8
  return %r : !R8
}

// -----

// Tests that a result that is broadcast over more columns, or shares an element inside a panel, ends the epilogue.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T2 = tensor<?x2xf32, #quern.dims<"T">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: quern.yield
// CHECK: quern.binary
// CHECK: quern.yield
// CHECK: quern.binary
// REMARK-DAG: loc("narrow"): [Missed] {{.*}}'quern.binary' stays outside the region of the linear: it broadcasts the result over more columns
// REMARK-DAG: loc("wide"): [Missed] {{.*}}'quern.binary' stays outside the region of the linear: its other side changes inside a panel of columns
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @v : !quern.weight<2x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @w : !quern.weight<4x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R4 {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %v = quern.weight_ref @v : !quern.weight<2x4, "f32">
  %w = quern.weight_ref @w : !quern.weight<4x4, "f32">
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x4, "f32">) -> !T4
  %n = quern.linear %x, %v : (!T4, !quern.weight<2x4, "f32">) -> !T2 loc("narrow")
  %a = quern.binary mul %x, %n {repeat = 2 : i64} : !T4, !T2
  %y = quern.linear %a, %w : (!T4, !quern.weight<4x4, "f32">) -> !T4 loc("wide")
  %h = quern.slice %x {offset = 0 : i64} : !T4 -> !T2
  %s = quern.binary mul %y, %h {repeat = 2 : i64} : !T4, !T2
  %r = quern.gather_rows %s, %rows : (!T4, !rows) -> !R4
  return %r : !R4
}
