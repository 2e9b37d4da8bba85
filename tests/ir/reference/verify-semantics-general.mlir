// Tests that passes on general tensor programs are watched, by calls with sizes that are made up, and that one which swaps
// the operands of a subtraction is named.
// RUN: quern-opt %s --verify-semantics --verify-semantics-seed=3 --cse --quern-fuse-generic | FileCheck %s --check-prefix=SAME
// RUN: not quern-opt-test %s --verify-semantics --cse --test-plant-bug=bug=swap --quern-fuse-generic 2>&1 | FileCheck %s
// SAME: quern.fused generic
// CHECK: error: pass test-plant-bug changed the meaning: entry main, b = {{[0-9]}}, s = {{[0-9]}}, output y at [{{[0-9]}}, {{[0-9]}}]: {{.*}} became {{.*}} of their standard deviation, more than 0.0001
// CHECK-NOT: changed the meaning

!X = tensor<?x?xf32, #quern.dims<"b", "s">>
!S = tensor<?xf32, #quern.dims<"b">>
#id = affine_map<(d0, d1) -> (d0, d1)>
#rows = affine_map<(d0, d1) -> (d0)>
module attributes {quern.sizes = {b = 4 : i64, s = 16 : i64}} {
  func.func @main(%x: !X {quern.name = "x"}, %m: tensor<?x?xi1, #quern.dims<"b", "s">>) -> (!X {quern.name = "y"}) {
    %b = quern.size "b"
    %s = quern.size "s"
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty(%b) : !S
    %f = linalg.fill ins(%zero : f32) outs(%e : !S) -> !S
    %sum = linalg.generic {indexing_maps = [#id, #id, #rows], iterator_types = ["parallel", "reduction"]}
        ins(%x, %m : !X, tensor<?x?xi1, #quern.dims<"b", "s">>) outs(%f : !S) {
    ^bb0(%p: f32, %q: i1, %o: f32):
      %0 = arith.select %q, %p, %zero : f32
      %1 = arith.addf %0, %o : f32
      linalg.yield %1 : f32
    } -> !S
    %g = tensor.empty(%b, %s) : !X
    %y = linalg.generic {indexing_maps = [#id, #rows, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %sum : !X, !S) outs(%g : !X) {
    ^bb0(%p: f32, %q: f32, %o: f32):
      %0 = arith.subf %p, %q : f32
      linalg.yield %0 : f32
    } -> !X
    return %y : !X
  }
}
