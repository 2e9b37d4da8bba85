// Tests that what is printed parses to the same: a whole model, and every op in its own spelling.
// RUN: quern-opt %s > %t
// RUN: quern-opt %t | diff %t -
// RUN: quern-opt %s --mlir-print-op-generic | quern-opt | diff %t -
// RUN: quern-opt %S/../Inputs/hybrid.mlir --mlir-print-op-generic | quern-opt > %t.model
// RUN: quern-opt %S/../Inputs/hybrid.mlir | diff %t.model -
// RUN: FileCheck %s < %t

// CHECK: quern.weight @w : !quern.weight<8x8, "f32"> {file = 0 : i32, offset = 64 : i64}
quern.weight @w : !quern.weight<8x8, "f32"> {file = 0 : i32, offset = 64 : i64}
// CHECK: quern.weight @c : !quern.weight<8x64, "int4:g32:sym"> {coded = #quern.coded<layout = "gptq", bits = 4, group = 32, zeros_less_one = true, codes = "i32", scales = <0, 320, "f16">, zeros = <1, 64, "i32">>, file = 0 : i32, offset = 64 : i64}
quern.weight @c : !quern.weight<8x64, "int4:g32:sym"> {coded = #quern.coded<layout = "gptq", bits = 4, group = 32, zeros_less_one = true, codes = "i32", scales = <0, 320, "f16">, zeros = <1, 64, "i32">>, file = 0 : i32, offset = 64 : i64}
// CHECK: quern.weight @n : !quern.weight<8x64, "f32"> {coded = #quern.coded<layout = "nibbles", bits = 4, group = 64, scale_offset = 2.500000e-01 : f32, scale_group = 256, codes = "u8", scales = <0, 320, "u8">, table = <0, 328, "f32">, scale_table = <0, 392, "f32">, scale_scales = <0, 1416, "f32">>, file = 0 : i32, offset = 64 : i64}
quern.weight @n : !quern.weight<8x64, "f32"> {coded = #quern.coded<layout = "nibbles", bits = 4, group = 64, scale_offset = 0.25 : f32, scale_group = 256, codes = "u8", scales = <0, 320, "u8">, table = <0, 328, "f32">, scale_table = <0, 392, "f32">, scale_scales = <0, 1416, "f32">>, file = 0 : i32, offset = 64 : i64}
// CHECK: quern.declare_state @s : !quern.state<recurrent, 2x4x4> {group = 1 : i32, offset = 128 : i64}
quern.declare_state @s : !quern.state<recurrent, 2x4x4> {group = 1 : i32, offset = 128 : i64}
// CHECK: quern.packed @p : !quern.weight<8x8, "int8"> packing "q8.g32.z128.f16" attributes {bytes = 4096 : i64, offset = 0 : i64} {
quern.packed @p : !quern.weight<8x8, "int8"> packing "q8.g32.z128.f16" attributes {offset = 0 : i64, bytes = 4096 : i64} {
  %0 = quern.weight_ref @w : !quern.weight<8x8, "f32">
  // CHECK: quern.weight_convert %{{.*}} : <8x8, "f32"> -> <8x8, "int8">
  %1 = quern.weight_convert %0 : !quern.weight<8x8, "f32"> -> !quern.weight<8x8, "int8">
  quern.yield %1 : !quern.weight<8x8, "int8">
}
// CHECK: quern.kernel @linear_0 linear (%{{.*}}: !quern.q8_rows<"T", 8>, %{{.*}}: !quern.weight<8x8, "int8">) -> tensor<?x8xf32, #quern.dims<"T">> attributes {quern.note = "x"} {
quern.kernel @linear_0 linear (%x: !quern.q8_rows<"T", 8>, %w: !quern.weight<8x8, "int8">) -> tensor<?x8xf32, #quern.dims<"T">> attributes {quern.note = "x"} {
  %0 = quern.linear %x, %w : (!quern.q8_rows<"T", 8>, !quern.weight<8x8, "int8">) -> tensor<?x8xf32, #quern.dims<"T">>
  quern.yield %0 : tensor<?x8xf32, #quern.dims<"T">>
}
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">> {
  %p = quern.weight_ref @p : !quern.weight<8x8, "int8">
  // CHECK: quern.fused rows(%{{.*}}) : (tensor<?x8xf32, #quern.dims<"T">>) -> !quern.q8_rows<"T", 8> {
  %q = quern.fused rows (%x) : (tensor<?x8xf32, #quern.dims<"T">>) -> !quern.q8_rows<"T", 8> {
  ^bb0(%a: tensor<?x8xf32, #quern.dims<"T">>):
    %0 = quern.quantize_rows %a : tensor<?x8xf32, #quern.dims<"T">> -> !quern.q8_rows<"T", 8>
    quern.yield %0 : !quern.q8_rows<"T", 8>
  }
  // CHECK: quern.dispatch @linear_0(%{{.*}}, %{{.*}}) "model.layers.0.q_proj" at [-1] : (!quern.q8_rows<"T", 8>, !quern.weight<8x8, "int8">) -> tensor<?x8xf32, #quern.dims<"T">>
  %y = quern.dispatch @linear_0(%q, %p) "model.layers.0.q_proj" at [-1] : (!quern.q8_rows<"T", 8>, !quern.weight<8x8, "int8">) -> tensor<?x8xf32, #quern.dims<"T">>
  return %y : tensor<?x8xf32, #quern.dims<"T">>
}
// Tests that the marks of an ordered schedule are read as they are printed.
quern.kernel @act rows (%a: tensor<?x8xf32, #quern.dims<"T">>) -> (tensor<?x8xf32, #quern.dims<"T">>) {
  %0 = quern.unary silu %a : tensor<?x8xf32, #quern.dims<"T">>
  quern.yield %0 : tensor<?x8xf32, #quern.dims<"T">>
}
func.func @ordered(%x: tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">> {
  // CHECK: quern.repeat 2 times 1 dispatches{{$}}
  quern.repeat 2 times 1 dispatches
  // CHECK: quern.dispatch @act(%{{.*}}) "a" at [0] barrier replicated :
  %a = quern.dispatch @act(%x) "a" at [0] barrier replicated : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  // CHECK: quern.dispatch @act(%{{.*}}) "b" at [64] scratch 128 barrier :
  %b = quern.dispatch @act(%a) "b" at [64] scratch 128 barrier : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  // CHECK: quern.dispatch @act(%{{.*}}) "c" at [-1] argmax :
  %c = quern.dispatch @act(%b) "c" at [-1] argmax : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return %c : tensor<?x8xf32, #quern.dims<"T">>
}
func.func @g(%x: tensor<?x8xf32, #quern.dims<"T">>, %b: !quern.weight<8, "f32">) -> tensor<?x8xf32, #quern.dims<"T">> {
  // CHECK: %[[N:.*]] = quern.layer_norm %{{.*}} bias %{{.*}} {eps = 1.250000e-01 : f32, group = 4 : i64} :
  %0 = quern.layer_norm %x bias %b {eps = 0.125 : f32, group = 4 : i64} : (tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<8, "f32">) -> tensor<?x8xf32, #quern.dims<"T">>
  // CHECK: quern.layer_norm %[[N]] weight %[[B:.*]] bias %[[B]] {eps = 0.000000e+00 : f32} :
  %1 = quern.layer_norm %0 weight %b bias %b {eps = 0.0 : f32} : (tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<8, "f32">, !quern.weight<8, "f32">) -> tensor<?x8xf32, #quern.dims<"T">>
  return %1 : tensor<?x8xf32, #quern.dims<"T">>
}
