// RUN: quern-opt %s --quern-plan-weights | FileCheck %s

// Tests that packed weights follow one another at multiples of 64 bytes, and the section ends on a page.
// CHECK: quern.weights_bytes = 8192 : i64
// CHECK: @a.packed {{.*}}bytes = 20 : i64, offset = 0 : i64
// CHECK: @b.packed {{.*}}bytes = 2176 : i64, offset = 64 : i64
// CHECK: @c.packed {{.*}}bytes = 2048 : i64, offset = 2240 : i64
quern.weight @a : !quern.weight<5, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @b : !quern.weight<20x64, "int8"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @c : !quern.weight<2x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.packed @a.packed : !quern.weight<5, "f32"> packing "rows" {
  %0 = quern.weight_ref @a : !quern.weight<5, "f32">
  quern.yield %0 : !quern.weight<5, "f32">
}
// Two panels of 16 channels: 2 records of 32 inputs, each 512 codes and 16 half-precision scales.
quern.packed @b.packed : !quern.weight<20x64, "int8"> packing "q8.g32.z128.f16" {
  %0 = quern.weight_ref @b : !quern.weight<20x64, "int8">
  quern.yield %0 : !quern.weight<20x64, "int8">
}
// One panel, most of it padding.
quern.packed @c.packed : !quern.weight<2x32, "f32"> packing "f32" {
  %0 = quern.weight_ref @c : !quern.weight<2x32, "f32">
  quern.yield %0 : !quern.weight<2x32, "f32">
}
