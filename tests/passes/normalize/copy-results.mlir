// RUN: quern-opt %s --quern-copy-results -split-input-file | FileCheck %s

!X = tensor<?x3xi64, #quern.dims<"b">>
!V = tensor<4xf32>
module attributes {quern.sizes = {b = 4 : i64}} {
quern.weight @w : !quern.weight<4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}

// Tests that an argument, a constant, a weight and what was returned before are copied, and what is computed is not.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: tensor
// CHECK-DAG: %[[C:.*]] = arith.constant dense<{{.*}}> : tensor<2xi1>
// CHECK-DAG: %[[W:.*]] = quern.weight_tensor
// CHECK-DAG: %[[Y:.*]] = quern.reshape
// CHECK: %[[B:.*]] = quern.size "b"
// CHECK: %[[E:.*]] = tensor.empty(%[[B]]) : tensor<?x3xi64, #quern.dims<"b">>
// CHECK: %[[XC:.*]] = linalg.generic {{.*}} ins(%[[X]] : {{.*}} outs(%[[E]] :
// CHECK-NEXT: ^bb0(%[[IN:.*]]: i64, %{{.*}}: i64):
// CHECK-NEXT: linalg.yield %[[IN]]
// CHECK: %[[CC:.*]] = linalg.generic {{.*}} ins(%[[C]] :
// CHECK: %[[WC:.*]] = linalg.generic {{.*}} ins(%[[W]] :
// CHECK: %[[YC:.*]] = linalg.generic {{.*}} ins(%[[Y]] :
// CHECK: return %[[Y]], %[[XC]], %[[CC]], %[[WC]], %[[YC]]
func.func @main(%x: !X) -> (tensor<3x?xi64, #quern.dims<"b">>, !X, tensor<2xi1>, !V, tensor<3x?xi64, #quern.dims<"b">>) {
  %w = quern.weight_ref @w : !quern.weight<4, "f32">
  %v = quern.weight_tensor %w : !quern.weight<4, "f32"> -> !V
  %c = arith.constant dense<[true, false]> : tensor<2xi1>
  %y = quern.reshape %x : !X -> tensor<3x?xi64, #quern.dims<"b">>
  return %y, %x, %c, %v, %y : tensor<3x?xi64, #quern.dims<"b">>, !X, tensor<2xi1>, !V, tensor<3x?xi64, #quern.dims<"b">>
}
}

// -----

// Tests that an entry with a batch is left alone: it is an error that the phase's verifier tells.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK-LABEL: func.func @step
// CHECK-NEXT: return
func.func @step(%x: !T4, %batch: !quern.batch) -> !T4 {
  return %x : !T4
}

// -----

// Tests a scalar.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {indexing_maps = [#[[M:.*]], #[[M]]], iterator_types = []}
func.func @main(%x: tensor<f32>) -> tensor<f32> {
  return %x : tensor<f32>
}

// -----

// Tests that copies of one value are copied from each other: equal ones would be made one again, and a result be left unwritten.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: tensor
// CHECK: %[[A:.*]] = linalg.generic {{.*}} ins(%[[X]] :
// CHECK: %[[B:.*]] = linalg.generic {{.*}} ins(%[[A]] :
// CHECK: return %[[A]], %[[B]]
func.func @main(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  return %x, %x : tensor<4xf32>, tensor<4xf32>
}
