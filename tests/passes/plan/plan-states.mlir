// RUN: quern-opt %s --quern-plan-states | FileCheck %s

// Tests that kv states share a page of 64 positions, the others a slot, each at a multiple of 64 bytes.
// CHECK: quern.page_bytes = array<i64: 49152>, quern.slot_bytes = 192 : i64
// CHECK: @l0.kv {{.*}}group = 0 : i32, offset = 0 : i64
// CHECK: @l1.window {{.*}}offset = 0 : i64
// CHECK: @l1.recurrent {{.*}}offset = 64 : i64
// CHECK: @l2.kv {{.*}}group = 0 : i32, offset = 16384 : i64
quern.declare_state @l0.kv : !quern.state<kv, 2x16x16>
quern.declare_state @l1.window : !quern.state<window, 5x3>
quern.declare_state @l1.recurrent : !quern.state<recurrent, 2x3x5>
quern.declare_state @l2.kv : !quern.state<kv, 2x32x32>
