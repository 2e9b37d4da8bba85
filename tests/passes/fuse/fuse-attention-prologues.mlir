// RUN: quern-opt %s --quern-fuse-attention-prologues --verify-semantics -split-input-file | FileCheck %s
// RUN: quern-opt %s --quern-fuse-attention-prologues -split-input-file --remarks-filter=fuse 2>&1 | FileCheck %s --check-prefix=REMARK

// Tests that slice, norm of heads and rope of queries, keys and values are computed where they are read, from one result.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R8 = tensor<?x8xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: %[[X:.*]] = quern.embedding
// CHECK: quern.fused kv_append(%[[X]],
// CHECK: quern.slice
// CHECK: quern.rms_norm
// CHECK: quern.rope
// CHECK: quern.slice
// CHECK: quern.kv_append
// CHECK-NEXT: quern.yield
// CHECK: quern.fused attention(%[[X]],
// CHECK: quern.rope
// CHECK-NEXT: quern.attention
// REMARK: [Passed] fuse-attention-prologues | Category:fuse | Remark="quern.rms_norm, quern.rope joined the kv_append"
// REMARK: [Passed] fuse-attention-prologues | Category:fuse | Remark="quern.rope joined the attention"
quern.weight @embed : !quern.weight<16x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @norm : !quern.weight<4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.declare_state @kv : !quern.state<kv, 1x4x4>
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R8 {
  %embed = quern.weight_ref @embed : !quern.weight<16x8, "f32">
  %norm = quern.weight_ref @norm : !quern.weight<4, "f32">
  %kv = quern.state_ref @kv : !quern.state<kv, 1x4x4>
  %cs = quern.rope_table %batch {inv_freq = array<f32: 1.0, 0.5>} : !T4
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x8, "f32">) -> !T8
  %k0 = quern.slice %x {offset = 0 : i64} : !T8 -> !T4
  %k1 = quern.rms_norm %k0, %norm {eps = 1.0e-5 : f32} : (!T4, !quern.weight<4, "f32">) -> !T4
  %k = quern.rope %k1, %cs {head_dim = 4 : i64} : (!T4, !T4) -> !T4
  %v = quern.slice %x {offset = 4 : i64} : !T8 -> !T4
  quern.kv_append %k, %v, %batch, %kv : !T4, !T4, !quern.batch, !quern.state<kv, 1x4x4>
  %q = quern.rope %x, %cs {head_dim = 4 : i64} : (!T8, !T4) -> !T8
  %a = quern.attention %q, %batch, %kv {heads = 2 : i64, scale = 0.5 : f32} : (!T8, !quern.batch, !quern.state<kv, 1x4x4>) -> !T8
  %r = quern.gather_rows %a, %rows : (!T8, !rows) -> !R8
  return %r : !R8
}

// -----

// Tests that a norm of the whole row and a rope that something else reads stay outside.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R8 = tensor<?x8xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: quern.rope
// CHECK: quern.rms_norm
// CHECK: quern.fused kv_append
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.slice
// CHECK-NEXT: quern.kv_append
// CHECK: quern.fused attention
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.attention
// REMARK-DAG: loc("shared"): [Missed] {{.*}}'quern.rope' stays outside the region of the kv_append: its result has other uses
// REMARK-DAG: loc("whole"): [Missed] {{.*}}'quern.rms_norm' stays outside the region of the attention: it takes 8 columns together, not a head
quern.weight @embed : !quern.weight<16x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @norm : !quern.weight<8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.declare_state @kv : !quern.state<kv, 1x4x4>
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R8 {
  %embed = quern.weight_ref @embed : !quern.weight<16x8, "f32">
  %norm = quern.weight_ref @norm : !quern.weight<8, "f32">
  %kv = quern.state_ref @kv : !quern.state<kv, 1x4x4>
  %cs = quern.rope_table %batch {inv_freq = array<f32: 1.0, 0.5>} : !T4
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x8, "f32">) -> !T8
  %k0 = quern.slice %x {offset = 0 : i64} : !T8 -> !T4
  %k = quern.rope %k0, %cs {head_dim = 4 : i64} : (!T4, !T4) -> !T4 loc("shared")
  %q = quern.rms_norm %x, %norm {eps = 1.0e-5 : f32} : (!T8, !quern.weight<8, "f32">) -> !T8 loc("whole")
  quern.kv_append %k, %k0, %batch, %kv : !T4, !T4, !quern.batch, !quern.state<kv, 1x4x4>
  %a = quern.attention %q, %batch, %kv {heads = 2 : i64, scale = 0.5 : f32} : (!T8, !quern.batch, !quern.state<kv, 1x4x4>) -> !T8
  %b = quern.binary add %a, %k {repeat = 2 : i64} : !T8, !T4
  %r = quern.gather_rows %b, %rows : (!T8, !rows) -> !R8
  return %r : !R8
}

// -----

// Tests that norms after the rope and bounds join as well, and a layer norm of heads with a weight for all columns.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R8 = tensor<?x8xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: quern.fused kv_append
// CHECK: quern.clamp
// CHECK-NEXT: quern.rope
// CHECK-NEXT: quern.rms_norm
// CHECK-NEXT: quern.slice
// CHECK-NEXT: quern.clamp
// CHECK-NEXT: quern.kv_append
// CHECK: quern.fused attention
// CHECK: quern.layer_norm
// CHECK-NEXT: quern.scale
// CHECK-NEXT: quern.attention
// REMARK: [Passed] fuse-attention-prologues | Category:fuse | Remark="quern.clamp, quern.rope, quern.rms_norm, quern.clamp joined the kv_append"
quern.weight @embed : !quern.weight<16x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @norm : !quern.weight<8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.declare_state @kv : !quern.state<kv, 1x4x4>
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R8 {
  %embed = quern.weight_ref @embed : !quern.weight<16x8, "f32">
  %norm = quern.weight_ref @norm : !quern.weight<8, "f32">
  %kv = quern.state_ref @kv : !quern.state<kv, 1x4x4>
  %cs = quern.rope_table %batch {inv_freq = array<f32: 1.0, 0.5>} : !T4
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x8, "f32">) -> !T8
  %k0 = quern.slice %x {offset = 0 : i64} : !T8 -> !T4
  %k1 = quern.clamp %k0 {min = -0.25 : f32, max = 0.25 : f32} : !T4
  %k2 = quern.rope %k1, %cs {head_dim = 4 : i64} : (!T4, !T4) -> !T4
  %k = quern.rms_norm %k2 {eps = 1.0e-5 : f32} : (!T4) -> !T4
  %v0 = quern.slice %x {offset = 4 : i64} : !T8 -> !T4
  %v = quern.clamp %v0 {min = -0.25 : f32, max = 0.25 : f32} : !T4
  quern.kv_append %k, %v, %batch, %kv : !T4, !T4, !quern.batch, !quern.state<kv, 1x4x4>
  %q0 = quern.layer_norm %x weight %norm {eps = 1.0e-5 : f32, group = 4 : i64} : (!T8, !quern.weight<8, "f32">) -> !T8
  %q = quern.scale %q0 {factor = 0.5 : f32} : !T8
  %a = quern.attention %q, %batch, %kv {heads = 2 : i64, scale = 1.0 : f32, alibi = array<f32: 0.5, 0.25>} : (!T8, !quern.batch, !quern.state<kv, 1x4x4>) -> !T8
  %r = quern.gather_rows %a, %rows : (!T8, !rows) -> !R8
  return %r : !R8
}

// -----

// Tests that latent and rotary columns are put together where they are read, with the norm and the ropes that they come from.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R12 = tensor<?x12xf32, #quern.dims<"R">>
!T2 = tensor<?x2xf32, #quern.dims<"T">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T6 = tensor<?x6xf32, #quern.dims<"T">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
!T12 = tensor<?x12xf32, #quern.dims<"T">>
!T18 = tensor<?x18xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: %[[X:.*]] = quern.embedding
// CHECK: quern.fused kv_append(%[[X]],
// CHECK: quern.rms_norm
// CHECK: quern.rope
// CHECK: quern.concat
// CHECK-NEXT: quern.kv_append
// CHECK-NEXT: quern.yield
// CHECK: quern.fused attention(%[[X]],
// CHECK: quern.rope
// CHECK: quern.concat
// CHECK-NEXT: quern.attention
// REMARK: [Passed] fuse-attention-prologues | Category:fuse | Remark="quern.rms_norm, quern.rope, quern.concat joined the kv_append"
// REMARK: [Passed] fuse-attention-prologues | Category:fuse | Remark="quern.rope, quern.concat joined the attention"
quern.weight @embed : !quern.weight<16x18, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @norm : !quern.weight<4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.declare_state @kv : !quern.state<kv, 1x6x4, shared>
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R12 {
  %embed = quern.weight_ref @embed : !quern.weight<16x18, "f32">
  %norm = quern.weight_ref @norm : !quern.weight<4, "f32">
  %kv = quern.state_ref @kv : !quern.state<kv, 1x6x4, shared>
  %cs = quern.rope_table %batch {inv_freq = array<f32: 1.0>} : !T2
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x18, "f32">) -> !T18
  %c0 = quern.slice %x {offset = 0 : i64} : !T18 -> !T4
  %c = quern.rms_norm %c0, %norm {eps = 1.0e-5 : f32} : (!T4, !quern.weight<4, "f32">) -> !T4
  %k0 = quern.slice %x {offset = 4 : i64} : !T18 -> !T2
  %k = quern.rope %k0, %cs {head_dim = 2 : i64} : (!T2, !T2) -> !T2
  %key = quern.concat %c, %k : (!T4, !T2) -> !T6
  quern.kv_append %key, %batch, %kv : !T6, !quern.batch, !quern.state<kv, 1x6x4, shared>
  %q0 = quern.slice %x {offset = 6 : i64} : !T18 -> !T12
  %r0 = quern.slice %x {offset = 0 : i64} : !T18 -> !T6
  %r = quern.rope %r0, %cs {head_dim = 2 : i64} : (!T6, !T2) -> !T6
  %query = quern.concat %q0, %r {groups = 3 : i64} : (!T12, !T6) -> !T18
  %a = quern.attention %query, %batch, %kv {heads = 3 : i64, scale = 0.5 : f32} : (!T18, !quern.batch, !quern.state<kv, 1x6x4, shared>) -> !T12
  %y = quern.gather_rows %a, %rows : (!T12, !rows) -> !R12
  return %y : !R12
}

// -----

// Tests that attention among rows computes ropes of its queries and keys where it reads them; values are read as they are.
!tokens = tensor<?xi32, #quern.dims<"T">>
!B4 = tensor<?x4xf32, #quern.dims<"B">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T12 = tensor<?x12xf32, #quern.dims<"T">>
// CHECK-LABEL: @encode
// CHECK: %[[X:.*]] = quern.embedding
// CHECK: quern.fused attention_rows(%[[X]],
// CHECK-COUNT-2: quern.rope
// CHECK: quern.attention_rows
// CHECK-NEXT: quern.yield
// REMARK: [Passed] fuse-attention-prologues | Category:fuse | Remark="quern.rope, quern.rope joined the attention_rows"
quern.weight @embed : !quern.weight<16x12, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @encode(%tokens: !tokens, %batch: !quern.batch) -> !B4 {
  %embed = quern.weight_ref @embed : !quern.weight<16x12, "f32">
  %cs = quern.rope_table %batch {inv_freq = array<f32: 1.0, 0.5>} : !T4
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x12, "f32">) -> !T12
  %q0 = quern.slice %x {offset = 0 : i64} : !T12 -> !T4
  %k0 = quern.slice %x {offset = 4 : i64} : !T12 -> !T4
  %v = quern.slice %x {offset = 8 : i64} : !T12 -> !T4
  %q = quern.rope %q0, %cs {head_dim = 4 : i64} : (!T4, !T4) -> !T4
  %k = quern.rope %k0, %cs {head_dim = 4 : i64} : (!T4, !T4) -> !T4
  %a = quern.attention_rows %q, %k, %v batch %batch {heads = 1 : i64, kv_heads = 1 : i64, scale = 0.5 : f32, left = 2 : i64, right = 2 : i64} : (!T4, !T4, !T4, !quern.batch) -> !T4
  %p = quern.pool mean %a, %batch : !T4 -> !B4
  return %p : !B4
}

// -----

// Tests that a region waits for all that its anchor reads, though what joined it stands before.
!R = tensor<?x32xf32, #quern.dims<"b*s">>
!M = tensor<?x1x1x?xf32, #quern.dims<"b", "s">>
// CHECK-LABEL: @main
// CHECK: %[[K:.*]] = quern.unary
// CHECK: quern.fused attention_rows(%{{.*}}, %[[K]], %{{.*}}) :
// CHECK: quern.scale
module attributes {quern.sizes = {b = 2 : i64, s = 16 : i64}} {
func.func @main(%x: !R, %m: !M) -> !R {
  %q = quern.scale %x {factor = 0.5 : f32} : !R
  %k = quern.unary tanh %x : !R
  %y = quern.attention_rows %q, %k, %x mask %m {heads = 4 : i64, kv_heads = 4 : i64, scale = 1.0 : f32, sequences = "b"} : (!R, !R, !R, !M) -> !R
  return %y : !R
}
}
