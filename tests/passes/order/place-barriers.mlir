// RUN: quern-opt %s --quern-place-barriers -split-input-file -verify-diagnostics | FileCheck %s
// RUN: not quern-opt %s --quern-place-barriers -split-input-file --remarks-filter=order 2>&1 | FileCheck %s --check-prefix=REMARK

!T4 = tensor<?x4xf32, #quern.dims<"T">>
!W = !quern.weight<4x4, "f32">
!V = !quern.weight<4x2, "f32">
!S = !quern.state<window, 4x1>
quern.declare_state @conv : !S {offset = 0 : i64}
quern.declare_state @other : !S {offset = 64 : i64}
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
quern.kernel @pick linear (%x: !T4, %w: !W) -> !T4 {
  %y = quern.linear %x, %w : (!T4, !W) -> !T4
  quern.yield %y : !T4
}
quern.kernel @conv_0 causal_conv1d (%x: !T4, %w: !V, %s: !S, %b: !quern.batch) -> !T4 {
  %y = quern.causal_conv1d %x, %b, %s, %w : (!T4, !quern.batch, !S, !V) -> !T4
  quern.yield %y : !T4
}

// Tests that workers wait before what reads what another may not have written yet, and not before what does not; and that
// a barrier that was there before counts for nothing.
// CHECK-LABEL: func.func @reads
// CHECK-SAME: quern.barriers = 1
// CHECK: "a" at [0] :
// CHECK: "b" at [128] :
// CHECK: "c" at [-1] barrier :
// REMARK: [Analysis] place-barriers | Category:order | Remark="reads: workers wait 1 times in 3 dispatches"
func.func @reads(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "reads", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 256 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  %b = quern.dispatch @act(%x) "b" at [128] barrier : (!T4) -> !T4
  %c = quern.dispatch @sum(%a, %b) "c" at [-1] : (!T4, !T4) -> !T4
  return %c : !T4
}

// Tests that workers wait before what writes over what another may still be reading.
// CHECK-LABEL: func.func @overwrites
// CHECK-SAME: quern.barriers = 3
// CHECK: "a" at [0] :
// CHECK: "b" at [128] barrier :
// CHECK: "c" at [0] barrier :
// CHECK: "d" at [-1] barrier :
func.func @overwrites(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "overwrites", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 256 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [128] : (!T4) -> !T4
  %c = quern.dispatch @act(%x) "c" at [0] : (!T4) -> !T4
  %d = quern.dispatch @sum(%b, %c) "d" at [-1] : (!T4, !T4) -> !T4
  return %d : !T4
}

// Tests that workers wait between two kernels that touch one state, and not between those of two.
// CHECK-LABEL: func.func @state
// CHECK: "a" at [0] :
// CHECK: "b" at [128] :
// CHECK: "c" at [256] barrier :
func.func @state(%x: !T4, %batch: !quern.batch, %v: !V) -> !T4 attributes {quern.entry = "f", quern.bucket = "state", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 384 : i64} {
  %s = quern.state_ref @conv : !S
  %t = quern.state_ref @other : !S
  %a = quern.dispatch @conv_0(%x, %v, %s, %batch) "a" at [0] : (!T4, !V, !S, !quern.batch) -> !T4
  %b = quern.dispatch @conv_0(%x, %v, %t, %batch) "b" at [128] : (!T4, !V, !S, !quern.batch) -> !T4
  %c = quern.dispatch @conv_0(%x, %v, %s, %batch) "c" at [256] : (!T4, !V, !S, !quern.batch) -> !T4
  %d = quern.dispatch @sum(%a, %b) "d" at [-1] : (!T4, !T4) -> !T4
  return %d : !T4
}

// Tests that workers wait between two kernels whose work they fetch, whatever these touch.
// CHECK-LABEL: func.func @fetches
// CHECK: "a" at [0] :
// CHECK: "b" at [128] :
// CHECK: "c" at [-1] barrier :
func.func @fetches(%x: !T4, %w: !W) -> !T4 attributes {quern.entry = "f", quern.bucket = "fetches", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 256 : i64} {
  %a = quern.dispatch @pick(%x, %w) "a" at [0] : (!T4, !W) -> !T4
  %b = quern.dispatch @act(%x) "b" at [128] : (!T4) -> !T4
  %c = quern.dispatch @pick(%x, %w) "c" at [-1] : (!T4, !W) -> !T4
  return %c : !T4
}

// Tests that nobody waits for what every worker computes for itself, nor for room in the arena that it does not use.
// CHECK-LABEL: func.func @replicated
// CHECK-SAME: quern.barriers = 1
// CHECK: "a" at [0] replicated :
// CHECK: "b" at [64] replicated :
// CHECK: "c" at [0] :
// CHECK: "d" at [-1] barrier :
func.func @replicated(%x: !T4, %w: !W) -> !T4 attributes {quern.entry = "f", quern.bucket = "replicated", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64, quern.arena = 128 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] replicated : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [64] replicated : (!T4) -> !T4
  %c = quern.dispatch @pick(%b, %w) "c" at [0] : (!T4, !W) -> !T4
  %d = quern.dispatch @act(%c) "d" at [-1] : (!T4) -> !T4
  return %d : !T4
}

// -----

// Tests that it is the target that says whose work is fetched: cuda shares all out by number.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!W = !quern.weight<4x4, "f32">
module attributes {quern.target = "cuda"} {
quern.kernel @pick linear (%x: !T4, %w: !W) -> !T4 {
  %y = quern.linear %x, %w : (!T4, !W) -> !T4
  quern.yield %y : !T4
}
// CHECK-LABEL: func.func @cuda
// CHECK-SAME: quern.barriers = 0
// CHECK-NOT: barrier :
func.func @cuda(%x: !T4, %w: !W) -> !T4 attributes {quern.entry = "f", quern.bucket = "fetches", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 128 : i64} {
  %a = quern.dispatch @pick(%x, %w) "a" at [0] : (!T4, !W) -> !T4
  %b = quern.dispatch @pick(%x, %w) "b" at [-1] : (!T4, !W) -> !T4
  return %b : !T4
}
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

// -----

// Tests that workers wait before what is of a size that the model counts, though it reads nothing that the counting wrote.
!N = tensor<?xi64, #quern.dims<"n">>
module attributes {quern.sizes = {b = 4 : i64, n = 4 : i64}, quern.counted_sizes = {n = "b"}} {
quern.kernel @where generic (%m: tensor<4xi1>) -> !N {
  %y = quern.where_true %m : tensor<4xi1> -> !N
  quern.yield %y : !N
}
quern.kernel @fill generic () -> !N {
  %n = quern.size "n"
  %c = arith.constant 3 : i64
  %y = tensor.splat %c[%n] : !N
  quern.yield %y : !N
}
quern.kernel @other generic () -> tensor<4xi64> {
  %c = arith.constant 3 : i64
  %y = tensor.splat %c : tensor<4xi64>
  quern.yield %y : tensor<4xi64>
}
// CHECK-LABEL: func.func @counts
// CHECK: "a" at [0] :
// CHECK: "b" at [128] :
// CHECK: "c" at [-1] barrier :
func.func @counts(%m: tensor<4xi1>) -> !N attributes {quern.entry = "f", quern.bucket = "counts", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64, quern.sized, quern.arena = 256 : i64} {
  %a = quern.dispatch @where(%m) "a" at [0] : (tensor<4xi1>) -> !N
  %b = quern.dispatch @other() "b" at [128] : () -> tensor<4xi64>
  %c = quern.dispatch @fill() "c" at [-1] : () -> !N
  return %c : !N
}
}
