// RUN: quern-opt %s --quern-verify-plan -split-input-file -verify-diagnostics

// Tests that a plan with every byte in its place passes.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
module attributes {quern.weights_bytes = 4096 : i64, quern.slot_bytes = 128 : i64, quern.page_bytes = array<i64: 16384>, quern.kv_windows = array<i64: 0>} {
quern.weight @w : !quern.weight<5, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.packed @p : !quern.weight<5, "f32"> packing "rows" attributes {bytes = 20 : i64, offset = 0 : i64} {
  %0 = quern.weight_ref @w : !quern.weight<5, "f32">
  quern.yield %0 : !quern.weight<5, "f32">
}
quern.packed @q : !quern.weight<5, "f32"> packing "rows" attributes {bytes = 20 : i64, offset = 64 : i64} {
  %0 = quern.weight_ref @w : !quern.weight<5, "f32">
  quern.yield %0 : !quern.weight<5, "f32">
}
quern.declare_state @a : !quern.state<window, 4x2> {offset = 0 : i64}
quern.declare_state @b : !quern.state<window, 4x2> {offset = 64 : i64}
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 256 : i64, quern.arena_bound = 256 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [128] : (!T4) -> !T4
  %c = quern.dispatch @sum(%a, %b) "c" at [-1] : (!T4, !T4) -> !T4
  return %c : !T4
}
}

// -----

// Tests that two live buffers that overlap are refused, both named.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
module attributes {quern.weights_bytes = 4096 : i64, quern.slot_bytes = 64 : i64, quern.page_bytes = array<i64: 16384>, quern.kv_windows = array<i64: 0>} {
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 256 : i64, quern.arena_bound = 256 : i64} {
  // expected-note @+1 {{this, at bytes 0 to 128}}
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  // expected-error @+1 {{lies at bytes 64 to 192 of the arena, where something else does}}
  %b = quern.dispatch @act(%a) "b" at [64] : (!T4) -> !T4
  %c = quern.dispatch @sum(%a, %b) "c" at [-1] : (!T4, !T4) -> !T4
  return %c : !T4
}
}

// -----

// Tests that a buffer that ends outside the arena is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
module attributes {quern.weights_bytes = 4096 : i64, quern.slot_bytes = 64 : i64, quern.page_bytes = array<i64: 16384>, quern.kv_windows = array<i64: 0>} {
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 256 : i64, quern.arena_bound = 256 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  // expected-error @+1 {{ends at byte 320 of the arena, which has 256}}
  %b = quern.dispatch @act(%a) "b" at [192] : (!T4) -> !T4
  %c = quern.dispatch @sum(%a, %b) "c" at [-1] : (!T4, !T4) -> !T4
  return %c : !T4
}
}

// -----

// Tests that an unaligned buffer is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
module attributes {quern.weights_bytes = 4096 : i64, quern.slot_bytes = 64 : i64, quern.page_bytes = array<i64: 16384>, quern.kv_windows = array<i64: 0>} {
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 256 : i64, quern.arena_bound = 256 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  // expected-error @+1 {{has offset 100, no multiple of 64}}
  %b = quern.dispatch @act(%a) "b" at [100] : (!T4) -> !T4
  %c = quern.dispatch @sum(%a, %b) "c" at [-1] : (!T4, !T4) -> !T4
  return %c : !T4
}
}

// -----

// Tests that a place in the arena for the entry's result is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
module attributes {quern.weights_bytes = 4096 : i64, quern.slot_bytes = 64 : i64, quern.page_bytes = array<i64: 16384>, quern.kv_windows = array<i64: 0>} {
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 256 : i64, quern.arena_bound = 256 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [128] : (!T4) -> !T4
  // expected-error @+1 {{has a place in the arena for a result of the entry, which lies in the caller's memory}}
  %c = quern.dispatch @sum(%a, %b) "c" at [0] : (!T4, !T4) -> !T4
  return %c : !T4
}
}

// -----

// Tests that a buffer without a place is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
module attributes {quern.weights_bytes = 4096 : i64, quern.slot_bytes = 64 : i64, quern.page_bytes = array<i64: 16384>, quern.kv_windows = array<i64: 0>} {
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 256 : i64, quern.arena_bound = 256 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  // expected-error @+1 {{has no place in the arena for a result that is not the entry's}}
  %b = quern.dispatch @act(%a) "b" at [-1] : (!T4) -> !T4
  %c = quern.dispatch @sum(%a, %b) "c" at [-1] : (!T4, !T4) -> !T4
  return %c : !T4
}
}

// -----

// Tests that a bound that is not the most bytes live at once is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
module attributes {quern.weights_bytes = 4096 : i64, quern.slot_bytes = 64 : i64, quern.page_bytes = array<i64: 16384>, quern.kv_windows = array<i64: 0>} {
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
// expected-error @+1 {{has an arena bound of 128 bytes; 256 are live at once}}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 256 : i64, quern.arena_bound = 128 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [128] : (!T4) -> !T4
  %c = quern.dispatch @sum(%a, %b) "c" at [-1] : (!T4, !T4) -> !T4
  return %c : !T4
}
}

// -----

// Tests that an arena far above the bound is a warning.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
module attributes {quern.weights_bytes = 4096 : i64, quern.slot_bytes = 64 : i64, quern.page_bytes = array<i64: 16384>, quern.kv_windows = array<i64: 0>} {
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
// expected-warning @+1 {{has an arena of 384 bytes, more than 1 % above the 256 that are live at once}}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 384 : i64, quern.arena_bound = 256 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [256] : (!T4) -> !T4
  %c = quern.dispatch @sum(%a, %b) "c" at [-1] : (!T4, !T4) -> !T4
  return %c : !T4
}
}

// -----

// Tests that two weights that overlap are refused.
module attributes {quern.weights_bytes = 4096 : i64, quern.slot_bytes = 64 : i64, quern.page_bytes = array<i64: 16384>, quern.kv_windows = array<i64: 0>} {
quern.weight @w : !quern.weight<5, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
// expected-note @+1 {{this, at bytes 0 to 20}}
quern.packed @p : !quern.weight<5, "f32"> packing "rows" attributes {bytes = 20 : i64, offset = 0 : i64} {
  %0 = quern.weight_ref @w : !quern.weight<5, "f32">
  quern.yield %0 : !quern.weight<5, "f32">
}
// expected-error @+1 {{lies at bytes 0 to 20 of the weights section, where something else does}}
quern.packed @q : !quern.weight<5, "f32"> packing "rows" attributes {bytes = 20 : i64, offset = 0 : i64} {
  %0 = quern.weight_ref @w : !quern.weight<5, "f32">
  quern.yield %0 : !quern.weight<5, "f32">
}
}

// -----

// Tests that a weight of a wrong size is refused.
module attributes {quern.weights_bytes = 4096 : i64, quern.slot_bytes = 64 : i64, quern.page_bytes = array<i64: 16384>, quern.kv_windows = array<i64: 0>} {
quern.weight @w : !quern.weight<5, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
// expected-error @+1 {{has 20 bytes, not 16}}
quern.packed @p : !quern.weight<5, "f32"> packing "rows" attributes {bytes = 16 : i64, offset = 0 : i64} {
  %0 = quern.weight_ref @w : !quern.weight<5, "f32">
  quern.yield %0 : !quern.weight<5, "f32">
}
quern.packed @q : !quern.weight<5, "f32"> packing "rows" attributes {bytes = 20 : i64, offset = 64 : i64} {
  %0 = quern.weight_ref @w : !quern.weight<5, "f32">
  quern.yield %0 : !quern.weight<5, "f32">
}
}

// -----

// Tests that a state outside the slot is refused.
module attributes {quern.weights_bytes = 4096 : i64, quern.slot_bytes = 64 : i64, quern.page_bytes = array<i64: 16384>, quern.kv_windows = array<i64: 0>} {
quern.declare_state @a : !quern.state<window, 4x2> {offset = 0 : i64}
// expected-error @+1 {{ends at byte 96 of a slot, which has 64}}
quern.declare_state @b : !quern.state<window, 4x2> {offset = 64 : i64}
}

// -----

// Tests that a kv state of an unknown group is refused.
module attributes {quern.weights_bytes = 4096 : i64, quern.slot_bytes = 64 : i64, quern.page_bytes = array<i64: 16384>, quern.kv_windows = array<i64: 0>} {
// expected-error @+1 {{is of a kv group that has no page size}}
quern.declare_state @a : !quern.state<kv, 2x16x16> {offset = 0 : i64, group = 1 : i32}
}

// -----

// Tests that attention that looks further back than its state keeps is refused, and that it may look less far.
!kv = !quern.state<kv, 2x16x16>
!T64 = tensor<?x64xf32, #quern.dims<"T">>
module attributes {quern.weights_bytes = 4096 : i64, quern.slot_bytes = 0 : i64, quern.page_bytes = array<i64: 16384>, quern.kv_windows = array<i64: 96>} {
quern.declare_state @kv : !kv {group = 0 : i32, offset = 0 : i64}
quern.kernel @attention_0 attention (%q: !T64, %b: !quern.batch, %s: !kv) -> !T64 {
  %y = quern.attention %q, %b, %s {heads = 4 : i64, scale = 0.25 : f32, window = 95 : i64} : (!T64, !quern.batch, !kv) -> !T64
  quern.yield %y : !T64
}
quern.kernel @attention_1 attention (%q: !T64, %b: !quern.batch, %s: !kv) -> !T64 {
  %y = quern.attention %q, %b, %s {heads = 4 : i64, scale = 0.25 : f32, window = 97 : i64} : (!T64, !quern.batch, !kv) -> !T64
  quern.yield %y : !T64
}
func.func @f(%q: !T64, %b: !quern.batch) -> !T64 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 2048 : i64, quern.arena_bound = 2048 : i64} {
  %s = quern.state_ref @kv : !kv
  %0 = quern.dispatch @attention_0(%q, %b, %s) "0" at [0] : (!T64, !quern.batch, !kv) -> !T64
  // expected-error @+1 {{has attention that sees 97 positions of kv, whose kv group keeps 96}}
  %1 = quern.dispatch @attention_1(%0, %b, %s) "1" at [-1] : (!T64, !quern.batch, !kv) -> !T64
  return %1 : !T64
}
}

// -----

// Tests that a kv group without a window attribute is refused.
// expected-error @+1 {{has 2 page sizes and 1 windows of kv groups}}
module attributes {quern.weights_bytes = 4096 : i64, quern.slot_bytes = 0 : i64, quern.page_bytes = array<i64: 16384, 64>, quern.kv_windows = array<i64: 96>} {
}

// -----

// Tests that a module without a plan is refused.
// expected-error @+1 {{has no `quern.weights_bytes`; the plan phase sets it}}
module {
}
