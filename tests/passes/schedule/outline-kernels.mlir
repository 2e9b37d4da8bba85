// RUN: quern-opt %s --quern-outline-kernels | FileCheck %s

// Tests that equal regions share a kernel whatever their inputs and locations, and others get one of the next number.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK: quern.kernel @rows_0 rows (%{{.*}}: {{.*}}) ->
// CHECK-NEXT: quern.unary {{ ?}}silu
// CHECK-NEXT: quern.yield
// CHECK: quern.kernel @rows_1 rows
// CHECK-NEXT: quern.unary {{ ?}}exp
// CHECK: quern.kernel @generic_0 generic
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

// Tests that each dispatch of a shared kernel keeps the names of what it may find to be at fault.
// CHECK-LABEL: @g
// CHECK: quern.dispatch @generic_0(%arg0) "layers.0" {quern.fault_names = ["layers.0.gather", "layers.0"]}
// CHECK: quern.dispatch @generic_0(%{{.*}}) "layers.1" {quern.fault_names = ["layers.1.gather", "layers.1"]}
func.func @g(%x: tensor<i64>) -> tensor<i64> {
  %a = quern.fused generic(%x) : (tensor<i64>) -> tensor<i64> {
  ^bb0(%i: tensor<i64>):
    %five = arith.constant 5 : index
    %e = tensor.empty() : tensor<i64>
    %j = linalg.generic {indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>], iterator_types = []} ins(%i : tensor<i64>) outs(%e : tensor<i64>) {
    ^bb0(%p: i64, %o: i64):
      %q = arith.index_cast %p : i64 to index
      %c = quern.check_index %q, %five loc("layers.0.gather")
      %r = arith.index_cast %c : index to i64
      %s = quern.check_divisor %r : i64
      linalg.yield %s : i64
    } -> tensor<i64>
    quern.yield %j : tensor<i64>
  } loc("layers.0")
  %b = quern.fused generic(%a) : (tensor<i64>) -> tensor<i64> {
  ^bb0(%i: tensor<i64>):
    %five = arith.constant 5 : index
    %e = tensor.empty() : tensor<i64>
    %j = linalg.generic {indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>], iterator_types = []} ins(%i : tensor<i64>) outs(%e : tensor<i64>) {
    ^bb0(%p: i64, %o: i64):
      %q = arith.index_cast %p : i64 to index
      %c = quern.check_index %q, %five loc("layers.1.gather")
      %r = arith.index_cast %c : index to i64
      %s = quern.check_divisor %r : i64
      linalg.yield %s : i64
    } -> tensor<i64>
    quern.yield %j : tensor<i64>
  } loc("layers.1")
  return %b : tensor<i64>
}
