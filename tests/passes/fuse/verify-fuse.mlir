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

// -----

// Tests that a sum over more elements than a machine gets through is refused, of whatever sizes it is called with.
#in = affine_map<(i, j) -> (j)>
#out = affine_map<(i, j) -> (i)>
!n = tensor<?xi64, #quern.dims<"n">>
module attributes {quern.sizes = {n = 8}} {
  func.func @f(%x: tensor<4611686018427387904xi64>, %y: !n) -> !n {
    %r = quern.fused generic(%x, %y) : (tensor<4611686018427387904xi64>, !n) -> !n {
    ^bb0(%a: tensor<4611686018427387904xi64>, %b: !n):
      // expected-error @+1 {{takes 2^60 steps or more, whatever it is called with; no machine gets to their end}}
      %c = linalg.generic {indexing_maps = [#in, #out], iterator_types = ["parallel", "reduction"]} ins(%a : tensor<4611686018427387904xi64>) outs(%b : !n) {
      ^bb0(%e: i64, %s: i64):
        %t = arith.addi %e, %s : i64
        linalg.yield %t : i64
      } -> !n
      quern.yield %c : !n
    }
    return %r : !n
  }
}

// -----

// Tests that one that is so at the greatest sizes only names them.
#in = affine_map<(i, j) -> (i, j)>
#out = affine_map<(i, j) -> (i)>
!nm = tensor<?x?xi64, #quern.dims<"n", "m">>
!n = tensor<?xi64, #quern.dims<"n">>
module attributes {quern.sizes = {n = 536870912, m = 536870912}} {
  func.func @f(%x: !nm, %y: !n) -> !n {
    %r = quern.fused generic(%x, %y) : (!nm, !n) -> !n {
    ^bb0(%a: !nm, %b: !n):
      // expected-error @+1 {{takes 2^58 steps or more at the greatest sizes, m = 536870912, n = 536870912; no machine gets to their end: bound them, --dim NAME=MAX}}
      %c = linalg.generic {indexing_maps = [#in, #out], iterator_types = ["parallel", "reduction"]} ins(%a : !nm) outs(%b : !n) {
      ^bb0(%e: i64, %s: i64):
        %t = arith.addi %e, %s : i64
        linalg.yield %t : i64
      } -> !n
      quern.yield %c : !n
    }
    return %r : !n
  }
}

// -----

// Tests that elements that are computed on demand are none of these.
#id = affine_map<(i) -> (i)>
module attributes {quern.sizes = {}} {
  func.func @f(%x: tensor<4611686018427387904xi64>) -> tensor<4xi64> {
    %r = quern.fused generic(%x) : (tensor<4611686018427387904xi64>) -> tensor<4xi64> {
    ^bb0(%a: tensor<4611686018427387904xi64>):
      %e = tensor.empty() : tensor<4611686018427387904xi64>
      %b = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%a : tensor<4611686018427387904xi64>) outs(%e : tensor<4611686018427387904xi64>) {
      ^bb0(%n: i64, %s: i64):
        %t = arith.addi %n, %n : i64
        linalg.yield %t : i64
      } -> tensor<4611686018427387904xi64>
      %c = tensor.extract_slice %b[0] [4] [1] : tensor<4611686018427387904xi64> to tensor<4xi64>
      quern.yield %c : tensor<4xi64>
    }
    return %r : tensor<4xi64>
  }
}
