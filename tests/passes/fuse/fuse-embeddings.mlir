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

// Tests that learned positions are looked up and added in one region: the table's, which comes last.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK-SAME: %[[BATCH:[^ ]*]]: !quern.batch
// CHECK: %[[X:.*]] = quern.fused "embedding"
// CHECK: quern.embedding
// CHECK-NEXT: quern.yield
// CHECK: quern.fused "embedding"(%[[BATCH]], %{{.*}}, %[[X]])
// CHECK-NEXT: ^bb0
// CHECK-NEXT: %[[IDS:.*]] = quern.positions %{{.*}} {offset = 2 : i64}
// CHECK-NEXT: quern.embedding %[[IDS]]
// CHECK-NEXT: quern.binary add
// CHECK-NEXT: quern.yield
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @learned : !quern.weight<90x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R4 {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %learned = quern.weight_ref @learned : !quern.weight<90x4, "f32">
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x4, "f32">) -> !T4
  %ids = quern.positions %batch {offset = 2 : i64} : !tokens
  %p = quern.embedding %ids, %learned : (!tokens, !quern.weight<90x4, "f32">) -> !T4
  %y = quern.binary add %x, %p : !T4, !T4
  %r = quern.gather_rows %y, %rows : (!T4, !rows) -> !R4
  return %r : !R4
}

// -----

// Tests that a norm of the rows does not join.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: quern.embedding
// CHECK-NEXT: quern.yield
// CHECK: quern.layer_norm
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R4 {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x4, "f32">) -> !T4
  %y = quern.layer_norm %x {eps = 1.0e-5 : f32} : (!T4) -> !T4
  %r = quern.gather_rows %y, %rows : (!T4, !rows) -> !R4
  return %r : !R4
}
