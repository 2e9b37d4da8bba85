// RUN: quern-opt %s --quern-merge-sibling-linears --verify-semantics -split-input-file | FileCheck %s
// RUN: quern-opt %s --quern-merge-sibling-linears -split-input-file --remarks-filter=fuse 2>&1 | FileCheck %s --check-prefix=REMARK

// Tests that linears of one input become one, their biases concatenated, under a common name.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R8 = tensor<?x8xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: %[[W:.*]] = quern.weight_concat %[[Q:.*]], %[[K:.*]] : (!quern.weight<8x4, "f32">, !quern.weight<4x4, "f32">) -> !quern.weight<12x4, "f32">
// CHECK: %[[B:.*]] = quern.weight_concat
// CHECK: %[[Y:.*]] = quern.linear %{{.*}}, %[[W]], %[[B]]
// CHECK: quern.slice %[[Y]] {offset = 0 : i64}
// CHECK: quern.slice %[[Y]] {offset = 8 : i64}
// CHECK-NOT: quern.linear
// REMARK: loc("layers.0.{{[{]}}q,k}.proj"): [Passed] merge-sibling-linears | Category:fuse | Remark="merged 2 linears of one input into 12 columns"
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @q : !quern.weight<8x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @k : !quern.weight<4x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @qb : !quern.weight<8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @kb : !quern.weight<4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R8 {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %q = quern.weight_ref @q : !quern.weight<8x4, "f32">
  %k = quern.weight_ref @k : !quern.weight<4x4, "f32">
  %qb = quern.weight_ref @qb : !quern.weight<8, "f32">
  %kb = quern.weight_ref @kb : !quern.weight<4, "f32">
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x4, "f32">) -> !T4
  %yq = quern.linear %x, %q, %qb : (!T4, !quern.weight<8x4, "f32">, !quern.weight<8, "f32">) -> !T8 loc("layers.0.q.proj")
  %yk = quern.linear %x, %k, %kb : (!T4, !quern.weight<4x4, "f32">, !quern.weight<4, "f32">) -> !T4 loc("layers.0.k.proj")
  %y = quern.binary mul %yq, %yk {repeat = 2 : i64} : !T8, !T4
  %r = quern.gather_rows %y, %rows : (!T8, !rows) -> !R8
  return %r : !R8
}

// -----

// Tests that a linear whose weight has another format, a bias or other uses stays apart.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R16 = tensor<?x16xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T16 = tensor<?x16xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK-NOT: quern.weight_concat
// CHECK-COUNT-4: quern.linear
// REMARK-DAG: loc("half"): [Missed] merge-sibling-linears | Category:fuse | Remark="not merged with its siblings: no sibling without a bias has a weight of its format"
// REMARK-DAG: loc("biased"): [Missed] {{.*}}not merged with its siblings: no sibling has a weight and a bias of the same formats
// REMARK-DAG: loc("tied"): [Missed] {{.*}}not merged with its siblings: its weight has other uses and would be stored twice
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @a : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @b : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @bb : !quern.weight<16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @c : !quern.weight<16x16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R16 {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %a = quern.weight_ref @a : !quern.weight<16x4, "f32">
  %half = quern.weight_convert %a : !quern.weight<16x4, "f32"> -> !quern.weight<16x4, "f16">
  %b = quern.weight_ref @b : !quern.weight<16x4, "f32">
  %bb = quern.weight_ref @bb : !quern.weight<16, "f32">
  %c = quern.weight_ref @c : !quern.weight<16x16, "f32">
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x4, "f32">) -> !T4
  %y0 = quern.linear %x, %half : (!T4, !quern.weight<16x4, "f16">) -> !T16 loc("half")
  %y1 = quern.linear %x, %b, %bb : (!T4, !quern.weight<16x4, "f32">, !quern.weight<16, "f32">) -> !T16 loc("biased")
  %y2 = quern.linear %x, %embed : (!T4, !quern.weight<16x4, "f32">) -> !T16 loc("tied")
  %s0 = quern.binary add %y0, %y1 : !T16, !T16
  %s1 = quern.binary add %s0, %y2 : !T16, !T16
  %r = quern.gather_rows %s1, %rows : (!T16, !rows) -> !R16
  %n = quern.linear %r, %c : (!R16, !quern.weight<16x16, "f32">) -> !R16
  return %n : !R16
}

// -----

// Tests that what an activation alone reads is merged apart from the rest: gate and up of one, nothing with the linear of
// another; queries and keys with one another.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R16 = tensor<?x16xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T16 = tensor<?x16xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: %[[QK:.*]] = quern.linear {{.*}} -> tensor<?x32xf32
// CHECK-NEXT: quern.slice %[[QK]] {offset = 0 : i64}
// CHECK-NEXT: quern.slice %[[QK]] {offset = 16 : i64}
// CHECK-NEXT: quern.weight_concat
// CHECK-NEXT: %[[GU:.*]] = quern.linear {{.*}} -> tensor<?x32xf32
// CHECK-NEXT: quern.slice %[[GU]] {offset = 0 : i64}
// CHECK-NEXT: quern.slice %[[GU]] {offset = 16 : i64}
// CHECK-NEXT: %[[FC:.*]] = quern.linear {{.*}} -> tensor<?x16xf32
// CHECK-NEXT: quern.gated_act
// CHECK-NEXT: quern.unary relu2 %[[FC]]
// REMARK: loc("fc"): [Missed] {{.*}}not merged with its siblings: its activation would not be its epilogue
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @q : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @k : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @gate : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @up : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @fc : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R16 {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %q = quern.weight_ref @q : !quern.weight<16x4, "f32">
  %k = quern.weight_ref @k : !quern.weight<16x4, "f32">
  %gate = quern.weight_ref @gate : !quern.weight<16x4, "f32">
  %up = quern.weight_ref @up : !quern.weight<16x4, "f32">
  %fc = quern.weight_ref @fc : !quern.weight<16x4, "f32">
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x4, "f32">) -> !T4
  %yq = quern.linear %x, %q : (!T4, !quern.weight<16x4, "f32">) -> !T16 loc("q")
  %yk = quern.linear %x, %k : (!T4, !quern.weight<16x4, "f32">) -> !T16 loc("k")
  %ygate = quern.linear %x, %gate : (!T4, !quern.weight<16x4, "f32">) -> !T16 loc("gate")
  %yup = quern.linear %x, %up : (!T4, !quern.weight<16x4, "f32">) -> !T16 loc("up")
  %yfc = quern.linear %x, %fc : (!T4, !quern.weight<16x4, "f32">) -> !T16 loc("fc")
  %act = quern.gated_act silu %ygate, %yup : !T16
  %sq = quern.unary relu2 %yfc : !T16
  %s0 = quern.binary add %yq, %yk : !T16, !T16
  %s1 = quern.binary add %s0, %act : !T16, !T16
  %s2 = quern.binary add %s1, %sq : !T16, !T16
  %r = quern.gather_rows %s2, %rows : (!T16, !rows) -> !R16
  return %r : !R16
}

// -----

// Tests that linears that general ops read stay apart.
!X = tensor<?x4xf32, #quern.dims<"n">>
!Y = tensor<2x?x2xf32, #quern.dims<"n">>
module attributes {quern.sizes = {n = 8 : i64}} {
quern.weight @a : !quern.weight<4x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @b : !quern.weight<4x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 8 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
// CHECK-LABEL: @main
// CHECK-NOT: quern.slice
// CHECK-COUNT-2: quern.linear
// REMARK: a region of general ops reads its rows where they lie by themselves
func.func @main(%x: !X) -> (!Y, !Y) {
  %a = quern.weight_ref @a : !quern.weight<4x4, "f32">
  %b = quern.weight_ref @b : !quern.weight<4x4, "f32">
  %ya = quern.linear %x, %a : (!X, !quern.weight<4x4, "f32">) -> !X
  %yb = quern.linear %x, %b : (!X, !quern.weight<4x4, "f32">) -> !X
  %ra = quern.fused generic(%ya) : (!X) -> !Y {
  ^bb0(%in: !X):
    %r = quern.reshape %in : !X -> !Y
    quern.yield %r : !Y
  }
  %rb = quern.fused generic(%yb) : (!X) -> !Y {
  ^bb0(%in: !X):
    %r = quern.reshape %in : !X -> !Y
    quern.yield %r : !Y
  }
  return %ra, %rb : !Y, !Y
}
}
