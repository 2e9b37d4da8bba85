// RUN: quern-opt %s --quern-raise-masks -split-input-file --verify-semantics | FileCheck %s
// RUN: quern-opt %s --quern-raise-masks -split-input-file --remarks-filter=raise 2>&1 | FileCheck %s --check-prefix=REMARK

#i4 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#i1 = affine_map<(d0) -> (d0)>
!R = tensor<?x16xf32, #quern.dims<"b*s">>
!I = tensor<?x?xi64, #quern.dims<"b", "s">>
!M = tensor<?x1x?x?xf32, #quern.dims<"b", "s", "s">>
!C = tensor<1x1x?x?xf32, #quern.dims<"s", "s">>

// Tests that a mask of what lies behind a query, made by comparing two rows of positions as exporters by tracing do, is causal, and that
// nothing of it is left.
// CHECK-LABEL: @main
// CHECK-NOT: linalg.generic
// CHECK: quern.attention_rows %{{.*}}, %{{.*}}, %{{.*}} {causal, heads = 2 : i64
// REMARK: [Passed] raise-masks | Category:raise | Remark=causal
module attributes {quern.sizes = {b = 3 : i64, s = 200 : i64}} {
func.func @main(%q: !R, %k: !R, %v: !R, %keep: !I {quern.name = "attention_mask"}) -> !R {
  %b = quern.size "b"
  %s = quern.size "s"
  %zero = arith.constant 0.0 : f32
  %low = arith.constant -3.40282347E+38 : f32
  %c0 = arith.constant 0 : index
  %none = arith.constant 0 : i64
  %er = tensor.empty(%s) : tensor<?xi64, #quern.dims<"s">>
  %range = linalg.generic {indexing_maps = [#i1], iterator_types = ["parallel"]} outs(%er : tensor<?xi64, #quern.dims<"s">>) {
  ^bb0(%o: i64):
    %i = linalg.index 0 : index
    %x = arith.index_cast %i : index to i64
    linalg.yield %x : i64
  } -> tensor<?xi64, #quern.dims<"s">>
  %row = quern.reshape %range : tensor<?xi64, #quern.dims<"s">> -> tensor<1x1x1x?xi64, #quern.dims<"s">>
  %column = quern.reshape %range : tensor<?xi64, #quern.dims<"s">> -> tensor<1x1x?x1xi64, #quern.dims<"s">>
  %e = tensor.empty(%s, %s) : !C
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, 0, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, 0)>, #i4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%row, %column : tensor<1x1x1x?xi64, #quern.dims<"s">>, tensor<1x1x?x1xi64, #quern.dims<"s">>) outs(%e : !C) {
  ^bb0(%j: i64, %i: i64, %o: f32):
    %seen = arith.cmpi sle, %j, %i : i64
    %r = arith.select %seen, %zero, %low : f32
    linalg.yield %r : f32
  } -> !C
  %y = quern.attention_rows %q, %k, %v mask %m {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f32, sequences = "b"} : (!R, !R, !R, !C) -> !R
  return %y : !R
}
}

// -----

#i4 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#i1 = affine_map<(d0) -> (d0)>
!R = tensor<?x16xf32, #quern.dims<"b*s">>
!I = tensor<?x?xi64, #quern.dims<"b", "s">>
!M = tensor<?x1x?x?xf32, #quern.dims<"b", "s", "s">>
!C = tensor<1x1x?x?xf32, #quern.dims<"s", "s">>

// Tests that what hides keys is taken apart from what lies behind a query, in one op that asks for each at its indices.
// CHECK-LABEL: @main
// CHECK: %[[LINE:.*]] = linalg.generic {{.*}} ins(%{{.*}} : tensor<?x?xi64, #quern.dims<"b", "s">>)
// CHECK: arith.cmpi eq
// CHECK: %[[M:.*]] = quern.reshape %[[LINE]] {{.*}} -> tensor<?x1x1x?xf32, #quern.dims<"b", "s">>
// CHECK: quern.attention_rows %{{.*}}, %{{.*}}, %{{.*}} mask %[[M]] {causal, heads = 2 : i64
// REMARK: [Passed] raise-masks | Category:raise | Remark="causal, keys hidden where input attention_mask is 0"
module attributes {quern.sizes = {b = 3 : i64, s = 200 : i64}} {
func.func @main(%q: !R, %k: !R, %v: !R, %keep: !I {quern.name = "attention_mask"}) -> !R {
  %b = quern.size "b"
  %s = quern.size "s"
  %zero = arith.constant 0.0 : f32
  %low = arith.constant -3.40282347E+38 : f32
  %c0 = arith.constant 0 : index
  %none = arith.constant 0 : i64
  %e = tensor.empty(%b, %s, %s) : !M
  %m = linalg.generic {indexing_maps = [#i4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} outs(%e : !M) {
  ^bb0(%o: f32):
    %n = linalg.index 0 : index
    %i = linalg.index 2 : index
    %j = linalg.index 3 : index
    %t = tensor.extract %keep[%n, %j] : !I
    %kept = arith.cmpi ne, %t, %none : i64
    %behind = arith.cmpi ule, %j, %i : index
    %seen = arith.andi %kept, %behind : i1
    %r = arith.select %seen, %zero, %low : f32
    linalg.yield %r : f32
  } -> !M
  %y = quern.attention_rows %q, %k, %v mask %m {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f32, sequences = "b"} : (!R, !R, !R, !M) -> !R
  return %y : !R
}
}

// -----

#i4 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#i1 = affine_map<(d0) -> (d0)>
!R = tensor<?x16xf32, #quern.dims<"b*s">>
!I = tensor<?x?xi64, #quern.dims<"b", "s">>
!M = tensor<?x1x?x?xf32, #quern.dims<"b", "s", "s">>
!C = tensor<1x1x?x?xf32, #quern.dims<"s", "s">>

// Tests that a distance beyond the sizes that are tried first is a bound all the same.
// CHECK-LABEL: @main
// CHECK: quern.attention_rows %{{.*}}, %{{.*}}, %{{.*}} mask %{{.*}} {heads = 2 : i64, kv_heads = 2 : i64, left = 64 : i64, right = 64 : i64
// REMARK: [Passed] raise-masks | Category:raise | Remark="a window, 64 before, 64 after, keys hidden where input attention_mask is 0"
module attributes {quern.sizes = {b = 3 : i64, s = 200 : i64}} {
func.func @main(%q: !R, %k: !R, %v: !R, %keep: !I {quern.name = "attention_mask"}) -> !R {
  %b = quern.size "b"
  %s = quern.size "s"
  %zero = arith.constant 0.0 : f32
  %low = arith.constant -3.40282347E+38 : f32
  %c0 = arith.constant 0 : index
  %none = arith.constant 0 : i64
  %e = tensor.empty(%b, %s, %s) : !M
  %m = linalg.generic {indexing_maps = [#i4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} outs(%e : !M) {
  ^bb0(%o: f32):
    %n = linalg.index 0 : index
    %i = linalg.index 2 : index
    %j = linalg.index 3 : index
    %t = tensor.extract %keep[%n, %j] : !I
    %kept = arith.cmpi ne, %t, %none : i64
    %far = arith.constant 64 : index
    %d = arith.subi %i, %j : index
    %a = math.absi %d : index
    %near = arith.cmpi sle, %a, %far : index
    %seen = arith.andi %kept, %near : i1
    %r = arith.select %seen, %zero, %low : f32
    linalg.yield %r : f32
  } -> !M
  %y = quern.attention_rows %q, %k, %v mask %m {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f32, sequences = "b"} : (!R, !R, !R, !M) -> !R
  return %y : !R
}
}

// -----

#i4 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#i1 = affine_map<(d0) -> (d0)>
!R = tensor<?x16xf32, #quern.dims<"b*s">>
!I = tensor<?x?xi64, #quern.dims<"b", "s">>
!M = tensor<?x1x?x?xf32, #quern.dims<"b", "s", "s">>
!C = tensor<1x1x?x?xf32, #quern.dims<"s", "s">>

// Tests that what is added and hides nothing stays what is added: a slope.
// CHECK-LABEL: @main
// CHECK: quern.attention_rows %{{.*}}, %{{.*}}, %{{.*}} mask %{{.*}} {heads = 2 : i64, kv_heads = 2 : i64, scale
// REMARK: [Missed] raise-masks | Category:raise | Remark="{{.*}}, so it is added as a tensor"
module attributes {quern.sizes = {b = 3 : i64, s = 200 : i64}} {
func.func @main(%q: !R, %k: !R, %v: !R, %keep: !I {quern.name = "attention_mask"}) -> !R {
  %b = quern.size "b"
  %s = quern.size "s"
  %zero = arith.constant 0.0 : f32
  %low = arith.constant -3.40282347E+38 : f32
  %c0 = arith.constant 0 : index
  %none = arith.constant 0 : i64
  %e = tensor.empty(%s, %s) : !C
  %m = linalg.generic {indexing_maps = [#i4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} outs(%e : !C) {
  ^bb0(%o: f32):
    %n = linalg.index 0 : index
    %i = linalg.index 2 : index
    %j = linalg.index 3 : index
    %d = arith.subi %j, %i : index
    %x = arith.index_cast %d : index to i64
    %f = arith.sitofp %x : i64 to f32
    %slope = arith.constant 0.125 : f32
    %r = arith.mulf %f, %slope : f32
    linalg.yield %r : f32
  } -> !C
  %y = quern.attention_rows %q, %k, %v mask %m {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f32, sequences = "b"} : (!R, !R, !R, !C) -> !R
  return %y : !R
}
}

// -----

#i4 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#i1 = affine_map<(d0) -> (d0)>
!R = tensor<?x16xf32, #quern.dims<"b*s">>
!I = tensor<?x?xi64, #quern.dims<"b", "s">>
!M = tensor<?x1x?x?xf32, #quern.dims<"b", "s", "s">>
!C = tensor<1x1x?x?xf32, #quern.dims<"s", "s">>

// Tests that a mask that lets every query see the first key too, which is no bound, stays as it is.
// CHECK-LABEL: @main
// CHECK: quern.attention_rows %{{.*}}, %{{.*}}, %{{.*}} mask %{{.*}} {heads = 2 : i64, kv_heads = 2 : i64, scale
// REMARK: [Missed] raise-masks | Category:raise | Remark="its mask is no product of a bound and of what hides keys, so it is added as a tensor"
module attributes {quern.sizes = {b = 3 : i64, s = 200 : i64}} {
func.func @main(%q: !R, %k: !R, %v: !R, %keep: !I {quern.name = "attention_mask"}) -> !R {
  %b = quern.size "b"
  %s = quern.size "s"
  %zero = arith.constant 0.0 : f32
  %low = arith.constant -3.40282347E+38 : f32
  %c0 = arith.constant 0 : index
  %none = arith.constant 0 : i64
  %e = tensor.empty(%s, %s) : !C
  %m = linalg.generic {indexing_maps = [#i4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} outs(%e : !C) {
  ^bb0(%o: f32):
    %n = linalg.index 0 : index
    %i = linalg.index 2 : index
    %j = linalg.index 3 : index
    %far = arith.constant 3 : index
    %d = arith.subi %i, %j : index
    %near = arith.cmpi ule, %d, %far : index
    %first = arith.cmpi eq, %j, %c0 : index
    %seen = arith.ori %near, %first : i1
    %r = arith.select %seen, %zero, %low : f32
    linalg.yield %r : f32
  } -> !C
  %y = quern.attention_rows %q, %k, %v mask %m {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f32, sequences = "b"} : (!R, !R, !R, !C) -> !R
  return %y : !R
}
}

// -----

#i4 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#i1 = affine_map<(d0) -> (d0)>
!R = tensor<?x16xf32, #quern.dims<"b*s">>
!I = tensor<?x?xi64, #quern.dims<"b", "s">>
!M = tensor<?x1x?x?xf32, #quern.dims<"b", "s", "s">>
!C = tensor<1x1x?x?xf32, #quern.dims<"s", "s">>

// Tests that a bound on blocks of positions, whose numbers say nothing about how far it reaches, is looked for at all lengths.
// CHECK-LABEL: @main
// CHECK: quern.attention_rows {{.*}} mask
// REMARK: [Missed] raise-masks | Category:raise | Remark="its mask is no product of a bound and of what hides keys, so it is added as a tensor"
module attributes {quern.sizes = {b = 3 : i64, s = 200 : i64}} {
func.func @main(%q: !R, %k: !R, %v: !R, %keep: !I {quern.name = "attention_mask"}) -> !R {
  %b = quern.size "b"
  %s = quern.size "s"
  %zero = arith.constant 0.0 : f32
  %low = arith.constant -3.40282347E+38 : f32
  %c0 = arith.constant 0 : index
  %block = arith.constant 16 : i64
  %blocks = arith.constant 5 : i64
  %none = arith.constant 0 : i64
  %er = tensor.empty(%s) : tensor<?xi64, #quern.dims<"s">>
  %range = linalg.generic {indexing_maps = [#i1], iterator_types = ["parallel"]} outs(%er : tensor<?xi64, #quern.dims<"s">>) {
  ^bb0(%o: i64):
    %i = linalg.index 0 : index
    %x = arith.index_cast %i : index to i64
    linalg.yield %x : i64
  } -> tensor<?xi64, #quern.dims<"s">>
  %row = quern.reshape %range : tensor<?xi64, #quern.dims<"s">> -> tensor<1x1x1x?xi64, #quern.dims<"s">>
  %column = quern.reshape %range : tensor<?xi64, #quern.dims<"s">> -> tensor<1x1x?x1xi64, #quern.dims<"s">>
  %e = tensor.empty(%s, %s) : !C
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, 0, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, 0)>, #i4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%row, %column : tensor<1x1x1x?xi64, #quern.dims<"s">>, tensor<1x1x?x1xi64, #quern.dims<"s">>) outs(%e : !C) {
  ^bb0(%j: i64, %i: i64, %o: f32):
    %jb = arith.divsi %j, %block : i64
    %ib = arith.divsi %i, %block : i64
    %d = arith.subi %ib, %jb : i64
    %seen = arith.cmpi sle, %d, %blocks : i64
    %r = arith.select %seen, %zero, %low : f32
    linalg.yield %r : f32
  } -> !C
  %y = quern.attention_rows %q, %k, %v mask %m {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f32, sequences = "b"} : (!R, !R, !R, !C) -> !R
  return %y : !R
}
}

// -----

#i4 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#i1 = affine_map<(d0) -> (d0)>
!R = tensor<?x16xf32, #quern.dims<"b*s">>
!I = tensor<?x?xi64, #quern.dims<"b", "s">>
!M = tensor<?x1x?x?xf32, #quern.dims<"b", "s", "s">>
!C = tensor<1x1x?x?xf32, #quern.dims<"s", "s">>

// Tests that keys are hidden by the lowest float where bounds are found, whatever the mask hid them by: what is beyond the bounds is.
// CHECK-LABEL: @main
// CHECK: %[[LINE:.*]] = linalg.generic {{.*}} ins(%{{.*}} : tensor<?x?xi64, #quern.dims<"b", "s">>)
// CHECK-NOT: 1.000000e+30
// CHECK: arith.constant -3.40282347E+38 : f32
// CHECK: %[[M:.*]] = quern.reshape %[[LINE]] {{.*}} -> tensor<?x1x1x?xf32, #quern.dims<"b", "s">>
// CHECK: quern.attention_rows %{{.*}}, %{{.*}}, %{{.*}} mask %[[M]] {causal, heads = 2 : i64
// REMARK: [Passed] raise-masks | Category:raise | Remark="causal, keys hidden where input attention_mask is 0"
module attributes {quern.sizes = {b = 3 : i64, s = 200 : i64}} {
func.func @main(%q: !R, %k: !R, %v: !R, %keep: !I {quern.name = "attention_mask"}) -> !R {
  %b = quern.size "b"
  %s = quern.size "s"
  %zero = arith.constant 0.0 : f32
  %low = arith.constant -1.0e+30 : f32
  %c0 = arith.constant 0 : index
  %none = arith.constant 0 : i64
  %e = tensor.empty(%b, %s, %s) : !M
  %m = linalg.generic {indexing_maps = [#i4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} outs(%e : !M) {
  ^bb0(%o: f32):
    %n = linalg.index 0 : index
    %i = linalg.index 2 : index
    %j = linalg.index 3 : index
    %t = tensor.extract %keep[%n, %j] : !I
    %kept = arith.cmpi ne, %t, %none : i64
    %behind = arith.cmpi ule, %j, %i : index
    %seen = arith.andi %kept, %behind : i1
    %r = arith.select %seen, %zero, %low : f32
    linalg.yield %r : f32
  } -> !M
  %y = quern.attention_rows %q, %k, %v mask %m {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f32, sequences = "b"} : (!R, !R, !R, !M) -> !R
  return %y : !R
}
}
