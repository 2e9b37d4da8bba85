// RUN: quern-opt %s --quern-drop-unused | FileCheck %s
// RUN: quern-opt %s --quern-drop-unused --remarks-filter=normalize 2>&1 | FileCheck %s --check-prefix=REMARK

// Tests that a weight and a state that nothing refers to go, and those in use stay.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// CHECK-NOT: @unused
// CHECK: quern.weight @used
// CHECK-NOT: @unused_state
// CHECK: func.func @f
// REMARK-DAG: 'unused_weight' is never read: removed
// REMARK-DAG: 'unused_state' is never read: removed
quern.weight @unused_weight : !quern.weight<4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @used : !quern.weight<4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.declare_state @unused_state : !quern.state<window, 4x2>
func.func @f(%x: !T4) -> !T4 {
  %b = quern.weight_ref @used : !quern.weight<4, "f32">
  %y = quern.binary mul %x, %b : !T4, !quern.weight<4, "f32">
  return %y : !T4
}
