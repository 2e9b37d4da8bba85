// RUN: quern-opt %s --quern-fuse-rows --verify-semantics -split-input-file | FileCheck %s
// RUN: quern-opt %s --quern-fuse-rows -split-input-file --remarks-filter=fuse 2>&1 | FileCheck %s --check-prefix=REMARK

// Tests that ops that only the norm after them reads share its region, its name too; what works on other rows does not.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: quern.fused rows(%[[X:.*]]) :
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.unary {{ ?}}silu
// CHECK-NEXT: quern.yield
// CHECK: quern.fused rows
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.gather_rows
// CHECK-NEXT: quern.rms_norm
// CHECK-NEXT: quern.scale
// CHECK-NEXT: quern.yield
// REMARK: loc("final_norm"): [Passed] fuse-rows | Category:fuse | Remark="quern.gather_rows, quern.rms_norm, quern.scale share a region"
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R4 {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x4, "f32">) -> !T4
  %y = quern.unary silu %x : !T4
  %r = quern.gather_rows %y, %rows : (!T4, !rows) -> !R4
  %n = quern.rms_norm %r {eps = 1.0e-5 : f32} : (!R4) -> !R4 loc("final_norm")
  %s = quern.scale %n {factor = 2.0 : f32} : !R4
  return %s : !R4
}

// -----

// Tests that an op with two users keeps a region of its own, slices are taken in by their readers, and one that is returned is copied.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R2 = tensor<?x2xf32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T2 = tensor<?x2xf32, #quern.dims<"T">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: %[[Y:.*]] = quern.fused rows
// CHECK: quern.unary {{ ?}}silu
// CHECK: %[[G:.*]] = quern.fused rows
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.slice
// CHECK-NEXT: quern.rms_norm
// CHECK-NEXT: quern.slice
// CHECK-NEXT: quern.rms_norm
// CHECK-NEXT: quern.binary
// CHECK-NEXT: quern.yield
// CHECK: %[[R:.*]] = quern.fused rows(%[[G]],
// CHECK: quern.gather_rows
// CHECK: %[[H:.*]] = quern.fused rows
// CHECK: quern.gather_rows
// CHECK: %[[T:.*]] = quern.fused rows(%[[H]])
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.slice
// CHECK-NEXT: quern.yield
// CHECK: return %[[R]], %[[T]]
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> (!R2, !R2) {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x4, "f32">) -> !T4
  %y = quern.unary silu %x : !T4
  %a = quern.slice %y {offset = 0 : i64} : !T4 -> !T2
  %b = quern.slice %y {offset = 2 : i64} : !T4 -> !T2
  %m = quern.rms_norm %a {eps = 1.0e-5 : f32} : (!T2) -> !T2
  %n = quern.rms_norm %b {eps = 1.0e-5 : f32} : (!T2) -> !T2
  %s = quern.binary add %m, %n : !T2, !T2
  %g = quern.gather_rows %s, %rows : (!T2, !rows) -> !R2
  %h = quern.gather_rows %y, %rows : (!T4, !rows) -> !R4
  %t = quern.slice %h {offset = 1 : i64} : !R4 -> !R2
  return %g, %t : !R2, !R2
}

// -----

// Tests that a layer norm names its region, too, and that anchors without a region are left to their own passes.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: quern.positions
// CHECK: quern.embedding
// CHECK: quern.embedding
// CHECK: quern.fused rows
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.binary {{ ?}}add
// CHECK-NEXT: quern.layer_norm
// CHECK-NEXT: quern.yield
// REMARK: loc("norm"): [Passed] fuse-rows | Category:fuse | Remark="quern.binary, quern.layer_norm share a region"
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @places : !quern.weight<64x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R4 {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %places = quern.weight_ref @places : !quern.weight<64x4, "f32">
  %at = quern.positions %batch {offset = 2 : i64} : !tokens
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x4, "f32">) -> !T4
  %p = quern.embedding %at, %places : (!tokens, !quern.weight<64x4, "f32">) -> !T4
  %s = quern.binary add %x, %p : !T4, !T4
  %n = quern.layer_norm %s {eps = 1.0e-5 : f32} : (!T4) -> !T4 loc("norm")
  %r = quern.gather_rows %n, %rows : (!T4, !rows) -> !R4
  return %r : !R4
}
