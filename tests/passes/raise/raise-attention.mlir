// RUN: quern-opt %s --quern-raise-attention -split-input-file --verify-semantics | FileCheck %s
// RUN: quern-opt %s --quern-raise-attention -split-input-file --remarks-filter=raise 2>&1 | FileCheck %s --check-prefix=REMARK

#i4 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#swap = affine_map<(d0, d1, d2, d3) -> (d0, d2, d1, d3)>
#key = affine_map<(d0, d1, d2, d3) -> (d0, 0, 0, d3)>
#q = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d4)>
#k = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d3, d4)>
#s = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d3)>
#p = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d4)>
#v = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d4, d3)>
!R = tensor<?x32xf32, #quern.dims<"b*s">>
!X = tensor<?x?x4x8xf32, #quern.dims<"b", "s">>
!H = tensor<?x4x?x8xf32, #quern.dims<"b", "s">>
!S = tensor<?x4x?x?xf32, #quern.dims<"b", "s", "s">>
!M = tensor<?x1x1x?xf32, #quern.dims<"b", "s">>

// Tests that scores with a mask of keys, however it is spread over heads and queries, are attention among rows, that the mask keeps
// to keys, that heads that lay apart in rows are read there, and that what turned them round afterwards is gone.
// CHECK-LABEL: @main
// CHECK-SAME: (%[[Q:.*]]: tensor<?x32xf32, #quern.dims<"b*s">>, %[[K:.*]]: tensor<?x32xf32, #quern.dims<"b*s">>, %[[V:.*]]: tensor<?x32xf32
// CHECK: %[[MASK:.*]] = tensor.extract_slice {{.*}} to tensor<?x1x1x?xf32, #quern.dims<"b", "s">>
// CHECK: %[[Y:.*]] = quern.attention_rows %[[Q]], %[[K]], %[[V]] mask %{{.*}} {heads = 4 : i64, kv_heads = 4 : i64, scale = 5.000000e-01 : f32, sequences = "b"}
// CHECK-NOT: linalg.softmax
// REMARK: [Passed] raise-attention | Category:raise | Remark="attention of 4 heads, masked"
module attributes {quern.sizes = {b = 2 : i64, s = 16 : i64}} {
func.func @main(%qr: !R, %kr: !R, %vr: !R, %m: !M) -> !R {
  %b = quern.size "b"
  %s = quern.size "s"
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %eh = tensor.empty(%b, %s) : !H
  %es = tensor.empty(%b, %s, %s) : !S
  %qx = quern.reshape %qr : !R -> !X
  %kx = quern.reshape %kr : !R -> !X
  %vx = quern.reshape %vr : !R -> !X
  %q = linalg.generic {indexing_maps = [#swap, #i4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%qx : !X) outs(%eh : !H) {
  ^bb0(%x: f32, %o: f32):
    linalg.yield %x : f32
  } -> !H
  %k = linalg.generic {indexing_maps = [#swap, #i4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%kx : !X) outs(%eh : !H) {
  ^bb0(%x: f32, %o: f32):
    linalg.yield %x : f32
  } -> !H
  %v = linalg.generic {indexing_maps = [#swap, #i4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%vx : !X) outs(%eh : !H) {
  ^bb0(%x: f32, %o: f32):
    linalg.yield %x : f32
  } -> !H
  %f = linalg.fill ins(%zero : f32) outs(%es : !S) -> !S
  %qk = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%q, %k : !H, !H) outs(%f : !S) {
  ^bb0(%x: f32, %y: f32, %o: f32):
    %t = arith.mulf %x, %y : f32
    %r = arith.addf %o, %t : f32
    linalg.yield %r : f32
  } -> !S
  %scaled = linalg.generic {indexing_maps = [#i4, #i4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%qk : !S) outs(%es : !S) {
  ^bb0(%x: f32, %o: f32):
    %r = arith.mulf %x, %half : f32
    linalg.yield %r : f32
  } -> !S
  %masked = linalg.generic {indexing_maps = [#i4, #key, #i4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%scaled, %m : !S, !M) outs(%es : !S) {
  ^bb0(%x: f32, %y: f32, %o: f32):
    %r = arith.addf %x, %y : f32
    linalg.yield %r : f32
  } -> !S
  %w = linalg.softmax dimension(3) ins(%masked : !S) outs(%es : !S) -> !S
  %fh = linalg.fill ins(%zero : f32) outs(%eh : !H) -> !H
  %pv = linalg.generic {indexing_maps = [#p, #v, #s], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%w, %v : !S, !H) outs(%fh : !H) {
  ^bb0(%x: f32, %y: f32, %o: f32):
    %t = arith.mulf %x, %y : f32
    %r = arith.addf %o, %t : f32
    linalg.yield %r : f32
  } -> !H
  %ex = tensor.empty(%b, %s) : !X
  %back = linalg.generic {indexing_maps = [#swap, #i4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%pv : !H) outs(%ex : !X) {
  ^bb0(%x: f32, %o: f32):
    linalg.yield %x : f32
  } -> !X
  %rows = quern.reshape %back : !X -> !R
  return %rows : !R
}
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>
!X = tensor<?x8xf32, #quern.dims<"s">>

// Tests that a softmax that no product reads is left alone, with the reason.
// CHECK-LABEL: @main
// CHECK: linalg.softmax
// REMARK: [Missed] raise-attention | Category:raise | Remark="no product alone reads its softmax"
module attributes {quern.sizes = {s = 16 : i64}} {
func.func @main(%x: !X) -> !X {
  %s = quern.size "s"
  %e = tensor.empty(%s) : !X
  %y = linalg.softmax dimension(1) ins(%x : !X) outs(%e : !X) -> !X
  return %y : !X
}
}
