// RUN: quern-opt %s --quern-verify-normalize -split-input-file -verify-diagnostics

// Tests that an entry in normal form passes.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.weight @w : !quern.weight<4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @f(%x: !T4) -> !T4 {
  %w = quern.weight_ref @w : !quern.weight<4, "f32">
  %y = quern.binary mul %x, %w : !T4, !quern.weight<4, "f32">
  return %y : !T4
}

// -----

// Tests that an op of another dialect is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
func.func private @g(!T4) -> !T4
func.func @f(%x: !T4) -> !T4 {
  // expected-error @+1 {{is no op of the quern dialect, nor one of general tensor programs: a frontend must raise it before this phase}}
  %y = func.call @g(%x) : (!T4) -> !T4
  return %y : !T4
}

// -----

// Tests that rows of an unknown symbol are refused.
!S4 = tensor<?x4xf32, #quern.dims<"S">>
func.func @f(%x: !S4) -> !S4 {
  // expected-error @+1 {{has a dimension 'S', which is not T, B or R, nor an expression over the module's quern.sizes}}
  %y = quern.unary exp %x : !S4
  return %y : !S4
}

// -----

// Tests that a reference after computation is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.weight @w : !quern.weight<4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @f(%x: !T4) -> !T4 {
  %e = quern.unary exp %x : !T4
  // expected-error @+1 {{comes after computation; quern-hoist-references moves it}}
  %w = quern.weight_ref @w : !quern.weight<4, "f32">
  %y = quern.binary mul %e, %w : !T4, !quern.weight<4, "f32">
  return %y : !T4
}

// -----

// Tests that an op without a use is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
func.func @f(%x: !T4) -> !T4 {
  // expected-error @+1 {{has no use; quern-simplify removes it}}
  %e = quern.unary exp %x : !T4
  %y = quern.unary silu %x : !T4
  return %y : !T4
}

// -----

// Tests that quantized rows are refused: they belong to a later phase.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
func.func @f(%x: !T4) -> !quern.q8_rows<"T", 4> {
  // expected-error @+1 {{is not legal before the quantize phase}}
  %q = quern.quantize_rows %x : !T4 -> !quern.q8_rows<"T", 4>
  return %q : !quern.q8_rows<"T", 4>
}

// -----

// Tests that an entry that returns its argument is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
func.func @f(%x: !T4) -> !T4 {
  // expected-error @+1 {{result 0 of the entry is not computed by it}}
  return %x : !T4
}

// -----

// Tests that an entry that returns a value twice is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
func.func @f(%x: !T4) -> (!T4, !T4) {
  %y = quern.unary silu %x : !T4
  // expected-error @+1 {{result 1 of the entry is returned twice}}
  return %y, %y : !T4, !T4
}

// -----

// Tests that a softmax is refused: a pass before takes it apart.
func.func @main(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %e = tensor.empty() : tensor<2x3xf32>
  // expected-error @+1 {{is not legal after normalize; quern-decompose-softmax takes it apart}}
  %y = linalg.softmax dimension(1) ins(%x : tensor<2x3xf32>) outs(%e : tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// -----

// Tests that a constant is no result.
func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
  %c = arith.constant dense<1.0> : tensor<2xf32>
  // expected-error @+1 {{result 0 of the entry is not computed by it}}
  return %c : tensor<2xf32>
}
