// Tests that a pass which swaps the operands of a subtraction is named, and once only.
// RUN: not quern-opt-test %s --verify-semantics --verify-semantics-seed=5 --test-plant-bug=bug=swap --canonicalize 2>&1 | FileCheck %s
// CHECK: error: pass test-plant-bug changed the meaning: entry step
// CHECK-NOT: changed the meaning

!T8 = tensor<?x8xf32, #quern.dims<"T">>
!R8 = tensor<?x8xf32, #quern.dims<"R">>
module {
  quern.weight @embed : !quern.weight<12x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.5 : f32}
  quern.weight @bias : !quern.weight<8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.5 : f32}
  func.func @step(%tokens: tensor<?xi32, #quern.dims<"T">>, %rows: tensor<?xi32, #quern.dims<"R">>, %batch: !quern.batch) -> !R8 {
    %embed = quern.weight_ref @embed : !quern.weight<12x8, "f32">
    %x = quern.embedding %tokens, %embed : (tensor<?xi32, #quern.dims<"T">>, !quern.weight<12x8, "f32">) -> !T8
    %s = quern.unary silu %x : !T8
    %d = quern.binary sub %x, %s : !T8, !T8
    %y = quern.gather_rows %d, %rows : (!T8, tensor<?xi32, #quern.dims<"R">>) -> !R8
    return %y : !R8
  }
}
