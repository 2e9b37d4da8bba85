// RUN: quern-opt %s --quern-raise-embeddings -split-input-file --verify-semantics | FileCheck %s
// RUN: quern-opt %s --quern-raise-embeddings -split-input-file --remarks-filter=raise 2>&1 | FileCheck %s --check-prefix=REMARK

#i3 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#p3 = affine_map<(d0, d1, d2) -> (0, d1, d2)>
!I = tensor<?x?xi64, #quern.dims<"b", "s">>
!X = tensor<?x?x16xf32, #quern.dims<"b", "s">>
!S = tensor<?x16xf32, #quern.dims<"s">>
!P = tensor<1x?x16xf32, #quern.dims<"s">>

// Tests that rows of a weight that ids choose are an embedding, with the check of each id beside it, and that rows that a slice has for all
// sequences, which are added to these, are one of as many rows.
// CHECK-LABEL: @main
// CHECK: %[[IDS:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<?x?xi32, #quern.dims<"b", "s">>)
// CHECK: tensor.extract %arg0
// CHECK: quern.check_index
// CHECK: arith.index_cast %{{.*}} : index to i32
// CHECK: %[[ROWS:.*]] = quern.reshape %[[IDS]] {{.*}} -> tensor<?xi32, #quern.dims<"b*s">>
// CHECK: quern.embedding %[[ROWS]], %{{.*}} : (tensor<?xi32, #quern.dims<"b*s">>, !quern.weight<7x16, "f32">) -> tensor<?x16xf32, #quern.dims<"b*s">>
// CHECK: quern.embedding %{{.*}}, %{{.*}} : (tensor<?xi32, #quern.dims<"b*s">>, !quern.weight<30x16, "f32">) -> tensor<?x16xf32, #quern.dims<"b*s">>
// CHECK: linalg.generic {indexing_maps = [#[[MAP:.*]], #[[MAP]], #[[MAP]]], {{.*}} : tensor<?x?x16xf32, #quern.dims<"b", "s">>, tensor<?x?x16xf32, #quern.dims<"b", "s">>)
// CHECK: arith.addf
// REMARK: [Passed] raise-embeddings | Category:raise | Remark="rows of 7 x 16, looked up"
// REMARK: [Passed] raise-embeddings | Category:raise | Remark="rows of 30 x 16, looked up"
module attributes {quern.sizes = {b = 3 : i64, s = 20 : i64}} {
quern.weight @tokens : !quern.weight<7x16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @positions : !quern.weight<30x16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 8 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @main(%ids: !I) -> !X {
  %b = quern.size "b"
  %s = quern.size "s"
  %seven = arith.constant 7 : index
  %w0 = quern.weight_ref @tokens : !quern.weight<7x16, "f32">
  %w = quern.weight_tensor %w0 : !quern.weight<7x16, "f32"> -> tensor<7x16xf32>
  %p0 = quern.weight_ref @positions : !quern.weight<30x16, "f32">
  %p = quern.weight_tensor %p0 : !quern.weight<30x16, "f32"> -> tensor<30x16xf32>
  %e = tensor.empty(%b, %s) : !X
  %x = linalg.generic {indexing_maps = [#i3], iterator_types = ["parallel", "parallel", "parallel"]} outs(%e : !X) {
  ^bb0(%o: f32):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %c = linalg.index 2 : index
    %id = tensor.extract %ids[%i, %j] : !I
    %at = arith.index_cast %id : i64 to index
    %row = quern.check_index %at, %seven from_end
    %r = tensor.extract %w[%row, %c] : tensor<7x16xf32>
    linalg.yield %r : f32
  } -> !X
  %slice = tensor.extract_slice %p[2, 0] [%s, 16] [1, 1] : tensor<30x16xf32> to !S
  %one = quern.reshape %slice : !S -> !P
  %y = linalg.generic {indexing_maps = [#i3, #p3, #i3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x, %one : !X, !P) outs(%e : !X) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %r = arith.addf %a, %c : f32
    linalg.yield %r : f32
  } -> !X
  return %y : !X
}
}

// -----

#i3 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#f3 = affine_map<(d0, d1, d2) -> (d0, d1)>
!I = tensor<?x?xi64, #quern.dims<"b", "s">>
!X = tensor<?x?x16xf32, #quern.dims<"b", "s">>

// Tests that numbers of rows are computed as they were, from operands of the op that read them too: positions that a mask moves.
// CHECK-LABEL: @main
// CHECK: linalg.generic {{.*}} ins(%arg0 : tensor<?x?xi64, #quern.dims<"b", "s">>) outs(%{{.*}} : tensor<?x?xi32, #quern.dims<"b", "s">>)
// CHECK: arith.muli
// CHECK: quern.check_index
// CHECK: quern.embedding
// REMARK: [Passed] raise-embeddings
module attributes {quern.sizes = {b = 3 : i64, s = 20 : i64}} {
quern.weight @positions : !quern.weight<30x16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 8 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @main(%mask: !I) -> !X {
  %b = quern.size "b"
  %s = quern.size "s"
  %thirty = arith.constant 30 : index
  %p0 = quern.weight_ref @positions : !quern.weight<30x16, "f32">
  %p = quern.weight_tensor %p0 : !quern.weight<30x16, "f32"> -> tensor<30x16xf32>
  %e = tensor.empty(%b, %s) : !X
  %x = linalg.generic {indexing_maps = [#f3, #i3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%mask : !I) outs(%e : !X) {
  ^bb0(%m: i64, %o: f32):
    %j = linalg.index 1 : index
    %c = linalg.index 2 : index
    %k = arith.index_cast %m : i64 to index
    %at = arith.muli %j, %k : index
    %row = quern.check_index %at, %thirty
    %r = tensor.extract %p[%row, %c] : tensor<30x16xf32>
    linalg.yield %r : f32
  } -> !X
  return %x : !X
}
}

// -----

#i3 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#i2 = affine_map<(d0, d1) -> (d0, d1)>
!I = tensor<?xi64, #quern.dims<"s">>
!R = tensor<?x16xf32, #quern.dims<"s">>
!N = tensor<?x8xf32, #quern.dims<"s">>

// Tests that rows of numbers for a few heads, rows that are a rope's cosines, and numbers that are not a row's neighbours are no embeddings.
// CHECK-LABEL: @main
// CHECK-NOT: quern.embedding
// REMARK: [Missed] raise-embeddings | {{.*}} Remark="rows of a weight, but they are cosines and sines of a rope"
// REMARK-NOT: raise-embeddings
module attributes {quern.sizes = {s = 20 : i64}} {
quern.weight @narrow : !quern.weight<7x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @wide : !quern.weight<7x16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 8 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @main(%ids: !I, %q: !R) -> (!N, !R, !R) {
  %s = quern.size "s"
  %seven = arith.constant 7 : index
  %w0 = quern.weight_ref @narrow : !quern.weight<7x8, "f32">
  %w = quern.weight_tensor %w0 : !quern.weight<7x8, "f32"> -> tensor<7x8xf32>
  %v0 = quern.weight_ref @wide : !quern.weight<7x16, "f32">
  %v = quern.weight_tensor %v0 : !quern.weight<7x16, "f32"> -> tensor<7x16xf32>
  %en = tensor.empty(%s) : !N
  %e = tensor.empty(%s) : !R
  %few = linalg.generic {indexing_maps = [#i2], iterator_types = ["parallel", "parallel"]} outs(%en : !N) {
  ^bb0(%o: f32):
    %i = linalg.index 0 : index
    %c = linalg.index 1 : index
    %id = tensor.extract %ids[%i] : !I
    %at = arith.index_cast %id : i64 to index
    %row = quern.check_index %at, %seven
    %r = tensor.extract %w[%row, %c] : tensor<7x8xf32>
    linalg.yield %r : f32
  } -> !N
  %table = linalg.generic {indexing_maps = [#i2], iterator_types = ["parallel", "parallel"]} outs(%e : !R) {
  ^bb0(%o: f32):
    %i = linalg.index 0 : index
    %c = linalg.index 1 : index
    %id = tensor.extract %ids[%i] : !I
    %at = arith.index_cast %id : i64 to index
    %row = quern.check_index %at, %seven
    %r = tensor.extract %v[%row, %c] : tensor<7x16xf32>
    linalg.yield %r : f32
  } -> !R
  %turned = quern.rope %q, %table {head_dim = 16 : i64} : (!R, !R) -> !R
  %mixed = linalg.generic {indexing_maps = [#i2], iterator_types = ["parallel", "parallel"]} outs(%e : !R) {
  ^bb0(%o: f32):
    %i = linalg.index 0 : index
    %c = linalg.index 1 : index
    %id = tensor.extract %ids[%i] : !I
    %at = arith.index_cast %id : i64 to index
    %sum = arith.addi %at, %c : index
    %rest = arith.remsi %sum, %seven : index
    %row = quern.check_index %rest, %seven
    %r = tensor.extract %v[%row, %c] : tensor<7x16xf32>
    linalg.yield %r : f32
  } -> !R
  return %few, %turned, %mixed : !N, !R, !R
}
}
