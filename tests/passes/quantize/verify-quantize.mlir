// RUN: quern-opt %s --quern-verify-quantize -split-input-file -verify-diagnostics

// Tests that float rows with float weights pass.
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
quern.weight @w : !quern.weight<16x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @f(%x: !T32) -> !T16 {
  %w = quern.weight_ref @w : !quern.weight<16x32, "f32">
  %y = quern.fused linear(%x, %w) : (!T32, !quern.weight<16x32, "f32">) -> !T16 {
  ^bb0(%a: !T32, %b: !quern.weight<16x32, "f32">):
    %c = quern.linear %a, %b : (!T32, !quern.weight<16x32, "f32">) -> !T16
    quern.yield %c : !T16
  }
  return %y : !T16
}

// -----

// Tests that float rows with integer weights are refused.
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
quern.weight @w : !quern.weight<16x32, "int8"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @f(%x: !T32) -> !T16 {
  %w = quern.weight_ref @w : !quern.weight<16x32, "int8">
  %y = quern.fused linear(%x, %w) : (!T32, !quern.weight<16x32, "int8">) -> !T16 {
  ^bb0(%a: !T32, %b: !quern.weight<16x32, "int8">):
    // expected-error @+1 {{reads float rows with quantized weights}}
    %c = quern.linear %a, %b : (!T32, !quern.weight<16x32, "int8">) -> !T16
    quern.yield %c : !T16
  }
  return %y : !T16
}

// -----

// Tests that an unknown format is refused.
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
quern.weight @w : !quern.weight<16x32, "q1_0"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @f(%x: !T32) -> !T16 {
  %w = quern.weight_ref @w : !quern.weight<16x32, "q1_0">
  // expected-error @+1 {{weight 'w' has the unknown format "q1_0"}}
  %y = quern.fused linear(%x, %w) : (!T32, !quern.weight<16x32, "q1_0">) -> !T16 {
  ^bb0(%a: !T32, %b: !quern.weight<16x32, "q1_0">):
    %c = quern.linear %a, %b : (!T32, !quern.weight<16x32, "q1_0">) -> !T16
    quern.yield %c : !T16
  }
  return %y : !T16
}

// -----

// Tests that a norm in another format than f32 is refused.
!T32 = tensor<?x32xf32, #quern.dims<"T">>
quern.weight @w : !quern.weight<32, "f16"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @f(%x: !T32) -> !T32 {
  %w = quern.weight_ref @w : !quern.weight<32, "f16">
  // expected-error @+1 {{weight 'w' is no matrix and must be f32, not "f16"}}
  %y = quern.fused rows(%x, %w) : (!T32, !quern.weight<32, "f16">) -> !T32 {
  ^bb0(%a: !T32, %b: !quern.weight<32, "f16">):
    %c = quern.rms_norm %a, %b {eps = 1.0e-5 : f32} : (!T32, !quern.weight<32, "f16">) -> !T32
    quern.yield %c : !T32
  }
  return %y : !T32
}

// -----

// Tests that an op outside a region is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
func.func @f(%x: !T4) -> !T4 {
  // expected-error @+1 {{is in no fused region}}
  %y = quern.unary exp %x : !T4
  return %y : !T4
}
