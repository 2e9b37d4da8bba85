// RUN: quern-opt %s --quern-outline-weights -verify-diagnostics

// Tests that a weight without a packing is named.
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
quern.weight @w : !quern.weight<16x32, "q1_0"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @f(%x: !T32) -> !T16 {
  %w = quern.weight_ref @w : !quern.weight<16x32, "q1_0">
  // expected-error @+1 {{weight 'w' has the unknown format "q1_0"; quern-quantize-weights gives it one that kernels read}}
  %y = quern.fused linear(%x, %w) : (!T32, !quern.weight<16x32, "q1_0">) -> !T16 {
  ^bb0(%a: !T32, %b: !quern.weight<16x32, "q1_0">):
    %c = quern.linear %a, %b : (!T32, !quern.weight<16x32, "q1_0">) -> !T16
    quern.yield %c : !T16
  }
  return %y : !T16
}
