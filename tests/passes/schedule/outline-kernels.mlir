// RUN: quern-opt %s --quern-outline-kernels | FileCheck %s

// Tests that equal regions share a kernel whatever their inputs and locations, and others get one of the next number.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK: quern.kernel @rows_0 rows (%{{.*}}: {{.*}}) ->
// CHECK-NEXT: quern.unary {{ ?}}silu
// CHECK-NEXT: quern.yield
// CHECK: quern.kernel @rows_1 rows
// CHECK-NEXT: quern.unary {{ ?}}exp
// CHECK-NOT: quern.kernel
// CHECK-LABEL: @f
// CHECK-NEXT: %[[A:.*]] = quern.dispatch @rows_0(%arg0) "layers.0.act"
// CHECK-NEXT: %[[B:.*]] = quern.dispatch @rows_0(%[[A]]) "layers.1.act"
// CHECK-NEXT: %[[C:.*]] = quern.dispatch @rows_1(%[[B]]) "rows"
// CHECK-NEXT: return %[[C]]
func.func @f(%x: !T4) -> !T4 {
  %a = quern.fused rows(%x) : (!T4) -> !T4 {
  ^bb0(%i: !T4):
    %j = quern.unary silu %i : !T4
    quern.yield %j : !T4
  } loc("layers.0.act")
  %b = quern.fused rows(%a) : (!T4) -> !T4 {
  ^bb0(%i: !T4):
    %j = quern.unary silu %i : !T4
    quern.yield %j : !T4
  } loc("layers.1.act")
  %c = quern.fused rows(%b) : (!T4) -> !T4 {
  ^bb0(%i: !T4):
    %j = quern.unary exp %i : !T4
    quern.yield %j : !T4
  }
  return %c : !T4
}
