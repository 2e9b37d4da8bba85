// RUN: quern-opt %s --quern-outline-weights --verify-semantics -split-input-file | FileCheck %s
// RUN: quern-opt %s --quern-outline-weights -split-input-file | FileCheck %s --check-prefix=ORDER

// Tests that equal expressions become one packed weight in the order of use, matrices in panels, the rest in plain rows.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!R16 = tensor<?x16xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// ORDER: quern.packed @embed.packed
// ORDER: quern.packed @norm.packed
// ORDER: quern.packed @embed.packed_0
// ORDER-NOT: quern.packed
// CHECK: quern.packed @embed.packed : !quern.weight<16x4, "f32"> packing "f32" {
// CHECK-NEXT: quern.weight_ref @embed
// CHECK-NEXT: quern.yield
// CHECK: quern.packed @norm.packed : !quern.weight<4, "f32"> packing "rows" {
// CHECK-NEXT: quern.weight_ref @norm
// CHECK-NEXT: quern.weight_map
// CHECK: quern.packed @embed.packed_0 : !quern.weight<16x4, "int8"> packing "q8.g32.z128.f16" {
// CHECK-NEXT: quern.weight_ref @embed
// CHECK-NEXT: quern.weight_convert
// CHECK-LABEL: @step
// CHECK-NOT: quern.weight_map
// CHECK-NOT: quern.weight_convert
// CHECK: quern.weight_ref @embed.packed
quern.weight @embed : !quern.weight<16x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @norm : !quern.weight<4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R16 {
  %embed = quern.weight_ref @embed : !quern.weight<16x4, "f32">
  %n = quern.weight_ref @norm : !quern.weight<4, "f32">
  %m0 = quern.weight_map "add_one" %n : !quern.weight<4, "f32"> -> !quern.weight<4, "f32">
  %m1 = quern.weight_map "add_one" %n : !quern.weight<4, "f32"> -> !quern.weight<4, "f32">
  %q = quern.weight_convert %embed : !quern.weight<16x4, "f32"> -> !quern.weight<16x4, "int8">
  %x = quern.fused embedding(%tokens, %embed) : (!tokens, !quern.weight<16x4, "f32">) -> !T4 {
  ^bb0(%a: !tokens, %b: !quern.weight<16x4, "f32">):
    %c = quern.embedding %a, %b : (!tokens, !quern.weight<16x4, "f32">) -> !T4
    quern.yield %c : !T4
  }
  %y = quern.fused rows(%x, %rows, %m0, %m1) : (!T4, !rows, !quern.weight<4, "f32">, !quern.weight<4, "f32">) -> !quern.q8_rows<"R", 4> {
  ^bb0(%a: !T4, %b: !rows, %c: !quern.weight<4, "f32">, %d: !quern.weight<4, "f32">):
    %e = quern.gather_rows %a, %b : (!T4, !rows) -> !R4
    %f = quern.binary mul %e, %c : !R4, !quern.weight<4, "f32">
    %g = quern.binary mul %f, %d : !R4, !quern.weight<4, "f32">
    %h = quern.quantize_rows %g : !R4 -> !quern.q8_rows<"R", 4>
    quern.yield %h : !quern.q8_rows<"R", 4>
  }
  %z = quern.fused linear(%y, %q) : (!quern.q8_rows<"R", 4>, !quern.weight<16x4, "int8">) -> !R16 {
  ^bb0(%a: !quern.q8_rows<"R", 4>, %b: !quern.weight<16x4, "int8">):
    %c = quern.linear %a, %b : (!quern.q8_rows<"R", 4>, !quern.weight<16x4, "int8">) -> !R16
    quern.yield %c : !R16
  }
  return %z : !R16
}
