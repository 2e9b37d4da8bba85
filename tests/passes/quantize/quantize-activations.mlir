// RUN: quern-opt %s --quern-quantize-activations --verify-semantics -split-input-file | FileCheck %s
// RUN: quern-opt %s --quern-quantize-activations -split-input-file --remarks-filter=quantize 2>&1 | FileCheck %s --check-prefix=REMARK

// Tests that a rows region quantizes what it computes, once for two readers, and float rows that nothing else reads are not yielded.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R16 = tensor<?x16xf32, #quern.dims<"R">>
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: %[[Q:.*]] = quern.fused rows(%{{.*}}) : {{.*}} -> !quern.q8_rows<"T", 32>
// CHECK: %[[N:.*]] = quern.rms_norm
// CHECK-NEXT: %[[R:.*]] = quern.quantize_rows %[[N]]
// CHECK-NEXT: quern.yield %[[R]]
// CHECK-NOT: quern.quantize_rows
// CHECK: quern.fused linear(%[[Q]], %{{.*}})
// CHECK-NEXT: ^bb0(%[[A:.*]]: !quern.q8_rows<"T", 32>
// CHECK-NEXT: quern.linear %[[A]]
// CHECK: quern.fused linear(%[[Q]], %{{.*}})
// REMARK: loc("norm"): [Passed] quantize-activations | Category:quantize | Remark="the region quantizes its rows, too"
quern.weight @embed : !quern.weight<16x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @w : !quern.weight<16x32, "int8"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R16 {
  %embed = quern.weight_ref @embed : !quern.weight<16x32, "f32">
  %w = quern.weight_ref @w : !quern.weight<16x32, "int8">
  %x = quern.fused embedding(%tokens, %embed) : (!tokens, !quern.weight<16x32, "f32">) -> !T32 {
  ^bb0(%a: !tokens, %b: !quern.weight<16x32, "f32">):
    %c = quern.embedding %a, %b : (!tokens, !quern.weight<16x32, "f32">) -> !T32
    quern.yield %c : !T32
  }
  %n = quern.fused rows(%x) : (!T32) -> !T32 {
  ^bb0(%a: !T32):
    %b = quern.rms_norm %a {eps = 1.0e-5 : f32} : (!T32) -> !T32
    quern.yield %b : !T32
  } loc("norm")
  %y = quern.fused linear(%n, %w) : (!T32, !quern.weight<16x32, "int8">) -> !T16 {
  ^bb0(%a: !T32, %b: !quern.weight<16x32, "int8">):
    %c = quern.linear %a, %b : (!T32, !quern.weight<16x32, "int8">) -> !T16
    quern.yield %c : !T16
  }
  %z = quern.fused linear(%n, %w, %y) : (!T32, !quern.weight<16x32, "int8">, !T16) -> !T16 {
  ^bb0(%a: !T32, %b: !quern.weight<16x32, "int8">, %d: !T16):
    %c = quern.linear %a, %b : (!T32, !quern.weight<16x32, "int8">) -> !T16
    %e = quern.binary sub %d, %c : !T16, !T16
    quern.yield %e : !T16
  }
  %r = quern.fused rows(%z, %rows) : (!T16, !rows) -> !R16 {
  ^bb0(%a: !T16, %b: !rows):
    %c = quern.gather_rows %a, %b : (!T16, !rows) -> !R16
    quern.yield %c : !R16
  }
  return %r : !R16
}

// -----

// Tests that what an embedding computes, and a slice, are quantized in regions of their own; float rows that the epilogue reads stay.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R32 = tensor<?x32xf32, #quern.dims<"R">>
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: %[[X:.*]] = quern.fused embedding
// CHECK: %[[Q:.*]] = quern.fused rows(%[[X]])
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.quantize_rows
// CHECK-NEXT: quern.yield
// CHECK: %[[Y:.*]] = quern.fused linear(%[[Q]], %[[X]], %{{.*}})
// CHECK: %[[P:.*]] = quern.fused rows(%[[Y]])
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.slice
// CHECK-NEXT: quern.quantize_rows
// CHECK-NEXT: quern.yield
// CHECK: quern.fused linear(%[[P]], %{{.*}})
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.linear
// REMARK-DAG: the rows are quantized in a region of their own: a region of anchor embedding computes them
// REMARK-DAG: the rows are quantized in a region of their own: the linear reads a slice of them
quern.weight @embed : !quern.weight<16x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @v : !quern.weight<32x32, "int8"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @w : !quern.weight<32x16, "int8"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R32 {
  %embed = quern.weight_ref @embed : !quern.weight<16x32, "f32">
  %v = quern.weight_ref @v : !quern.weight<32x32, "int8">
  %w = quern.weight_ref @w : !quern.weight<32x16, "int8">
  %x = quern.fused embedding(%tokens, %embed) : (!tokens, !quern.weight<16x32, "f32">) -> !T32 {
  ^bb0(%a: !tokens, %b: !quern.weight<16x32, "f32">):
    %c = quern.embedding %a, %b : (!tokens, !quern.weight<16x32, "f32">) -> !T32
    quern.yield %c : !T32
  }
  %y = quern.fused linear(%x, %v) : (!T32, !quern.weight<32x32, "int8">) -> !T32 {
  ^bb0(%a: !T32, %b: !quern.weight<32x32, "int8">):
    %c = quern.linear %a, %b : (!T32, !quern.weight<32x32, "int8">) -> !T32
    %d = quern.binary add %a, %c : !T32, !T32
    quern.yield %d : !T32
  }
  %z = quern.fused linear(%y, %w) : (!T32, !quern.weight<32x16, "int8">) -> !T32 {
  ^bb0(%a: !T32, %b: !quern.weight<32x16, "int8">):
    %s = quern.slice %a {offset = 16 : i64} : !T32 -> !T16
    %c = quern.linear %s, %b : (!T16, !quern.weight<32x16, "int8">) -> !T32
    quern.yield %c : !T32
  }
  %r = quern.fused rows(%z, %rows) : (!T32, !rows) -> !R32 {
  ^bb0(%a: !T32, %b: !rows):
    %c = quern.gather_rows %a, %b : (!T32, !rows) -> !R32
    quern.yield %c : !R32
  }
  return %r : !R32
}

// -----

// Tests that a linear and attention quantize what they compute, as long as they do so by whole pairs of groups; and that a linear yields float rows, too, where they are read.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R32 = tensor<?x32xf32, #quern.dims<"R">>
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
!T64 = tensor<?x64xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: %[[A:.*]] = quern.fused attention({{.*}}) : {{.*}} -> !quern.q8_rows<"T", 64>
// CHECK: %[[S:.*]] = quern.attention
// CHECK-NEXT: %[[Q:.*]] = quern.quantize_rows %[[S]]
// CHECK-NEXT: quern.yield %[[Q]]
// CHECK: %[[Y:.*]]:2 = quern.fused linear(%[[A]], %{{.*}}) : {{.*}} -> (tensor<?x32xf32, #quern.dims<"T">>, !quern.q8_rows<"T", 32>)
// CHECK: %[[U:.*]] = quern.unary
// CHECK-NEXT: %[[R:.*]] = quern.quantize_rows %[[U]]
// CHECK-NEXT: quern.yield %[[U]], %[[R]]
// CHECK: %[[N:.*]] = quern.fused linear(%[[Y]]#1, %[[Y]]#0, %{{.*}}) : {{.*}} -> tensor<?x16xf32, #quern.dims<"T">>
// CHECK: %[[P:.*]] = quern.fused rows(%[[N]]) : {{.*}} -> !quern.q8_rows<"T", 16>
// CHECK: quern.fused linear(%[[P]], %{{.*}})
// CHECK: %[[B:.*]] = quern.fused attention({{.*}}) : {{.*}} -> tensor<?x32xf32, #quern.dims<"T">>
// CHECK: quern.fused rows(%[[B]]) : {{.*}} -> !quern.q8_rows<"T", 32>
// REMARK-DAG: loc("attention"): [Passed] quantize-activations | Category:quantize | Remark="the region quantizes its rows, too"
// REMARK-DAG: loc("up"): [Passed] quantize-activations | Category:quantize | Remark="the region quantizes its rows, too"
// REMARK-DAG: the rows are quantized in a region of their own: a region of anchor linear computes them in parts of 16 columns, which are no whole pairs of groups
// REMARK-DAG: the rows are quantized in a region of their own: a region of anchor attention computes them in parts of 16 columns, which are no whole pairs of groups
quern.declare_state @kv : !quern.state<kv, 2x32x32>
quern.declare_state @narrow : !quern.state<kv, 2x16x16>
quern.weight @embed : !quern.weight<16x64, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @v : !quern.weight<32x64, "int8"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @w : !quern.weight<16x32, "int8"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @u : !quern.weight<32x16, "int8"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @o : !quern.weight<32x32, "int8"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R32 {
  %kv = quern.state_ref @kv : !quern.state<kv, 2x32x32>
  %narrow = quern.state_ref @narrow : !quern.state<kv, 2x16x16>
  %embed = quern.weight_ref @embed : !quern.weight<16x64, "f32">
  %v = quern.weight_ref @v : !quern.weight<32x64, "int8">
  %w = quern.weight_ref @w : !quern.weight<16x32, "int8">
  %u = quern.weight_ref @u : !quern.weight<32x16, "int8">
  %o = quern.weight_ref @o : !quern.weight<32x32, "int8">
  %x = quern.fused embedding(%tokens, %embed) : (!tokens, !quern.weight<16x64, "f32">) -> !T64 {
  ^bb0(%a: !tokens, %b: !quern.weight<16x64, "f32">):
    %c = quern.embedding %a, %b : (!tokens, !quern.weight<16x64, "f32">) -> !T64
    quern.yield %c : !T64
  }
  quern.fused kv_append(%x, %batch, %kv) : (!T64, !quern.batch, !quern.state<kv, 2x32x32>) -> () {
  ^bb0(%a: !T64, %b: !quern.batch, %s: !quern.state<kv, 2x32x32>):
    quern.kv_append %a, %a, %b, %s : !T64, !T64, !quern.batch, !quern.state<kv, 2x32x32>
    quern.yield
  }
  %t = quern.fused attention(%x, %batch, %kv) : (!T64, !quern.batch, !quern.state<kv, 2x32x32>) -> !T64 {
  ^bb0(%a: !T64, %b: !quern.batch, %s: !quern.state<kv, 2x32x32>):
    %c = quern.attention %a, %b, %s {heads = 2 : i64, scale = 0.25 : f32} : (!T64, !quern.batch, !quern.state<kv, 2x32x32>) -> !T64
    quern.yield %c : !T64
  } loc("attention")
  %y = quern.fused linear(%t, %v) : (!T64, !quern.weight<32x64, "int8">) -> !T32 {
  ^bb0(%a: !T64, %b: !quern.weight<32x64, "int8">):
    %c = quern.linear %a, %b : (!T64, !quern.weight<32x64, "int8">) -> !T32
    %d = quern.unary silu %c : !T32
    quern.yield %d : !T32
  } loc("up")
  %n = quern.fused linear(%y, %w) : (!T32, !quern.weight<16x32, "int8">) -> !T16 {
  ^bb0(%a: !T32, %b: !quern.weight<16x32, "int8">):
    %c = quern.linear %a, %b : (!T32, !quern.weight<16x32, "int8">) -> !T16
    %s = quern.slice %a {offset = 16 : i64} : !T32 -> !T16
    %d = quern.binary add %c, %s : !T16, !T16
    quern.yield %d : !T16
  }
  %m = quern.fused linear(%n, %u) : (!T16, !quern.weight<32x16, "int8">) -> !T32 {
  ^bb0(%a: !T16, %b: !quern.weight<32x16, "int8">):
    %c = quern.linear %a, %b : (!T16, !quern.weight<32x16, "int8">) -> !T32
    quern.yield %c : !T32
  }
  quern.fused kv_append(%m, %batch, %narrow) : (!T32, !quern.batch, !quern.state<kv, 2x16x16>) -> () {
  ^bb0(%a: !T32, %b: !quern.batch, %s: !quern.state<kv, 2x16x16>):
    quern.kv_append %a, %a, %b, %s : !T32, !T32, !quern.batch, !quern.state<kv, 2x16x16>
    quern.yield
  }
  %h = quern.fused attention(%m, %batch, %narrow) : (!T32, !quern.batch, !quern.state<kv, 2x16x16>) -> !T32 {
  ^bb0(%a: !T32, %b: !quern.batch, %s: !quern.state<kv, 2x16x16>):
    %c = quern.attention %a, %b, %s {heads = 2 : i64, scale = 0.25 : f32} : (!T32, !quern.batch, !quern.state<kv, 2x16x16>) -> !T32
    quern.yield %c : !T32
  }
  %z = quern.fused linear(%h, %o) : (!T32, !quern.weight<32x32, "int8">) -> !T32 {
  ^bb0(%a: !T32, %b: !quern.weight<32x32, "int8">):
    %c = quern.linear %a, %b : (!T32, !quern.weight<32x32, "int8">) -> !T32
    quern.yield %c : !T32
  }
  %r = quern.fused rows(%z, %rows) : (!T32, !rows) -> !R32 {
  ^bb0(%a: !T32, %b: !rows):
    %c = quern.gather_rows %a, %b : (!T32, !rows) -> !R32
    quern.yield %c : !R32
  }
  return %r : !R32
}

// -----

// Tests that float weights read float rows.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R32 = tensor<?x32xf32, #quern.dims<"R">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK-NOT: quern.quantize_rows
// CHECK: return
quern.weight @w : !quern.weight<32x32, "bf16"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R32 {
  %w = quern.weight_ref @w : !quern.weight<32x32, "bf16">
  %x = quern.fused embedding(%tokens, %w) : (!tokens, !quern.weight<32x32, "bf16">) -> !T32 {
  ^bb0(%a: !tokens, %b: !quern.weight<32x32, "bf16">):
    %c = quern.embedding %a, %b : (!tokens, !quern.weight<32x32, "bf16">) -> !T32
    quern.yield %c : !T32
  }
  %r = quern.fused rows(%x, %rows) : (!T32, !rows) -> !R32 {
  ^bb0(%a: !T32, %b: !rows):
    %c = quern.gather_rows %a, %b : (!T32, !rows) -> !R32
    quern.yield %c : !R32
  }
  %y = quern.fused linear(%r, %w) : (!R32, !quern.weight<32x32, "bf16">) -> !R32 {
  ^bb0(%a: !R32, %b: !quern.weight<32x32, "bf16">):
    %c = quern.linear %a, %b : (!R32, !quern.weight<32x32, "bf16">) -> !R32
    quern.yield %c : !R32
  }
  return %y : !R32
}

// -----

// Tests that it is the columns of what a linear's region yields that must be whole pairs of groups, not those of its product: here 48 of 96.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R32 = tensor<?x32xf32, #quern.dims<"R">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
!T48 = tensor<?x48xf32, #quern.dims<"T">>
!T96 = tensor<?x96xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: %[[G:.*]] = quern.fused linear({{.*}}) : {{.*}} -> tensor<?x48xf32, #quern.dims<"T">>
// CHECK: %[[Q:.*]] = quern.fused rows(%[[G]]) : {{.*}} -> !quern.q8_rows<"T", 48>
// CHECK: quern.fused linear(%[[Q]], %{{.*}})
// REMARK-DAG: the rows are quantized in a region of their own: a region of anchor linear computes them in parts of 48 columns, which are no whole pairs of groups
quern.weight @embed : !quern.weight<16x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @gate_up : !quern.weight<96x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @down : !quern.weight<32x48, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R32 {
  %e = quern.weight_ref @embed : !quern.weight<16x32, "f32">
  %gf = quern.weight_ref @gate_up : !quern.weight<96x32, "f32">
  %g = quern.weight_convert %gf : !quern.weight<96x32, "f32"> -> !quern.weight<96x32, "int8">
  %df = quern.weight_ref @down : !quern.weight<32x48, "f32">
  %d = quern.weight_convert %df : !quern.weight<32x48, "f32"> -> !quern.weight<32x48, "int8">
  %x = quern.fused embedding (%tokens, %e) : (!tokens, !quern.weight<16x32, "f32">) -> !T32 {
  ^bb0(%a: !tokens, %b: !quern.weight<16x32, "f32">):
    %c = quern.embedding %a, %b : (!tokens, !quern.weight<16x32, "f32">) -> !T32
    quern.yield %c : !T32
  }
  %h = quern.fused linear (%x, %g) : (!T32, !quern.weight<96x32, "int8">) -> !T48 {
  ^bb0(%a: !T32, %b: !quern.weight<96x32, "int8">):
    %c = quern.linear %a, %b : (!T32, !quern.weight<96x32, "int8">) -> !T96
    %gate = quern.slice %c {offset = 0 : i64} : !T96 -> !T48
    %up = quern.slice %c {offset = 48 : i64} : !T96 -> !T48
    %act = quern.gated_act silu %gate, %up : !T48
    quern.yield %act : !T48
  }
  %y = quern.fused linear (%h, %d) : (!T48, !quern.weight<32x48, "int8">) -> !T32 {
  ^bb0(%a: !T48, %b: !quern.weight<32x48, "int8">):
    %c = quern.linear %a, %b : (!T48, !quern.weight<32x48, "int8">) -> !T32
    quern.yield %c : !T32
  }
  %r = quern.fused rows (%y, %rows) : (!T32, !rows) -> !R32 {
  ^bb0(%a: !T32, %b: !rows):
    %c = quern.gather_rows %a, %b : (!T32, !rows) -> !R32
    quern.yield %c : !R32
  }
  return %r : !R32
}
