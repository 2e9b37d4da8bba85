// RUN: quern-opt %s --quern-plan-states -split-input-file | FileCheck %s

// Tests that kv states share a page of 64 positions, the others a slot, each at a multiple of 64 bytes.
// CHECK: quern.kv_windows = array<i64: 0>, quern.page_bytes = array<i64: 49152>, quern.slot_bytes = 192 : i64
// CHECK: @l0.kv {{.*}}group = 0 : i32, offset = 0 : i64
// CHECK: @l1.window {{.*}}offset = 0 : i64
// CHECK: @l1.recurrent {{.*}}offset = 64 : i64
// CHECK: @l2.kv {{.*}}group = 0 : i32, offset = 16384 : i64
quern.declare_state @l0.kv : !quern.state<kv, 2x16x16>
quern.declare_state @l1.window : !quern.state<window, 5x3>
quern.declare_state @l1.recurrent : !quern.state<recurrent, 2x3x5>
quern.declare_state @l2.kv : !quern.state<kv, 2x32x32>

// -----

// Tests that kv states whose attention has the same window share pages, in groups numbered by their first state: also
// where kernels hold the attention, and where several read one state (the widest window counts, and none is widest).
// CHECK: quern.kv_windows = array<i64: 96, 0, 128>, quern.page_bytes = array<i64: 32768, 49152, 16384>, quern.slot_bytes = 0 : i64
// CHECK: @narrow {{.*}}group = 0 : i32, offset = 0 : i64
// CHECK: @all {{.*}}group = 1 : i32, offset = 0 : i64
// CHECK: @narrow.too {{.*}}group = 0 : i32, offset = 16384 : i64
// CHECK: @narrow.and.wide {{.*}}group = 2 : i32, offset = 0 : i64
// CHECK: @narrow.and.all {{.*}}group = 1 : i32, offset = 16384 : i64
// CHECK: @unread {{.*}}group = 1 : i32, offset = 32768 : i64
!kv = !quern.state<kv, 2x16x16>
!T64 = tensor<?x64xf32, #quern.dims<"T">>
quern.declare_state @narrow : !kv
quern.declare_state @all : !kv
quern.declare_state @narrow.too : !kv
quern.declare_state @narrow.and.wide : !kv
quern.declare_state @narrow.and.all : !kv
quern.declare_state @unread : !kv
quern.kernel @attention_0 attention (%q: !T64, %b: !quern.batch, %s: !kv) -> !T64 {
  %y = quern.attention %q, %b, %s {heads = 4 : i64, scale = 0.25 : f32, window = 96 : i64} : (!T64, !quern.batch, !kv) -> !T64
  quern.yield %y : !T64
}
quern.kernel @attention_1 attention (%q: !T64, %b: !quern.batch, %s: !kv) -> !T64 {
  %y = quern.attention %q, %b, %s {heads = 4 : i64, scale = 0.25 : f32, window = 128 : i64} : (!T64, !quern.batch, !kv) -> !T64
  quern.yield %y : !T64
}
func.func @step.prefill(%q: !T64, %b: !quern.batch) -> !T64 attributes {quern.entry = "step", quern.bucket = "prefill", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64} {
  %narrow = quern.state_ref @narrow : !kv
  %all = quern.state_ref @all : !kv
  %too = quern.state_ref @narrow.too : !kv
  %wide = quern.state_ref @narrow.and.wide : !kv
  %mixed = quern.state_ref @narrow.and.all : !kv
  %0 = quern.dispatch @attention_0(%q, %b, %narrow) "0" : (!T64, !quern.batch, !kv) -> !T64
  %1 = quern.attention %0, %b, %all {heads = 4 : i64, scale = 0.25 : f32} : (!T64, !quern.batch, !kv) -> !T64
  %2 = quern.dispatch @attention_0(%1, %b, %too) "2" : (!T64, !quern.batch, !kv) -> !T64
  %3 = quern.dispatch @attention_0(%2, %b, %wide) "3" : (!T64, !quern.batch, !kv) -> !T64
  %4 = quern.dispatch @attention_1(%3, %b, %wide) "4" : (!T64, !quern.batch, !kv) -> !T64
  %5 = quern.dispatch @attention_0(%4, %b, %mixed) "5" : (!T64, !quern.batch, !kv) -> !T64
  %6 = quern.attention %5, %b, %mixed {heads = 4 : i64, scale = 0.25 : f32} : (!T64, !quern.batch, !kv) -> !T64
  return %6 : !T64
}

// -----

// Tests that a window as long as the context is none.
// CHECK: quern.kv_windows = array<i64: 0>
!kv = !quern.state<kv, 2x16x16>
!T64 = tensor<?x64xf32, #quern.dims<"T">>
module attributes {quern.model = {context = 96 : i64}} {
quern.declare_state @a : !kv
quern.declare_state @b : !kv
func.func @step(%q: !T64, %batch: !quern.batch) -> !T64 {
  %a = quern.state_ref @a : !kv
  %b = quern.state_ref @b : !kv
  %0 = quern.attention %q, %batch, %a {heads = 4 : i64, scale = 0.25 : f32, window = 96 : i64} : (!T64, !quern.batch, !kv) -> !T64
  %1 = quern.attention %0, %batch, %b {heads = 4 : i64, scale = 0.25 : f32} : (!T64, !quern.batch, !kv) -> !T64
  return %1 : !T64
}
}

// -----

// Tests that a latent cache has its 576 numbers a position, and no values beside them; int8 has 18 scales a position more.
// CHECK: quern.page_bytes = array<i64: 262656>
// CHECK: @l0.kv {{.*}}offset = 0 : i64
// CHECK: @l1.kv {{.*}}offset = 147456 : i64
// CHECK: @l2.kv {{.*}}offset = 221184 : i64
quern.declare_state @l0.kv : !quern.state<kv, 1x576x512, shared>
quern.declare_state @l1.kv : !quern.state<kv, 1x576x512, bf16, shared>
quern.declare_state @l2.kv : !quern.state<kv, 1x576x512, int8, shared>
