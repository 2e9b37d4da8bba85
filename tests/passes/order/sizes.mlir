// RUN: quern-opt %s --quern-to=phase=order | FileCheck %s

// Tests that an entry whose caller chooses sizes goes through all phases: a weight that general ops read is packed in rows, a product on rows in
// panels, what is returned twice and a constant are copied, and there is one bucket.
!X = tensor<?x?x16xf32, #quern.dims<"b", "s">>
!R = tensor<?x16xf32, #quern.dims<"b*s">>
!A = tensor<?x?xf32, #quern.dims<"b", "s">>
#all = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#last = affine_map<(d0, d1, d2) -> (d2)>
#but = affine_map<(d0, d1, d2) -> (d0, d1)>
module attributes {quern.model = {family = "onnx"}, quern.sizes = {b = 4 : i64, s = 8 : i64}} {
quern.weight @w : !quern.weight<16x16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @bias : !quern.weight<16, "f16"> {file = -1 : i32, offset = 0 : i64, seed = 8 : i64, mean = 0.0 : f32, spread = 0.3 : f32}

// CHECK: module attributes {{.*}}quern.weights_bytes = 4096
// CHECK-DAG: quern.packed @w.packed {{.*}} packing "f32"
// CHECK-DAG: quern.packed @bias.packed {{.*}} packing "rows"
// CHECK-DAG: quern.kernel @linear_0 linear
// CHECK-DAG: quern.kernel @generic_0 generic
// CHECK: func.func @main.main({{.*}}quern.bucket = "main", quern.entry = "main"
// CHECK-SAME: quern.max_rows = 1 : i64, quern.max_seqs = 1 : i64, quern.max_tokens = 1 : i64, quern.sized
// CHECK-NOT: argmax
// CHECK-NOT: replicated
// CHECK: return
// CHECK-NOT: func.func
func.func @main(%x: !X {quern.name = "x"}) -> (!A, !A, tensor<2xi1>, !X) {
  %wref = quern.weight_ref @w : !quern.weight<16x16, "f32">
  %rows = quern.reshape %x : !X -> !R
  %h = quern.linear %rows, %wref : (!R, !quern.weight<16x16, "f32">) -> !R
  %h3 = quern.reshape %h : !R -> !X
  %bref = quern.weight_ref @bias : !quern.weight<16, "f16">
  %bias = quern.weight_tensor %bref : !quern.weight<16, "f16"> -> tensor<16xf32>
  %b = quern.size "b"
  %s = quern.size "s"
  %e = tensor.empty(%b, %s) : !X
  %p = linalg.softmax dimension(2) ins(%h3 : !X) outs(%e : !X) -> !X
  %zero = arith.constant 0.0 : f32
  %ea = tensor.empty(%b, %s) : !A
  %fill = linalg.fill ins(%zero : f32) outs(%ea : !A) -> !A
  %y = linalg.generic {indexing_maps = [#all, #last, #but], iterator_types = ["parallel", "parallel", "reduction"]} ins(%p, %bias : !X, tensor<16xf32>) outs(%fill : !A) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %m = arith.mulf %a, %c : f32
    %n = arith.addf %o, %m : f32
    linalg.yield %n : f32
  } -> !A
  %k = arith.constant dense<[true, false]> : tensor<2xi1>
  return %y, %y, %k, %x : !A, !A, tensor<2xi1>, !X
}
}
