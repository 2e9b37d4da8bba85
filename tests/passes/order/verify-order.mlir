// RUN: quern-opt %s --quern-verify-order -split-input-file -verify-diagnostics
// RUN: not quern-opt %s --quern-verify-order -split-input-file --remarks-filter=order 2>&1 | FileCheck %s --check-prefix=REMARK

// Tests that a schedule in order passes: data crosses at barriers, what is apart runs together.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 256 : i64, quern.barriers = 1 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  %b = quern.dispatch @act(%x) "b" at [128] : (!T4) -> !T4
  %c = quern.dispatch @sum(%a, %b) "c" at [-1] barrier : (!T4, !T4) -> !T4
  return %c : !T4
}

// -----

// Tests that a barrier too few is found where a dispatch reads what another writes, and named on both.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 256 : i64, quern.barriers = 1 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  // expected-note @+1 {{this, since the barrier before, writes bytes 128 to 256 of the arena}}
  %b = quern.dispatch @act(%a) "b" at [128] barrier : (!T4) -> !T4
  // expected-error @+1 {{needs a barrier before it: it reads bytes 128 to 256 of the arena}}
  %c = quern.dispatch @sum(%a, %b) "c" at [-1] : (!T4, !T4) -> !T4
  return %c : !T4
}

// -----

// Tests that it is found where a dispatch writes what another may still be reading.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 256 : i64, quern.barriers = 2 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  // expected-note @+1 {{this, since the barrier before, reads bytes 0 to 128 of the arena}}
  %b = quern.dispatch @act(%a) "b" at [128] barrier : (!T4) -> !T4
  // expected-error @+1 {{needs a barrier before it: it writes bytes 0 to 128 of the arena}}
  %c = quern.dispatch @act(%x) "c" at [0] : (!T4) -> !T4
  %d = quern.dispatch @sum(%b, %c) "d" at [-1] barrier : (!T4, !T4) -> !T4
  return %d : !T4
}

// -----

// Tests that it is found where two write to the same bytes, in part.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 256 : i64, quern.barriers = 1 : i64} {
  // expected-note @+1 {{this, since the barrier before, writes bytes 0 to 128 of the arena}}
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  // expected-error @+1 {{needs a barrier before it: it writes bytes 64 to 192 of the arena}}
  %b = quern.dispatch @act(%x) "b" at [64] : (!T4) -> !T4
  %c = quern.dispatch @act(%b) "c" at [-1] barrier : (!T4) -> !T4
  return %c : !T4
}

// -----

// Tests that it is found where two kernels touch a state, by what they do to it, and not where these are two states.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!V = !quern.weight<4x2, "f32">
!S = !quern.state<window, 4x1>
quern.declare_state @conv : !S {offset = 0 : i64}
quern.declare_state @other : !S {offset = 64 : i64}
quern.kernel @conv_0 causal_conv1d (%x: !T4, %w: !V, %s: !S, %b: !quern.batch) -> !T4 {
  %y = quern.causal_conv1d %x, %b, %s, %w : (!T4, !quern.batch, !S, !V) -> !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
func.func @f(%x: !T4, %batch: !quern.batch, %v: !V) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 384 : i64, quern.barriers = 1 : i64} {
  %s = quern.state_ref @conv : !S
  %t = quern.state_ref @other : !S
  // expected-note @+1 {{this, since the barrier before, reads bytes 0 to 16 of a slot}}
  %a = quern.dispatch @conv_0(%x, %v, %s, %batch) "a" at [0] : (!T4, !V, !S, !quern.batch) -> !T4
  %b = quern.dispatch @conv_0(%x, %v, %t, %batch) "b" at [128] : (!T4, !V, !S, !quern.batch) -> !T4
  // expected-error @+1 {{needs a barrier before it: it writes bytes 0 to 16 of a slot}}
  %c = quern.dispatch @conv_0(%x, %v, %s, %batch) "c" at [256] : (!T4, !V, !S, !quern.batch) -> !T4
  %d = quern.dispatch @sum(%a, %b) "d" at [-1] barrier : (!T4, !T4) -> !T4
  return %d : !T4
}

// -----

// Tests that it is found where the work of two kernels is fetched, whatever these touch.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!W = !quern.weight<4x4, "f32">
quern.kernel @pick linear (%x: !T4, %w: !W) -> !T4 {
  %y = quern.linear %x, %w : (!T4, !W) -> !T4
  quern.yield %y : !T4
}
func.func @f(%x: !T4, %w: !W) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 128 : i64, quern.barriers = 0 : i64} {
  // expected-note @+1 {{this, since the barrier before, writes the count of work that was fetched}}
  %a = quern.dispatch @pick(%x, %w) "a" at [0] : (!T4, !W) -> !T4
  // expected-error @+1 {{needs a barrier before it: it writes the count of work that was fetched}}
  %b = quern.dispatch @pick(%x, %w) "b" at [-1] : (!T4, !W) -> !T4
  return %b : !T4
}

// -----

// Tests that a kernel of the kv cache and attention over it wait for each other, and those of two layers do not.
!tokens = tensor<?xi32, #quern.dims<"T">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
!K = !quern.state<kv, 2x4x4>
quern.declare_state @l0.kv : !K {group = 0 : i32, offset = 0 : i64}
quern.declare_state @l1.kv : !K {group = 0 : i32, offset = 4096 : i64}
quern.kernel @kv_append_0 kv_append (%k: !T8, %v: !T8, %s: !K, %b: !quern.batch) {
  quern.kv_append %k, %v, %b, %s : !T8, !T8, !quern.batch, !K
  quern.yield
}
quern.kernel @attention_0 attention (%q: !T8, %s: !K, %b: !quern.batch) -> !T8 {
  %y = quern.attention %q, %b, %s {heads = 2 : i64, scale = 0.5 : f32} : (!T8, !quern.batch, !K) -> !T8
  quern.yield %y : !T8
}
func.func @f(%x: !T8, %batch: !quern.batch) -> !T8 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 256 : i64, quern.barriers = 0 : i64} {
  %s = quern.state_ref @l0.kv : !K
  %t = quern.state_ref @l1.kv : !K
  quern.dispatch @kv_append_0(%x, %x, %t, %batch) "append.1" at [] : (!T8, !T8, !K, !quern.batch) -> ()
  // expected-note @+1 {{this, since the barrier before, writes bytes 0 to 4096 of a page of kv group 0}}
  quern.dispatch @kv_append_0(%x, %x, %s, %batch) "append.0" at [] : (!T8, !T8, !K, !quern.batch) -> ()
  // expected-error @+1 {{needs a barrier before it: it reads bytes 0 to 4096 of a page of kv group 0}}
  %a = quern.dispatch @attention_0(%x, %s, %batch) "attention.0" at [-1] : (!T8, !K, !quern.batch) -> !T8
  return %a : !T8
}

// -----

// Tests that states of two kv groups are apart wherever they lie in their pages, and so are two results of the entry.
!T8 = tensor<?x8xf32, #quern.dims<"T">>
!K = !quern.state<kv, 2x4x4>
quern.declare_state @l0.kv : !K {group = 0 : i32, offset = 0 : i64}
quern.declare_state @l1.kv : !K {group = 1 : i32, offset = 0 : i64}
quern.kernel @act rows (%x: !T8) -> !T8 {
  %y = quern.unary silu %x : !T8
  quern.yield %y : !T8
}
quern.kernel @kv_append_0 kv_append (%k: !T8, %v: !T8, %s: !K, %b: !quern.batch) {
  quern.kv_append %k, %v, %b, %s : !T8, !T8, !quern.batch, !K
  quern.yield
}
func.func @f(%x: !T8, %batch: !quern.batch) -> (!T8, !T8) attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 0 : i64, quern.barriers = 0 : i64} {
  %s = quern.state_ref @l0.kv : !K
  %t = quern.state_ref @l1.kv : !K
  quern.dispatch @kv_append_0(%x, %x, %t, %batch) "append.1" at [] : (!T8, !T8, !K, !quern.batch) -> ()
  quern.dispatch @kv_append_0(%x, %x, %s, %batch) "append.0" at [] : (!T8, !T8, !K, !quern.batch) -> ()
  %a = quern.dispatch @act(%x) "a" at [-1] : (!T8) -> !T8
  %b = quern.dispatch @act(%x) "b" at [-1] : (!T8) -> !T8
  return %a, %b : !T8, !T8
}

// -----

// Tests that what every worker computes for itself is read without a barrier, in memory that nobody else's results are in the way of.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!W = !quern.weight<4x4, "f32">
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @pick linear (%x: !T4, %w: !W) -> !T4 {
  %y = quern.linear %x, %w : (!T4, !W) -> !T4
  quern.yield %y : !T4
}
func.func @f(%x: !T4, %w: !W) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64, quern.arena = 128 : i64, quern.barriers = 1 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] replicated : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [64] replicated : (!T4) -> !T4
  %c = quern.dispatch @pick(%b, %w) "c" at [0] : (!T4, !W) -> !T4
  %d = quern.dispatch @act(%c) "d" at [-1] barrier argmax : (!T4) -> !T4
  return %d : !T4
}

// -----

// Tests that what every worker computes touches no state: there is one.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!V = !quern.weight<4x2, "f32">
!S = !quern.state<window, 4x1>
quern.declare_state @conv : !S {offset = 0 : i64}
quern.declare_state @other : !S {offset = 64 : i64}
quern.kernel @conv_0 causal_conv1d (%x: !T4, %w: !V, %s: !S, %b: !quern.batch) -> !T4 {
  %y = quern.causal_conv1d %x, %b, %s, %w : (!T4, !quern.batch, !S, !V) -> !T4
  quern.yield %y : !T4
}
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
func.func @f(%x: !T4, %batch: !quern.batch, %v: !V) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64, quern.arena = 64 : i64, quern.barriers = 0 : i64} {
  %s = quern.state_ref @conv : !S
  // expected-error @+1 {{is replicated and writes bytes 0 to 16 of a slot, which all workers share}}
  %a = quern.dispatch @conv_0(%x, %v, %s, %batch) "a" at [0] replicated : (!T4, !V, !S, !quern.batch) -> !T4
  %b = quern.dispatch @act(%a) "b" at [-1] argmax : (!T4) -> !T4
  return %b : !T4
}

// -----

// Tests that nobody fetches a part of what every worker computes.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!W = !quern.weight<4x4, "f32">
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @pick linear (%x: !T4, %w: !W) -> !T4 {
  %y = quern.linear %x, %w : (!T4, !W) -> !T4
  quern.yield %y : !T4
}
func.func @f(%x: !T4, %w: !W) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64, quern.arena = 64 : i64, quern.barriers = 0 : i64} {
  // expected-error @+1 {{is replicated and writes the count of work that was fetched, which all workers share}}
  %a = quern.dispatch @pick(%x, %w) "a" at [0] replicated : (!T4, !W) -> !T4
  %b = quern.dispatch @act(%a) "b" at [-1] argmax : (!T4) -> !T4
  return %b : !T4
}

// -----

// Tests that nothing is replicated that the target's kernels cannot.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
module attributes {quern.target = "cuda"} {
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64, quern.arena = 64 : i64, quern.barriers = 0 : i64} {
  // expected-error @+1 {{is replicated, which rows kernels of the target cuda are not}}
  %a = quern.dispatch @act(%x) "a" at [0] replicated : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [-1] argmax : (!T4) -> !T4
  return %b : !T4
}
}

// -----

// Tests that nothing is replicated where there are several tokens.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 128 : i64, quern.barriers = 0 : i64} {
  // expected-error @+1 {{is replicated in a bucket of more than one token}}
  %a = quern.dispatch @act(%x) "a" at [0] replicated : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [-1] : (!T4) -> !T4
  return %b : !T4
}

// -----

// Tests that nothing is replicated that needs more memory than a worker has of its own.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64, quern.arena = 1048640 : i64, quern.barriers = 0 : i64} {
  // expected-error @+1 {{is replicated, so that every worker needs an arena of 1048640 bytes; the target cpu has 1048576 for it}}
  %a = quern.dispatch @act(%x) "a" at [0] replicated : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [-1] argmax : (!T4) -> !T4
  return %b : !T4
}

// -----

// Tests that the dispatch that gives all of a token's step is marked: the largest column will be asked for.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64, quern.arena = 64 : i64, quern.barriers = 0 : i64} {
  // expected-error @+1 {{gives all of a token's step and is not marked `argmax`}}
  %a = quern.dispatch @act(%x) "a" at [-1] : (!T4) -> !T4
  return %a : !T4
}

// -----

// Tests that no other is.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64, quern.arena = 64 : i64, quern.barriers = 1 : i64} {
  // expected-error @+1 {{is marked `argmax` and does not give all of a token's step}}
  %a = quern.dispatch @act(%x) "a" at [0] argmax : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [-1] barrier argmax : (!T4) -> !T4
  return %b : !T4
}

// -----

// Tests that none is where each token has a row.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 64 : i64, quern.barriers = 0 : i64} {
  // expected-error @+1 {{is marked `argmax` and does not give all of a token's step}}
  %a = quern.dispatch @act(%x) "a" at [-1] argmax : (!T4) -> !T4
  return %a : !T4
}

// -----

// Tests that turns that are alike pass, two repeats one after the other.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 256 : i64, quern.barriers = 5 : i64} {
  %z = quern.dispatch @act(%x) "z" at [0] : (!T4) -> !T4
  quern.repeat 2 times 1 dispatches
  %a = quern.dispatch @act(%z) "a" at [128] barrier : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [0] barrier : (!T4) -> !T4
  quern.repeat 2 times 1 dispatches
  %c = quern.dispatch @sum(%b, %b) "c" at [128] barrier : (!T4, !T4) -> !T4
  %d = quern.dispatch @sum(%c, %c) "d" at [0] barrier : (!T4, !T4) -> !T4
  %e = quern.dispatch @act(%d) "e" at [-1] barrier : (!T4) -> !T4
  return %e : !T4
}

// -----

// Tests that a turn that runs another kernel is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 512 : i64, quern.barriers = 4 : i64} {
  %z = quern.dispatch @act(%x) "z" at [0] : (!T4) -> !T4
  // expected-note @+1 {{they are alike, says this}}
  quern.repeat 2 times 1 dispatches
  // expected-note @+1 {{that is this}}
  %a = quern.dispatch @act(%z) "a" at [128] barrier : (!T4) -> !T4
  // expected-error @+1 {{is not like its counterpart in the turn before: another kernel}}
  %b = quern.dispatch @sum(%a, %a) "b" at [256] barrier : (!T4, !T4) -> !T4
  %c = quern.dispatch @sum(%a, %b) "c" at [0] barrier : (!T4, !T4) -> !T4
  %d = quern.dispatch @act(%c) "d" at [-1] barrier : (!T4) -> !T4
  return %d : !T4
}

// -----

// Tests that a turn that waits where the one before does not is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 512 : i64, quern.barriers = 3 : i64} {
  %z = quern.dispatch @act(%x) "z" at [0] : (!T4) -> !T4
  // expected-note @+1 {{they are alike, says this}}
  quern.repeat 2 times 1 dispatches
  // expected-note @+1 {{that is this}}
  %a = quern.dispatch @act(%z) "a" at [128] barrier : (!T4) -> !T4
  // expected-error @+1 {{is not like its counterpart in the turn before: a barrier before one of them}}
  %b = quern.dispatch @act(%z) "b" at [256] : (!T4) -> !T4
  %c = quern.dispatch @sum(%a, %b) "c" at [0] barrier : (!T4, !T4) -> !T4
  %d = quern.dispatch @act(%c) "d" at [-1] barrier : (!T4) -> !T4
  return %d : !T4
}

// -----

// Tests that a turn that reads from other memory than the arena is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 512 : i64, quern.barriers = 4 : i64} {
  %z = quern.dispatch @act(%x) "z" at [0] : (!T4) -> !T4
  // expected-note @+1 {{they are alike, says this}}
  quern.repeat 2 times 1 dispatches
  // expected-note @+1 {{that is this}}
  %a = quern.dispatch @act(%z) "a" at [128] barrier : (!T4) -> !T4
  // expected-error @+1 {{is not like its counterpart in the turn before: operand 0 in other memory}}
  %b = quern.dispatch @act(%x) "b" at [0] barrier : (!T4) -> !T4
  %c = quern.dispatch @sum(%a, %b) "c" at [0] barrier : (!T4, !T4) -> !T4
  %d = quern.dispatch @act(%c) "d" at [-1] barrier : (!T4) -> !T4
  return %d : !T4
}

// -----

// Tests that a turn that every worker computes is refused where the one before is shared.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64, quern.arena = 192 : i64, quern.barriers = 0 : i64} {
  // expected-note @+1 {{they are alike, says this}}
  quern.repeat 2 times 1 dispatches
  // expected-note @+1 {{that is this}}
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  // expected-error @+1 {{is not like its counterpart in the turn before: one that every worker computes}}
  %b = quern.dispatch @act(%x) "b" at [64] replicated : (!T4) -> !T4
  %c = quern.dispatch @act(%b) "c" at [-1] argmax : (!T4) -> !T4
  return %c : !T4
}

// -----

// Tests that a repeat ends before the bucket does.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 128 : i64, quern.barriers = 1 : i64} {
  // expected-error @+1 {{speaks of 3 times 1 dispatches; 2 follow}}
  quern.repeat 3 times 1 dispatches
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [-1] barrier : (!T4) -> !T4
  return %b : !T4
}

// -----

// Tests that so many turns that their dispatches cannot be counted are refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 128 : i64, quern.barriers = 1 : i64} {
  // expected-error @+1 {{speaks of 4611686018427387904 times 4 dispatches; 2 follow}}
  quern.repeat 4611686018427387904 times 4 dispatches
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [-1] barrier : (!T4) -> !T4
  return %b : !T4
}

// -----

// Tests that a repeat ends before the next one begins.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 384 : i64, quern.barriers = 0 : i64} {
  quern.repeat 2 times 1 dispatches
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  // expected-error @+1 {{stands among the dispatches of another}}
  quern.repeat 2 times 1 dispatches
  %b = quern.dispatch @act(%x) "b" at [128] : (!T4) -> !T4
  %c = quern.dispatch @act(%x) "c" at [256] : (!T4) -> !T4
  return %c : !T4
}

// -----

// Tests that barriers are as many as is said.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
// expected-error @+1 {{has 1 barriers, not the 2 of `quern.barriers`}}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 128 : i64, quern.barriers = 2 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [-1] barrier : (!T4) -> !T4
  return %b : !T4
}

// -----

// Tests that a bucket whose barriers nobody placed is refused, even if it needs none.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
// expected-error @+1 {{has no `quern.barriers`: --quern-place-barriers has not seen it}}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 128 : i64} {
  %a = quern.dispatch @act(%x) "a" at [-1] : (!T4) -> !T4
  return %a : !T4
}

// -----

// Tests that a bucket without a planned arena is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// expected-error @+1 {{has no `quern.arena`; the plan phase sets it}}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64} {
  return %x : !T4
}

// -----

// Tests that a barrier that nobody needs is no error and is remarked on.
// REMARK: [Missed] verify-order | Category:order | Remark="f: nobody needs to wait before "b""
// REMARK-NOT: nobody needs to wait
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
func.func @f(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64, quern.arena = 256 : i64, quern.barriers = 2 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] : (!T4) -> !T4
  %b = quern.dispatch @act(%x) "b" at [128] barrier : (!T4) -> !T4
  %c = quern.dispatch @sum(%a, %b) "c" at [-1] barrier : (!T4, !T4) -> !T4
  return %c : !T4
}
