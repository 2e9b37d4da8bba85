// RUN: quern-opt %s --quern-raise-linears -split-input-file --verify-semantics | FileCheck %s
// RUN: quern-opt %s --quern-raise-linears -split-input-file --remarks-filter=raise 2>&1 | FileCheck %s --check-prefix=REMARK

!R = tensor<?x?x8xf32, #quern.dims<"b", "s">>
!X = tensor<?x8x?xf32, #quern.dims<"b", "s">>
!Y = tensor<?x16x?xf32, #quern.dims<"b", "s">>
!W = !quern.weight<16x8x1, "f32">

// Tests that a convolution over windows of one place is a linear of the rows that were turned round for it.
// CHECK-LABEL: @main
// CHECK: %[[W:.*]] = quern.weight_reshape %{{.*}} : <16x8x1, "f32"> -> <16x8, "f32">
// CHECK: quern.linear %{{.*}}, %[[W]] : (tensor<?x8xf32, #quern.dims<"b*s">>, !quern.weight<16x8, "f32">) -> tensor<?x16xf32, #quern.dims<"b*s">>
// REMARK: [Passed] raise-linears | Category:raise | Remark="a linear of 8 to 16"
module attributes {quern.sizes = {b = 2 : i64, s = 16 : i64}} {
quern.weight @w : !W {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @main(%rows: !R) -> !Y {
  %b = quern.size "b"
  %s = quern.size "s"
  %ex = tensor.empty(%b, %s) : !X
  %x = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%rows : !R) outs(%ex : !X) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> !X
  %zero = arith.constant 0.0 : f32
  %w0 = quern.weight_ref @w : !W
  %w = quern.weight_tensor %w0 : !W -> tensor<16x8x1xf32>
  %e = tensor.empty(%b, %s) : !Y
  %f = linalg.fill ins(%zero : f32) outs(%e : !Y) -> !Y
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3, d4) -> (d0, d3, d2 + d4)>, affine_map<(d0, d1, d2, d3, d4) -> (d1, d3, d4)>, affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]} ins(%x, %w : !X, tensor<16x8x1xf32>) outs(%f : !Y) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %t = arith.mulf %a, %c : f32
    %r = arith.addf %o, %t : f32
    linalg.yield %r : f32
  } -> !Y
  return %y : !Y
}
}

// -----

!X = tensor<?x8xf32, #quern.dims<"s">>
!Y = tensor<16x?xf32, #quern.dims<"s">>
!W = !quern.weight<8x16, "f32">

// Tests that a weight under a transposition, on a product's left side, is a matrix stored the other way round.
// CHECK-LABEL: @main
// CHECK: quern.weight_transpose
// CHECK: quern.linear %{{.*}}, %{{.*}} : (tensor<?x8xf32, #quern.dims<"s">>, !quern.weight<16x8, "f32">) -> tensor<?x16xf32, #quern.dims<"s">>
module attributes {quern.sizes = {s = 16 : i64}} {
quern.weight @w : !W {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @main(%x: !X) -> !Y {
  %s = quern.size "s"
  %zero = arith.constant 0.0 : f32
  %w0 = quern.weight_ref @w : !W
  %w = quern.weight_tensor %w0 : !W -> tensor<8x16xf32>
  %ew = tensor.empty() : tensor<16x8xf32>
  %wt = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%w : tensor<8x16xf32>) outs(%ew : tensor<16x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<16x8xf32>
  %e = tensor.empty(%s) : !Y
  %f = linalg.fill ins(%zero : f32) outs(%e : !Y) -> !Y
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%wt, %x : tensor<16x8xf32>, !X) outs(%f : !Y) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %t = arith.mulf %a, %c : f32
    %r = arith.addf %o, %t : f32
    linalg.yield %r : f32
  } -> !Y
  return %y : !Y
}
}

// -----

!X = tensor<?x8x?xf32, #quern.dims<"b", "s">>
!Y = tensor<?x16x?xf32, #quern.dims<"b", "s - 2">>
!W = !quern.weight<16x8x3, "f32">

// Tests that windows of three places are none, with the reason.
// CHECK-LABEL: @main
// CHECK-NOT: quern.linear
// REMARK: [Missed] raise-linears | Category:raise | Remark="a product with a weight, but its windows are of more than one place, or not next to each other"
module attributes {quern.sizes = {b = 2 : i64, s = 16 : i64}} {
quern.weight @w : !W {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @main(%x: !X) -> !Y {
  %b = quern.size "b"
  %s = quern.size "s - 2"
  %zero = arith.constant 0.0 : f32
  %w0 = quern.weight_ref @w : !W
  %w = quern.weight_tensor %w0 : !W -> tensor<16x8x3xf32>
  %e = tensor.empty(%b, %s) : !Y
  %f = linalg.fill ins(%zero : f32) outs(%e : !Y) -> !Y
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3, d4) -> (d0, d3, d2 + d4)>, affine_map<(d0, d1, d2, d3, d4) -> (d1, d3, d4)>, affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]} ins(%x, %w : !X, tensor<16x8x3xf32>) outs(%f : !Y) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %t = arith.mulf %a, %c : f32
    %r = arith.addf %o, %t : f32
    linalg.yield %r : f32
  } -> !Y
  return %y : !Y
}
}

// -----

!X = tensor<?x8x?xf32, #quern.dims<"b", "s">>
!Y = tensor<?x16x?xf32, #quern.dims<"b", "s">>
!W = !quern.weight<16x8x1, "f32">

// Tests that the same of an image, whose channels nothing turned round, stays a convolution.
// CHECK-LABEL: @main
// CHECK-NOT: quern.linear
// REMARK: [Missed] raise-linears | Category:raise | Remark="a product with a weight, but what is summed over is not its rows' last dimension, under a transposition either"
module attributes {quern.sizes = {b = 2 : i64, s = 16 : i64}} {
quern.weight @w : !W {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @main(%x: !X) -> !Y {
  %b = quern.size "b"
  %s = quern.size "s"
  %zero = arith.constant 0.0 : f32
  %w0 = quern.weight_ref @w : !W
  %w = quern.weight_tensor %w0 : !W -> tensor<16x8x1xf32>
  %e = tensor.empty(%b, %s) : !Y
  %f = linalg.fill ins(%zero : f32) outs(%e : !Y) -> !Y
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3, d4) -> (d0, d3, d2 + d4)>, affine_map<(d0, d1, d2, d3, d4) -> (d1, d3, d4)>, affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]} ins(%x, %w : !X, tensor<16x8x1xf32>) outs(%f : !Y) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %t = arith.mulf %a, %c : f32
    %r = arith.addf %o, %t : f32
    linalg.yield %r : f32
  } -> !Y
  return %y : !Y
}
}
