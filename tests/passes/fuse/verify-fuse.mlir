// RUN: quern-opt %s --quern-verify-fuse -split-input-file -verify-diagnostics

// Tests that regions with their prologue and epilogue pass.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
func.func @f(%x: !T4, %w: !quern.weight<4x4, "f32">) -> !T4 {
  %y = quern.fused linear(%x, %w) : (!T4, !quern.weight<4x4, "f32">) -> !T4 {
  ^bb0(%a: !T4, %b: !quern.weight<4x4, "f32">):
    %c = quern.linear %a, %b : (!T4, !quern.weight<4x4, "f32">) -> !T4
    %d = quern.binary add %a, %c : !T4, !T4
    quern.yield %d : !T4
  }
  return %y : !T4
}

// -----

// Tests that an op outside a region is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
func.func @f(%x: !T4) -> !T4 {
  // expected-error @+1 {{is in no fused region; after fuse only references stand outside}}
  %y = quern.unary exp %x : !T4
  return %y : !T4
}

// -----

// Tests that a second anchor is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
func.func @f(%x: !T4, %w: !quern.weight<4x4, "f32">) -> !T4 {
  %y = quern.fused rows(%x, %w) : (!T4, !quern.weight<4x4, "f32">) -> !T4 {
  ^bb0(%a: !T4, %b: !quern.weight<4x4, "f32">):
    // expected-error @+1 {{is an anchor and needs a region of its own, not one of anchor rows}}
    %c = quern.linear %a, %b : (!T4, !quern.weight<4x4, "f32">) -> !T4
    quern.yield %c : !T4
  }
  return %y : !T4
}

// -----

// Tests that a norm after a linear is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
func.func @f(%x: !T4, %w: !quern.weight<4x4, "f32">) -> !T4 {
  %y = quern.fused linear(%x, %w) : (!T4, !quern.weight<4x4, "f32">) -> !T4 {
  ^bb0(%a: !T4, %b: !quern.weight<4x4, "f32">):
    %c = quern.linear %a, %b : (!T4, !quern.weight<4x4, "f32">) -> !T4
    // expected-error @+1 {{is not legal after the anchor of a region of anchor linear}}
    %d = quern.rms_norm %c {eps = 1.0e-5 : f32} : (!T4) -> !T4
    quern.yield %d : !T4
  }
  return %y : !T4
}

// -----

// Tests that a reference inside a region is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.weight @w : !quern.weight<4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @f(%x: !T4) -> !T4 {
  %y = quern.fused rows(%x) : (!T4) -> !T4 {
  ^bb0(%a: !T4):
    // expected-error @+1 {{is not legal inside a fused region; it is one of its inputs}}
    %w = quern.weight_ref @w : !quern.weight<4, "f32">
    %b = quern.binary mul %a, %w : !T4, !quern.weight<4, "f32">
    quern.yield %b : !T4
  }
  return %y : !T4
}

// -----

// Tests that a rows region on rows of two symbols is refused.
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
func.func @f(%x: !T4, %rows: !rows) -> !R4 {
  %y = quern.fused rows(%x, %rows) : (!T4, !rows) -> !R4 {
  ^bb0(%a: !T4, %r: !rows):
    %b = quern.unary exp %a : !T4
    // expected-error @+1 {{has R rows in a rows region of T}}
    %c = quern.gather_rows %b, %r : (!T4, !rows) -> !R4
    quern.yield %c : !R4
  }
  return %y : !R4
}
