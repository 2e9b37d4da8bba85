// RUN: quern-opt %s --quern-fuse-embeddings --verify-semantics -split-input-file | FileCheck %s
// RUN: quern-opt %s --quern-fuse-embeddings -split-input-file --remarks-filter=fuse 2>&1 | FileCheck %s --check-prefix=REMARK

// Tests that a scale of the rows looked up joins the embedding.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// REMARK: [Passed] fuse-embeddings | Category:fuse | Remark="quern.scale joined the embedding"
// CHECK: quern.fused embedding
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
// CHECK: %[[X:.*]] = quern.fused embedding
// CHECK: quern.embedding
// CHECK-NEXT: quern.yield
// CHECK: quern.fused embedding(%[[BATCH]], %{{.*}}, %[[X]])
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

// -----

// Tests that what reads only some of the columns does not join, and that this is said.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R2 = tensor<?x2xf32, #quern.dims<"R">>
!T2 = tensor<?x2xf32, #quern.dims<"T">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: quern.embedding
// CHECK-NEXT: quern.yield
// CHECK: quern.unary silu
// REMARK: loc("embed"): [Missed] fuse-embeddings | Category:fuse | Remark="'quern.unary' stays outside the region of the embedding: it reads only some of the columns"
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R2 {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x4, "f32">) -> !T4 loc("embed")
  %s = quern.slice %x {offset = 2 : i64} : !T4 -> !T2
  %y = quern.unary silu %s : !T2
  %r = quern.gather_rows %y, %rows : (!T2, !rows) -> !R2
  return %r : !R2
}
