// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-normalize-phase --quern-fuse-phase --quern-quantize-weights=quant=int4:g64,asym | FileCheck %s --check-prefix=INT4
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-normalize-phase --quern-fuse-phase --quern-quantize-weights=quant=int6 | sed 's/"int6"/"narrow"/' | FileCheck %s --check-prefix=NARROW
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-normalize-phase --quern-fuse-phase --quern-quantize-weights=quant=int5 | sed 's/"int5"/"narrow"/' | FileCheck %s --check-prefix=NARROW
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-normalize-phase --quern-fuse-phase --quern-quantize-weights=quant=int3 | sed 's/"int3"/"narrow"/' | FileCheck %s --check-prefix=NARROW
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-normalize-phase --quern-fuse-phase --quern-quantize-weights=quant=mxfp4 | sed 's/"mxfp4"/"narrow"/' | FileCheck %s --check-prefix=NARROW
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-normalize-phase --quern-fuse-phase --quern-quantize-weights=quant=int8 --verify-semantics | FileCheck %s --check-prefix=INT8
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-normalize-phase --quern-fuse-phase --quern-quantize-weights --verify-semantics | FileCheck %s --check-prefix=KEEP
// RUN: quern-opt %s --quern-quantize-weights -split-input-file -verify-diagnostics | FileCheck %s
// RUN: not quern-opt %S/../Inputs/mamba2.mlir --quern-quantize-weights=quant=int7 2>&1 | FileCheck %s --check-prefix=FLAG

// Tests that matrices get the format asked for, the tied embedding a more careful one, and norms none.
// INT4: quern.weight_convert {{.*}} : <96x64, "f32"> -> <96x64, "int8">
// INT4: quern.weight_convert {{.*}} : <128x64, "f32"> -> <128x64, "int4:g64:asym">
// INT4-NOT: quern.weight_convert {{.*}} : <64, "f32">
// NARROW: quern.weight_convert {{.*}} : <96x64, "f32"> -> <96x64, "int8">
// NARROW: quern.weight_convert {{.*}} : <128x64, "f32"> -> <128x64, "narrow">
// NARROW-NOT: quern.weight_convert {{.*}} : <64, "f32">
// INT8: quern.weight_convert {{.*}} : <96x64, "f32"> -> <96x64, "int8">
// INT8: quern.weight_convert {{.*}} : <128x64, "f32"> -> <128x64, "int8">
// KEEP-NOT: quern.weight_convert

// Tests that a format there is not is refused, with what there is.
// FLAG: error: --quant: {{.*}}int7

// Tests that kept GGUF blocks stay as they are, and a plain weight becomes f32.
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
// CHECK-LABEL: @plain
// CHECK: %[[B:.*]] = quern.weight_ref @b
// CHECK: %[[F:.*]] = quern.weight_convert %[[B]] : <16, "f16"> -> <16, "f32">
// CHECK: quern.fused linear(%{{.*}}, %{{.*}}, %[[F]])
// CHECK-NEXT: ^bb0(%{{.*}}: {{.*}}, %{{.*}}: !quern.weight<16x32, "q4_k">, %{{.*}}: !quern.weight<16, "f32">)
quern.weight @w : !quern.weight<16x32, "q4_k"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @b : !quern.weight<16, "f16"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @plain(%x: !T32) -> !T16 {
  %w = quern.weight_ref @w : !quern.weight<16x32, "q4_k">
  %v = quern.weight_ref @b : !quern.weight<16, "f16">
  %y = quern.fused linear(%x, %w, %v) : (!T32, !quern.weight<16x32, "q4_k">, !quern.weight<16, "f16">) -> !T16 {
  ^bb0(%a: !T32, %b: !quern.weight<16x32, "q4_k">, %c: !quern.weight<16, "f16">):
    %d = quern.linear %a, %b, %c : (!T32, !quern.weight<16x32, "q4_k">, !quern.weight<16, "f16">) -> !T16
    quern.yield %d : !T16
  }
  return %y : !T16
}

// -----

// Tests that every weight of an unknown format is named, with what to do.
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
quern.weight @"blk.0.ffn_up.weight" : !quern.weight<16x32, "q1_0"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @unknown(%x: !T32) -> !T16 {
  %w = quern.weight_ref @"blk.0.ffn_up.weight" : !quern.weight<16x32, "q1_0">
  // expected-error @+1 {{weight 'blk.0.ffn_up.weight' is stored as "q1_0", a format that Quern has no kernels for; convert the model to one of f32, f16, bf16, q4_0}}
  %y = quern.fused linear(%x, %w) : (!T32, !quern.weight<16x32, "q1_0">) -> !T16 {
  ^bb0(%a: !T32, %b: !quern.weight<16x32, "q1_0">):
    %c = quern.linear %a, %b : (!T32, !quern.weight<16x32, "q1_0">) -> !T16
    quern.yield %c : !T16
  }
  return %y : !T16
}

// -----

// Tests that a weight whose blocks would have to be cut is named.
!T32 = tensor<?x32xf32, #quern.dims<"T">>
quern.weight @"h.0.c_fc.weight" : !quern.weight<32x32, "q8_0"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @blocks(%x: !T32) -> !T32 {
  %w = quern.weight_ref @"h.0.c_fc.weight" : !quern.weight<32x32, "q8_0">
  %t = quern.weight_transpose %w : !quern.weight<32x32, "q8_0"> -> !quern.weight<32x32, "q8_0">
  // expected-error @+1 {{weight 'h.0.c_fc.weight' is stored as "q8_0", whose blocks cannot be transposed; convert the model to f32, f16 or bf16}}
  %y = quern.fused linear(%x, %t) : (!T32, !quern.weight<32x32, "q8_0">) -> !T32 {
  ^bb0(%a: !T32, %b: !quern.weight<32x32, "q8_0">):
    %c = quern.linear %a, %b : (!T32, !quern.weight<32x32, "q8_0">) -> !T32
    quern.yield %c : !T32
  }
  return %y : !T32
}
