// RUN: quern-opt %s --quern-fuse-embeddings --verify-semantics -split-input-file | FileCheck %s

// Tests that a scale of the rows looked up joins the embedding.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: quern.fused "embedding"
// CHECK: quern.embedding
// CHECK-NEXT: quern.scale
// CHECK-NEXT: quern.yield
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R4 {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x4, "f32">) -> !T4
  %y = quern.scale %x {factor = 2.0 : f32} : !T4
  %r = quern.gather_rows %y, %rows : (!T4, !rows) -> !R4
  return %r : !R4
}

// -----

// Tests that anything else does not.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: quern.embedding
// CHECK-NEXT: quern.yield
// CHECK: quern.unary
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R4 {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x4, "f32">) -> !T4
  %y = quern.unary silu %x : !T4
  %r = quern.gather_rows %y, %rows : (!T4, !rows) -> !R4
  return %r : !R4
}
