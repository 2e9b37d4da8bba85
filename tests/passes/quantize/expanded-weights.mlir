// RUN: quern-opt %s --quern-quantize-weights --remarks-filter=quantize 2>&1 | FileCheck %s

// Tests that a weight of a checkpoint's codes that no packing holds is named with what that costs;
// one whose format has a packing is not.
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T256 = tensor<?x256xf32, #quern.dims<"T">>
// CHECK-NOT: 'v': no packing
// CHECK: 'c': no packing holds its codes (layout nibbles) exactly, so it is packed as f32
// CHECK-LABEL: @expanded
// CHECK-NOT: quern.weight_convert
quern.weight @v : !quern.weight<16x256, "q2_k"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @c : !quern.weight<16x256, "f32"> {coded = #quern.coded<layout = "nibbles", bits = 4, group = 64, codes = "u8", scales = <0, 2048, "f32">, table = <0, 2304, "f32">>, file = 0 : i32, offset = 0 : i64}
func.func @expanded(%x: !T256) -> (!T16, !T16) {
  %u = quern.weight_ref @c : !quern.weight<16x256, "f32">
  %v = quern.weight_ref @v : !quern.weight<16x256, "q2_k">
  %z = quern.fused linear(%x, %v) : (!T256, !quern.weight<16x256, "q2_k">) -> !T16 {
  ^bb0(%a: !T256, %b: !quern.weight<16x256, "q2_k">):
    %c = quern.linear %a, %b : (!T256, !quern.weight<16x256, "q2_k">) -> !T16
    quern.yield %c : !T16
  }
  %n = quern.fused linear(%x, %u) : (!T256, !quern.weight<16x256, "f32">) -> !T16 {
  ^bb0(%a: !T256, %b: !quern.weight<16x256, "f32">):
    %c = quern.linear %a, %b : (!T256, !quern.weight<16x256, "f32">) -> !T16
    quern.yield %c : !T16
  }
  return %z, %n : !T16, !T16
}
