// RUN: quern-opt %s --quern-fuse-generic -split-input-file | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>
#rows = affine_map<(d0, d1) -> (d0)>
!T4 = tensor<?x4xf32, #quern.dims<"s">>
!T = tensor<?xf32, #quern.dims<"s">>
module attributes {quern.sizes = {s = 16 : i64}} {

// Tests that a reduction is written, and that what is read once joins its reader; sizes and empty tensors lie inside.
// CHECK-LABEL: @main
// CHECK: %[[SUM:.*]] = quern.fused generic(%[[X:.*]]) :
// CHECK: linalg.generic
// CHECK-SAME: "reduction"
// CHECK: quern.yield
// CHECK: %[[Y:.*]] = quern.fused generic(%[[X]], %[[SUM]]) :
// CHECK: math.exp
// CHECK: arith.divf
// CHECK: quern.yield
// CHECK-NEXT: }
// CHECK-NEXT: return %[[Y]]
func.func @main(%x: !T4) -> !T4 {
  %s = quern.size "s"
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%s) : !T
  %f = linalg.fill ins(%zero : f32) outs(%e : !T) -> !T
  %sum = linalg.generic {indexing_maps = [#id, #rows], iterator_types = ["parallel", "reduction"]} ins(%x : !T4) outs(%f : !T) {
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  } -> !T
  %e4 = tensor.empty(%s) : !T4
  %exp = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : !T4) outs(%e4 : !T4) {
  ^bb0(%a: f32, %b: f32):
    %c = math.exp %a : f32
    linalg.yield %c : f32
  } -> !T4
  %y = linalg.generic {indexing_maps = [#id, #rows, #id], iterator_types = ["parallel", "parallel"]} ins(%exp, %sum : !T4, !T) outs(%e4 : !T4) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.divf %a, %b : f32
    linalg.yield %c : f32
  } -> !T4
  return %y : !T4
}
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>
#swap = affine_map<(d0, d1) -> (d1, d0)>
#a = affine_map<(d0, d1, d2) -> (d0, d2)>
#b = affine_map<(d0, d1, d2) -> (d2, d1)>
#c = affine_map<(d0, d1, d2) -> (d0, d1)>
!A = tensor<4x4xf32>

// Tests that what computes is written before a product reads each of its elements again and again, and what only moves is not.
// CHECK-LABEL: @main
// CHECK: %[[E:.*]] = quern.fused generic(%[[X:.*]]) :
// CHECK: math.exp
// CHECK: quern.fused generic(%[[X]], %[[E]]) :
// CHECK-COUNT-2: linalg.generic
// CHECK: quern.yield
// CHECK-NEXT: }
// CHECK-NEXT: return
func.func @main(%x: !A) -> !A {
  %e = tensor.empty() : !A
  %zero = arith.constant 0.0 : f32
  %exp = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : !A) outs(%e : !A) {
  ^bb0(%p: f32, %q: f32):
    %r = math.exp %p : f32
    linalg.yield %r : f32
  } -> !A
  %t = linalg.generic {indexing_maps = [#swap, #id], iterator_types = ["parallel", "parallel"]} ins(%x : !A) outs(%e : !A) {
  ^bb0(%p: f32, %q: f32):
    linalg.yield %p : f32
  } -> !A
  %f = linalg.fill ins(%zero : f32) outs(%e : !A) -> !A
  %y = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%exp, %t : !A, !A) outs(%f : !A) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %m = arith.mulf %p, %q : f32
    %r = arith.addf %o, %m : f32
    linalg.yield %r : f32
  } -> !A
  return %y : !A
}

// -----

#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
!N = tensor<?x?x16xf32, #quern.dims<"b", "s">>
!R = tensor<?x16xf32, #quern.dims<"b*s">>

// Tests that what a linear reads as rows is written as rows, and others look at it through a reshape.
// CHECK-LABEL: @main
// CHECK: %[[ROWS:.*]] = quern.fused generic(%{{.*}}) : (tensor<?x?x16xf32, #quern.dims<"b", "s">>) -> tensor<?x16xf32, #quern.dims<"b*s">>
// CHECK: math.exp
// CHECK: quern.reshape
// CHECK: %[[L:.*]] = quern.linear %[[ROWS]],
// CHECK: quern.fused generic(%[[ROWS]], %[[L]]) :
// CHECK-COUNT-2: quern.reshape
// CHECK: arith.addf
module attributes {quern.sizes = {b = 2 : i64, s = 16 : i64}} {
quern.weight @w : !quern.weight<16x16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @main(%x: !N) -> !N {
  %w = quern.weight_ref @w : !quern.weight<16x16, "f32">
  %b = quern.size "b"
  %s = quern.size "s"
  %e = tensor.empty(%b, %s) : !N
  %exp = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x : !N) outs(%e : !N) {
  ^bb0(%p: f32, %q: f32):
    %r = math.exp %p : f32
    linalg.yield %r : f32
  } -> !N
  %rows = quern.reshape %exp : !N -> !R
  %l = quern.linear %rows, %w : (!R, !quern.weight<16x16, "f32">) -> !R
  %n = quern.reshape %l : !R -> !N
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%exp, %n : !N, !N) outs(%e : !N) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.addf %p, %q : f32
    linalg.yield %r : f32
  } -> !N
  return %y : !N
}
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>
!W = tensor<?x32xf32, #quern.dims<"s">>
!R = tensor<?x16xf32, #quern.dims<"s">>

// Tests that columns of a merged linear, of which general ops read a slice, are cut out inside their regions.
// CHECK-LABEL: @main
// CHECK: %[[L:.*]] = quern.linear
// CHECK: quern.fused generic(%[[L]]) :
// CHECK: tensor.extract_slice %{{.*}}[0, 16] [%{{.*}}, 16] [1, 1]
// CHECK: math.exp
module attributes {quern.sizes = {s = 16 : i64}} {
quern.weight @w : !quern.weight<32x16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @main(%x: !R) -> !R {
  %w = quern.weight_ref @w : !quern.weight<32x16, "f32">
  %s = quern.size "s"
  %e = tensor.empty(%s) : !R
  %l = quern.linear %x, %w : (!R, !quern.weight<32x16, "f32">) -> !W
  %c = quern.slice %l {offset = 16 : i64} : !W -> !R
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%c : !R) outs(%e : !R) {
  ^bb0(%p: f32, %q: f32):
    %r = math.exp %p : f32
    linalg.yield %r : f32
  } -> !R
  return %y : !R
}
}

// -----

// Tests that what counts a size is there whether or not its result is read, and before what is of that size.
!N = tensor<?xi64, #quern.dims<"n">>
module attributes {quern.sizes = {b = 4 : i64, n = 4 : i64}, quern.counted_sizes = {n = "b"}} {
// CHECK-LABEL: @main
// CHECK: quern.fused generic
// CHECK: quern.where_true
// CHECK: quern.yield
// CHECK: quern.fused generic
// CHECK: quern.size "n"
func.func @main(%m: tensor<?xi1, #quern.dims<"b">>) -> !N {
  %y = quern.where_true %m : tensor<?xi1, #quern.dims<"b">> -> !N
  %n = quern.size "n"
  %c = arith.constant 3 : i64
  %e = tensor.splat %c[%n] : !N
  return %e : !N
}
}

// -----

#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#turn = affine_map<(d0, d1, d2) -> (d1, d2, d0)>
#swap = affine_map<(d0, d1, d2) -> (d1, d0, d2)>
!A = tensor<4x4x4xf32>

// Tests that a region ends where what it is asked for at two places each time would be more than a kernel holds: the last op asks the first
// for 256 elements.
// CHECK-LABEL: @main
// CHECK: quern.fused generic(%{{.*}}) :
// CHECK-COUNT-2: linalg.generic
// CHECK: quern.yield
// CHECK: quern.fused generic(%{{.*}}) :
// CHECK-COUNT-8: linalg.generic
// CHECK: quern.yield
func.func @main(%v0: !A) -> !A {
  %e = tensor.empty() : !A
  %v1 = linalg.generic {indexing_maps = [#turn, #swap, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%v0, %v0 : !A, !A) outs(%e : !A) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  } -> !A
  %v2 = linalg.generic {indexing_maps = [#turn, #swap, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%v1, %v1 : !A, !A) outs(%e : !A) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  } -> !A
  %v3 = linalg.generic {indexing_maps = [#turn, #swap, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%v2, %v2 : !A, !A) outs(%e : !A) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  } -> !A
  %v4 = linalg.generic {indexing_maps = [#turn, #swap, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%v3, %v3 : !A, !A) outs(%e : !A) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  } -> !A
  %v5 = linalg.generic {indexing_maps = [#turn, #swap, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%v4, %v4 : !A, !A) outs(%e : !A) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  } -> !A
  %v6 = linalg.generic {indexing_maps = [#turn, #swap, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%v5, %v5 : !A, !A) outs(%e : !A) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  } -> !A
  %v7 = linalg.generic {indexing_maps = [#turn, #swap, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%v6, %v6 : !A, !A) outs(%e : !A) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  } -> !A
  %v8 = linalg.generic {indexing_maps = [#turn, #swap, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%v7, %v7 : !A, !A) outs(%e : !A) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  } -> !A
  %v9 = linalg.generic {indexing_maps = [#turn, #swap, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%v8, %v8 : !A, !A) outs(%e : !A) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  } -> !A
  %v10 = linalg.generic {indexing_maps = [#turn, #swap, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%v9, %v9 : !A, !A) outs(%e : !A) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  } -> !A
  return %v10 : !A
}

// -----

!R = tensor<?x8xf32, #quern.dims<"4*b">>
!M = tensor<1x1x4x4xf32>
module attributes {quern.sizes = {b = 8 : i64}} {
quern.weight @table : !quern.weight<1x1x4x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}

// Tests that a table of the model's that attention adds to scores is written for it: it reads memory.
// CHECK-LABEL: @main
// CHECK: %[[REF:.*]] = quern.weight_ref @table
// CHECK: %[[MASK:.*]] = quern.fused generic(%[[REF]])
// CHECK: quern.weight_tensor
// CHECK: quern.attention_rows %{{.*}}, %{{.*}}, %{{.*}} mask %[[MASK]]
func.func @main(%q: !R, %k: !R, %v: !R) -> !R {
  %ref = quern.weight_ref @table : !quern.weight<1x1x4x4, "f32">
  %m = quern.weight_tensor %ref : !quern.weight<1x1x4x4, "f32"> -> !M
  %y = quern.attention_rows %q, %k, %v mask %m {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f32, sequences = "b"} : (!R, !R, !R, !M) -> !R
  return %y : !R
}
}
