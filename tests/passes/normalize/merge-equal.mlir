// RUN: quern-opt %s --quern-merge-equal -split-input-file | FileCheck %s

// Tests that of equal ops the first is left, and that bodies which differ in a number do not make them so.
// CHECK-LABEL: @bodies
// CHECK-COUNT-2: linalg.generic
// CHECK-NOT: linalg.generic
// CHECK: return %[[A:.*]], %[[A]], %{{.*}} :
#id = affine_map<(i) -> (i)>
!X = tensor<8xf32>
func.func @bodies(%x: !X) -> (!X, !X, !X) {
  %e = tensor.empty() : !X
  %e2 = tensor.empty() : !X
  %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : !X) outs(%e : !X) {
  ^bb0(%p: f32, %o: f32):
    %k = arith.constant 1.0 : f32
    %r = arith.addf %p, %k : f32
    linalg.yield %r : f32
  } -> !X
  %b = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : !X) outs(%e2 : !X) {
  ^bb0(%p: f32, %o: f32):
    %k = arith.constant 1.0 : f32
    %r = arith.addf %p, %k : f32
    linalg.yield %r : f32
  } -> !X
  %c = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : !X) outs(%e : !X) {
  ^bb0(%p: f32, %o: f32):
    %k = arith.constant 2.0 : f32
    %r = arith.addf %p, %k : f32
    linalg.yield %r : f32
  } -> !X
  return %a, %b, %c : !X, !X, !X
}

// -----

// Tests that what nothing reads is dropped, that an inner body uses what is around it, and that two branches share nothing.
// CHECK-LABEL: @branches
// CHECK-NEXT: %[[S:.*]] = arith.addf
// CHECK-NEXT: scf.if
// CHECK-NEXT: arith.mulf %[[S]]
// CHECK-NEXT: scf.yield
// CHECK-NEXT: else
// CHECK-NEXT: arith.mulf %[[S]]
func.func @branches(%c: i1, %a: f32, %b: f32) -> f32 {
  %dead = arith.subf %a, %b : f32
  %s = arith.addf %a, %b : f32
  %y = scf.if %c -> f32 {
    %t = arith.addf %a, %b : f32
    %u = arith.mulf %t, %a : f32
    scf.yield %u : f32
  } else {
    %t = arith.addf %a, %b : f32
    %u = arith.mulf %t, %a : f32
    scf.yield %u : f32
  }
  %z = arith.addf %y, %s : f32
  return %z : f32
}
