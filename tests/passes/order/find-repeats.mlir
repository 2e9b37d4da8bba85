// RUN: quern-opt %s --quern-find-repeats=least=2 -split-input-file -verify-diagnostics | FileCheck %s
// RUN: not quern-opt %s --quern-find-repeats=least=2 -split-input-file --remarks-filter=order 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: quern-opt %s --quern-find-repeats -split-input-file -verify-diagnostics | FileCheck %s --check-prefix=EIGHT
// Tests that what saves less than a small layer's dispatches is no repeat.
// EIGHT-NOT: quern.repeat

!T4 = tensor<?x4xf32, #quern.dims<"T">>
!W = !quern.weight<4x4, "f32">
quern.weight @w : !W {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.packed @p0 : !W packing "rows" attributes {bytes = 64 : i64, offset = 0 : i64} {
  %0 = quern.weight_ref @w : !W
  quern.yield %0 : !W
}
quern.packed @p1 : !W packing "rows" attributes {bytes = 64 : i64, offset = 64 : i64} {
  %0 = quern.weight_ref @w : !W
  quern.yield %0 : !W
}
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @pick linear (%x: !T4, %w: !W) -> !T4 {
  %y = quern.linear %x, %w : (!T4, !W) -> !T4
  quern.yield %y : !T4
}

// Tests that two layers are said to be alike, whose weights and buffers lie elsewhere, from where they are, up to the last
// one's result, which goes to the caller; and that what was said before counts for nothing.
// CHECK-LABEL: func.func @layers
// CHECK: quern.dispatch @act({{.*}}) "before"
// CHECK-NEXT: quern.repeat 2 times 2 dispatches
// CHECK-NEXT: "a.0"
// CHECK-NOT: quern.repeat
// CHECK: return
// REMARK: [Passed] find-repeats | Category:order | Remark="layers: 2 times the same 2 dispatches, behind 1 others"
func.func @layers(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "layers", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 384 : i64} {
  quern.repeat 4 times 1 dispatches
  %p0 = quern.weight_ref @p0 : !W
  %p1 = quern.weight_ref @p1 : !W
  %z = quern.dispatch @act(%x) "before" at [0] : (!T4) -> !T4
  %a = quern.dispatch @pick(%z, %p0) "a.0" at [128] barrier : (!T4, !W) -> !T4
  %b = quern.dispatch @act(%a) "b.0" at [0] barrier : (!T4) -> !T4
  %c = quern.dispatch @pick(%b, %p1) "a.1" at [256] barrier : (!T4, !W) -> !T4
  %d = quern.dispatch @act(%c) "b.1" at [0] barrier : (!T4) -> !T4
  %e = quern.dispatch @act(%d) "after" at [-1] barrier : (!T4) -> !T4
  return %e : !T4
}

// Tests that layers are not alike where one waits and the other does not, or one reads an input of the entry: this goes on.
// CHECK-LABEL: func.func @differ
// CHECK-NOT: quern.repeat
// REMARK: [Missed] find-repeats | Category:order | Remark="differ: no dispatches repeat so that 2 would be saved"
func.func @differ(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "differ", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 384 : i64} {
  %p0 = quern.weight_ref @p0 : !W
  %p1 = quern.weight_ref @p1 : !W
  %a = quern.dispatch @pick(%x, %p0) "a.0" at [0] : (!T4, !W) -> !T4
  %b = quern.dispatch @act(%a) "b.0" at [128] barrier : (!T4) -> !T4
  %c = quern.dispatch @pick(%x, %p1) "a.1" at [256] : (!T4, !W) -> !T4
  %d = quern.dispatch @act(%c) "b.1" at [0] : (!T4) -> !T4
  return %d : !T4
}

// -----

// Tests that a schedule without a plan is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
func.func @unplanned(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64} {
  // expected-error @+1 {{has no offsets: its results have no place in the arena}}
  %a = quern.dispatch @act(%x) "a" : (!T4) -> !T4
  return %a : !T4
}
