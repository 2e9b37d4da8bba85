// RUN: quern-opt %s --quern-raise-biases --quern-raise-elementwise -split-input-file --verify-semantics | FileCheck %s

#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#col = affine_map<(d0, d1, d2) -> (d2)>
!X = tensor<?x?x16xf32, #quern.dims<"b", "s">>
!R = tensor<?x16xf32, #quern.dims<"b*s">>
!W = !quern.weight<16x16, "f32">

// Tests that a bias, a gelu in five ops and a residual addition become the model's, on rows, one behind the other.
// CHECK-LABEL: @main
// CHECK: %[[R:.*]] = quern.reshape %{{.*}} : tensor<?x?x16xf32, #quern.dims<"b", "s">> -> tensor<?x16xf32, #quern.dims<"b*s">>
// CHECK: %[[L:.*]] = quern.linear %[[R]], %{{.*}}, %{{.*}} :
// CHECK-NEXT: %[[G:.*]] = quern.unary {{ ?}}gelu_erf %[[L]]
// CHECK: %[[A:.*]] = quern.binary {{ ?}}add %{{.*}}, %{{.*}} :
// CHECK: quern.linear
// CHECK-NOT: linalg.generic
module attributes {quern.sizes = {b = 2 : i64, s = 16 : i64}} {
quern.weight @w : !W {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @v : !quern.weight<16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 8 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @main(%x: !X) -> !R {
  %w = quern.weight_ref @w : !W
  %v0 = quern.weight_ref @v : !quern.weight<16, "f32">
  %v = quern.weight_tensor %v0 : !quern.weight<16, "f32"> -> tensor<16xf32>
  %b = quern.size "b"
  %s = quern.size "s"
  %e = tensor.empty(%b, %s) : !X
  %root = arith.constant 1.41421354 : f32
  %one = arith.constant 1.0 : f32
  %half = arith.constant 0.5 : f32
  %rows = quern.reshape %x : !X -> !R
  %l = quern.linear %rows, %w : (!R, !W) -> !R
  %lx = quern.reshape %l : !R -> !X
  %biased = linalg.generic {indexing_maps = [#col, #id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%v, %lx : tensor<16xf32>, !X) outs(%e : !X) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.addf %p, %q : f32
    linalg.yield %r : f32
  } -> !X
  %g0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%biased : !X) outs(%e : !X) {
  ^bb0(%p: f32, %o: f32):
    %d = arith.divf %p, %root : f32
    %r = math.erf %d : f32
    linalg.yield %r : f32
  } -> !X
  %g1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%g0 : !X) outs(%e : !X) {
  ^bb0(%p: f32, %o: f32):
    %r = arith.addf %p, %one : f32
    linalg.yield %r : f32
  } -> !X
  %g2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%biased, %g1 : !X, !X) outs(%e : !X) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.mulf %p, %q : f32
    linalg.yield %r : f32
  } -> !X
  %g3 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%g2 : !X) outs(%e : !X) {
  ^bb0(%p: f32, %o: f32):
    %r = arith.mulf %p, %half : f32
    linalg.yield %r : f32
  } -> !X
  %sum = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x, %g3 : !X, !X) outs(%e : !X) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.addf %p, %q : f32
    linalg.yield %r : f32
  } -> !X
  %again = quern.reshape %sum : !X -> !R
  %y = quern.linear %again, %w : (!R, !W) -> !R
  return %y : !R
}
}
