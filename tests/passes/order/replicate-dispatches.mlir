// RUN: quern-opt %s --quern-replicate-dispatches -split-input-file -verify-diagnostics | FileCheck %s
// RUN: not quern-opt %s --quern-replicate-dispatches -split-input-file --remarks-filter=order 2>&1 | FileCheck %s --check-prefix=REMARK

// Tests that in a bucket of one token every worker computes rows and embeddings for itself, where the target's kernels
// allow it: not products, not what touches state, not the entry's result, and what was marked before counts for nothing.
!tokens = tensor<?xi32, #quern.dims<"T">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!W = !quern.weight<4x4, "f32">
!V = !quern.weight<4x2, "f32">
!S = !quern.state<window, 4x1>
quern.declare_state @conv : !S {offset = 0 : i64}
quern.kernel @embed embedding (%t: !tokens, %w: !W) -> !T4 {
  %y = quern.embedding %t, %w : (!tokens, !W) -> !T4
  quern.yield %y : !T4
}
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @pick linear (%x: !T4, %w: !W) -> !T4 {
  %y = quern.linear %x, %w : (!T4, !W) -> !T4
  quern.yield %y : !T4
}
quern.kernel @conv_0 causal_conv1d (%x: !T4, %w: !V, %s: !S, %b: !quern.batch) -> !T4 {
  %y = quern.causal_conv1d %x, %b, %s, %w : (!T4, !quern.batch, !S, !V) -> !T4
  quern.yield %y : !T4
}
// CHECK-LABEL: func.func @one
// CHECK: "a" at [0] replicated :
// CHECK: "b" at [64] replicated :
// CHECK: "c" at [128] :
// CHECK: "d" at [192] :
// CHECK: "e" at [-1] :
// REMARK: [Passed] replicate-dispatches | Category:order | Remark="one: 2 of 5 dispatches are computed by every worker"
func.func @one(%t: !tokens, %batch: !quern.batch, %w: !W, %v: !V) -> !T4 attributes {quern.entry = "f", quern.bucket = "one", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64, quern.arena = 256 : i64} {
  %s = quern.state_ref @conv : !S
  %a = quern.dispatch @embed(%t, %w) "a" at [0] : (!tokens, !W) -> !T4
  %b = quern.dispatch @act(%a) "b" at [64] : (!T4) -> !T4
  %c = quern.dispatch @pick(%b, %w) "c" at [128] replicated : (!T4, !W) -> !T4
  %d = quern.dispatch @conv_0(%c, %v, %s, %batch) "d" at [192] replicated : (!T4, !V, !S, !quern.batch) -> !T4
  %e = quern.dispatch @act(%d) "e" at [-1] : (!T4) -> !T4
  return %e : !T4
}

// Tests that workers share the rows of several tokens.
// CHECK-LABEL: func.func @many
// CHECK-NOT: replicated
func.func @many(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "many", quern.max_tokens = 2 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 2 : i64, quern.arena = 64 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] replicated : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [-1] : (!T4) -> !T4
  return %b : !T4
}

// Tests that nothing is replicated in an arena that a worker cannot have for itself, and that this is said.
// CHECK-LABEL: func.func @large
// CHECK-NOT: replicated
// REMARK: [Missed] replicate-dispatches | Category:order | {{.*}}Remark="large: a worker would need an arena of 1048640 bytes of its own; the target gives it 1048576"
func.func @large(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "large", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64, quern.arena = 1048640 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [-1] : (!T4) -> !T4
  return %b : !T4
}

// -----

// Tests that it is the target that says which kernels: none of cuda's are.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
module attributes {quern.target = "cuda"} {
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
// CHECK-LABEL: func.func @cuda
// CHECK-NOT: replicated
func.func @cuda(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "one", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64, quern.arena = 64 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [-1] : (!T4) -> !T4
  return %b : !T4
}
}

// -----

// Tests that a bucket without a planned arena is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// expected-error @+1 {{has no `quern.arena`; the plan phase sets it}}
func.func @unplanned(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "one", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64} {
  return %x : !T4
}
