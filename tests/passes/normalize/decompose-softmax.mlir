// RUN: quern-opt %s --quern-decompose-softmax -split-input-file | FileCheck %s
// RUN: quern-opt %s --quern-decompose-softmax -split-input-file | quern-opt -split-input-file -o /dev/null

!X = tensor<?x3x?xf32, #quern.dims<"b", "s + 1">>
module attributes {quern.sizes = {b = 4 : i64, s = 8 : i64}} {
// Tests that each of the four ops has types with names, those of sums without the dimension that is summed over.
// CHECK-LABEL: func.func @main
// CHECK: %[[LOWEST:.*]] = linalg.fill ins(%{{.*}} : f32) {{.*}} -> tensor<?x3xf32, #quern.dims<"b">>
// CHECK: %[[MOST:.*]] = linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction"]{{.*}} outs(%[[LOWEST]] :
// CHECK: arith.maxnumf
// CHECK: %[[B:.*]] = quern.size "b"
// CHECK: %[[S:.*]] = quern.size "s + 1"
// CHECK: %[[EMPTY:.*]] = tensor.empty(%[[B]], %[[S]]) : tensor<?x3x?xf32, #quern.dims<"b", "s + 1">>
// CHECK: %[[EXP:.*]] = linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "parallel"]{{.*}} ins(%{{.*}}, %[[MOST]] :
// CHECK: arith.subf
// CHECK: math.exp
// CHECK: linalg.fill
// CHECK: %[[SUM:.*]] = linalg.generic {{.*}} ins(%[[EXP]] :
// CHECK: arith.addf
// CHECK: %[[Y:.*]] = linalg.generic {{.*}} ins(%[[EXP]], %[[SUM]] :
// CHECK: arith.divf
// CHECK: return %[[Y]]
func.func @main(%x: !X) -> !X {
  %b = quern.size "b"
  %s = quern.size "s + 1"
  %e = tensor.empty(%b, %s) : !X
  %y = linalg.softmax dimension(2) ins(%x : !X) outs(%e : !X) -> !X
  return %y : !X
}
}

// -----

// Tests a dimension in the middle, whose name goes, and elements of 16 bits.
!X = tensor<2x?x5xf16, #quern.dims<"b">>
module attributes {quern.sizes = {b = 4 : i64}} {
// CHECK-LABEL: func.func @main
// CHECK: linalg.fill ins(%{{.*}} : f16) outs(%{{.*}} : tensor<2x5xf16>)
// CHECK: iterator_types = ["parallel", "reduction", "parallel"]
func.func @main(%x: !X) -> !X {
  %b = quern.size "b"
  %e = tensor.empty(%b) : !X
  %y = linalg.softmax dimension(1) ins(%x : !X) outs(%e : !X) -> !X
  return %y : !X
}
}
