// RUN: quern-opt %s --split-input-file --verify-diagnostics

// Tests that rope_table C1: a cosine and a sine for each frequency.
func.func @f(%b: !quern.batch) {
  // expected-error @+1 {{'quern.rope_table' op C1: the result has two columns a frequency}}
  %y = quern.rope_table %b {inv_freq = array<f32: 1.0, 0.5>} : tensor<?x3xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that rope C1: head_dim divides the columns.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %t: tensor<?x2xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.rope' op C1: head_dim divides the columns}}
  %y = quern.rope %x, %t {head_dim = 3 : i64} : (tensor<?x8xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that rope C1: head_dim is positive.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %t: tensor<?x2xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.rope' op C1: head_dim divides the columns}}
  %y = quern.rope %x, %t {head_dim = 0 : i64} : (tensor<?x8xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that rope C2: the table is not wider than a head.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %t: tensor<?x6xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.rope' op C2: the table has at most 4 columns}}
  %y = quern.rope %x, %t {head_dim = 4 : i64} : (tensor<?x8xf32, #quern.dims<"T">>, tensor<?x6xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that rope C2: the table has the input's rows.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %t: tensor<?x4xf32, #quern.dims<"R">>) {
  // expected-error @+1 {{'quern.rope' op C2: the table has the input's rows}}
  %y = quern.rope %x, %t {head_dim = 4 : i64} : (tensor<?x8xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"R">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that rope C3: the result has the input's type.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %t: tensor<?x4xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.rope' op C3: the result has the input's type}}
  %y = quern.rope %x, %t {head_dim = 4 : i64} : (tensor<?x8xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that attention C1: the state is kv.
func.func @f(%q: tensor<?x8xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x4x3>) {
  // expected-error @+1 {{'quern.attention' op C1: the state is kv}}
  %y = quern.attention %q, %b, %s {heads = 2 : i64, scale = 1.0 : f32} : (tensor<?x8xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x4x3>) -> tensor<?x6xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that attention C2: kv heads divide the heads.
func.func @f(%q: tensor<?x12xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<kv, 2x4x3>) {
  // expected-error @+1 {{'quern.attention' op C2: 2 kv heads divide the heads}}
  %y = quern.attention %q, %b, %s {heads = 3 : i64, scale = 1.0 : f32} : (tensor<?x12xf32, #quern.dims<"T">>, !quern.batch, !quern.state<kv, 2x4x3>) -> tensor<?x9xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that attention C3: the query has heads * key dim columns.
func.func @f(%q: tensor<?x12xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<kv, 2x4x3>) {
  // expected-error @+1 {{'quern.attention' op C3: the query has 16 columns, the result 12}}
  %y = quern.attention %q, %b, %s {heads = 4 : i64, scale = 1.0 : f32} : (tensor<?x12xf32, #quern.dims<"T">>, !quern.batch, !quern.state<kv, 2x4x3>) -> tensor<?x12xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that attention C3: the result has heads * value dim columns.
func.func @f(%q: tensor<?x16xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<kv, 2x4x3>) {
  // expected-error @+1 {{'quern.attention' op C3: the query has 16 columns, the result 12}}
  %y = quern.attention %q, %b, %s {heads = 4 : i64, scale = 1.0 : f32} : (tensor<?x16xf32, #quern.dims<"T">>, !quern.batch, !quern.state<kv, 2x4x3>) -> tensor<?x16xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that attention C3: the result has the query's rows.
func.func @f(%q: tensor<?x16xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<kv, 2x4x3>) {
  // expected-error @+1 {{'quern.attention' op C3: query and result have the same rows}}
  %y = quern.attention %q, %b, %s {heads = 4 : i64, scale = 1.0 : f32} : (tensor<?x16xf32, #quern.dims<"T">>, !quern.batch, !quern.state<kv, 2x4x3>) -> tensor<?x12xf32, #quern.dims<"R">>
  return
}

// -----

// Tests that attention C4: a slope for each head.
func.func @f(%q: tensor<?x16xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<kv, 2x4x3>) {
  // expected-error @+1 {{'quern.attention' op C4: alibi has 4 slopes}}
  %y = quern.attention %q, %b, %s {heads = 4 : i64, scale = 1.0 : f32, alibi = array<f32: 0.5, 0.25>} : (tensor<?x16xf32, #quern.dims<"T">>, !quern.batch, !quern.state<kv, 2x4x3>) -> tensor<?x12xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that attention C4: alibi_bf16 rounds nothing where there are no slopes.
func.func @f(%q: tensor<?x16xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<kv, 2x4x3>) {
  // expected-error @+1 {{'quern.attention' op C4: alibi has 4 slopes}}
  %y = quern.attention %q, %b, %s {heads = 4 : i64, scale = 1.0 : f32, alibi_bf16 = true} : (tensor<?x16xf32, #quern.dims<"T">>, !quern.batch, !quern.state<kv, 2x4x3>) -> tensor<?x12xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that attention C5: a sink for each head.
func.func @f(%q: tensor<?x16xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<kv, 2x4x3>, %w: !quern.weight<2, "f32">) {
  // expected-error @+1 {{'quern.attention' op C5: sinks is [4]}}
  %y = quern.attention %q, %b, %s, %w {heads = 4 : i64, scale = 1.0 : f32} : (tensor<?x16xf32, #quern.dims<"T">>, !quern.batch, !quern.state<kv, 2x4x3>, !quern.weight<2, "f32">) -> tensor<?x12xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that positions C1: offset is not negative.
func.func @f(%b: !quern.batch) {
  // expected-error @+1 {{'quern.positions' op C1: offset is not negative}}
  %y = quern.positions %b {offset = -1 : i64} : tensor<?xi32, #quern.dims<"T">>
  return
}

// -----

// Tests that positions C2: tokens have positions, sequences have none.
func.func @f(%b: !quern.batch) {
  // expected-error @+1 {{'quern.positions' op C2: the result counts tokens, T, not B}}
  %y = quern.positions %b : tensor<?xi32, #quern.dims<"B">>
  return
}

// -----

// Tests that attention_rows C1: kv heads divide the heads.
func.func @f(%q: tensor<?x16xf32, #quern.dims<"T">>, %k: tensor<?x8xf32, #quern.dims<"T">>, %v: tensor<?x6xf32, #quern.dims<"T">>, %b: !quern.batch, %w: !quern.weight<3x4, "f32">) {
  // expected-error @+1 {{'quern.attention_rows' op C1: 3 kv heads divide the heads}}
  %y = quern.attention_rows %q, %k, %v batch %b {heads = 4 : i64, kv_heads = 3 : i64, scale = 1.0 : f32} : (tensor<?x16xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>, tensor<?x6xf32, #quern.dims<"T">>, !quern.batch) -> tensor<?x12xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that attention_rows C2: keys are as wide as queries.
func.func @f(%q: tensor<?x16xf32, #quern.dims<"T">>, %k: tensor<?x8xf32, #quern.dims<"T">>, %v: tensor<?x6xf32, #quern.dims<"T">>, %b: !quern.batch, %w: !quern.weight<3x4, "f32">) {
  // expected-error @+1 {{'quern.attention_rows' op C2: queries and keys have heads of one width, values and the result too}}
  %y = quern.attention_rows %q, %v, %v batch %b {heads = 4 : i64, kv_heads = 2 : i64, scale = 1.0 : f32} : (tensor<?x16xf32, #quern.dims<"T">>, tensor<?x6xf32, #quern.dims<"T">>, tensor<?x6xf32, #quern.dims<"T">>, !quern.batch) -> tensor<?x12xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that attention_rows C2: inputs and result have the same rows.
func.func @f(%q: tensor<?x16xf32, #quern.dims<"T">>, %k: tensor<?x8xf32, #quern.dims<"T">>, %v: tensor<?x6xf32, #quern.dims<"T">>, %b: !quern.batch, %w: !quern.weight<3x4, "f32">) {
  // expected-error @+1 {{'quern.attention_rows' op C2: query and result have the same rows, key and value too}}
  %y = quern.attention_rows %q, %k, %v batch %b {heads = 4 : i64, kv_heads = 2 : i64, scale = 1.0 : f32} : (tensor<?x16xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>, tensor<?x6xf32, #quern.dims<"T">>, !quern.batch) -> tensor<?x12xf32, #quern.dims<"R">>
  return
}

// -----

// Tests that attention_rows C3: a bias has buckets.
func.func @f(%q: tensor<?x16xf32, #quern.dims<"T">>, %k: tensor<?x8xf32, #quern.dims<"T">>, %v: tensor<?x6xf32, #quern.dims<"T">>, %b: !quern.batch, %w: !quern.weight<3x4, "f32">) {
  // expected-error @+1 {{'quern.attention_rows' op C3: a bias and its buckets are both there, or neither}}
  %y = quern.attention_rows %q, %k, %v batch %b bias %w {heads = 4 : i64, kv_heads = 2 : i64, scale = 1.0 : f32} : (tensor<?x16xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>, tensor<?x6xf32, #quern.dims<"T">>, !quern.batch, !quern.weight<3x4, "f32">) -> tensor<?x12xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that attention_rows C3: a bias has a number for each head.
func.func @f(%q: tensor<?x16xf32, #quern.dims<"T">>, %k: tensor<?x8xf32, #quern.dims<"T">>, %v: tensor<?x6xf32, #quern.dims<"T">>, %b: !quern.batch, %w: !quern.weight<3x5, "f32">) {
  // expected-error @+1 {{'quern.attention_rows' op C3: the bias is [N, 4]}}
  %y = quern.attention_rows %q, %k, %v batch %b bias %w {heads = 4 : i64, kv_heads = 2 : i64, scale = 1.0 : f32, buckets = array<i32: 0, 1, 2>} : (tensor<?x16xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>, tensor<?x6xf32, #quern.dims<"T">>, !quern.batch, !quern.weight<3x5, "f32">) -> tensor<?x12xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that attention_rows C3: buckets are rows of the bias.
func.func @f(%q: tensor<?x16xf32, #quern.dims<"T">>, %k: tensor<?x8xf32, #quern.dims<"T">>, %v: tensor<?x6xf32, #quern.dims<"T">>, %b: !quern.batch, %w: !quern.weight<3x4, "f32">) {
  // expected-error @+1 {{'quern.attention_rows' op C3: buckets are an odd number of rows of the bias}}
  %y = quern.attention_rows %q, %k, %v batch %b bias %w {heads = 4 : i64, kv_heads = 2 : i64, scale = 1.0 : f32, buckets = array<i32: 0, 1, 3>} : (tensor<?x16xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>, tensor<?x6xf32, #quern.dims<"T">>, !quern.batch, !quern.weight<3x4, "f32">) -> tensor<?x12xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that attention_rows C4: what is causal sees nothing behind it.
func.func @f(%q: tensor<?x16xf32, #quern.dims<"T">>, %k: tensor<?x8xf32, #quern.dims<"T">>, %v: tensor<?x6xf32, #quern.dims<"T">>, %b: !quern.batch, %w: !quern.weight<3x4, "f32">) {
  // expected-error @+1 {{'quern.attention_rows' op C4: left and right are not negative, and what is causal has no right}}
  %y = quern.attention_rows %q, %k, %v batch %b {heads = 4 : i64, kv_heads = 2 : i64, scale = 1.0 : f32, right = 2 : i64, causal} : (tensor<?x16xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>, tensor<?x6xf32, #quern.dims<"T">>, !quern.batch) -> tensor<?x12xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that attention_rows C5: a batch says what rows belong together.
func.func @f(%q: tensor<?x16xf32, #quern.dims<"T">>, %k: tensor<?x8xf32, #quern.dims<"T">>, %v: tensor<?x6xf32, #quern.dims<"T">>, %b: !quern.batch, %w: !quern.weight<3x4, "f32">) {
  // expected-error @+1 {{'quern.attention_rows' op C5: there is either a batch or a number of sequences}}
  %y = quern.attention_rows %q, %k, %v {heads = 4 : i64, kv_heads = 2 : i64, scale = 1.0 : f32} : (tensor<?x16xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>, tensor<?x6xf32, #quern.dims<"T">>) -> tensor<?x12xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that a mask has four dimensions.
!R = tensor<?x32xf32, #quern.dims<"b*s">>
func.func @f(%x: !R, %m: tensor<?x?xf32, #quern.dims<"b", "s">>) -> !R {
  // expected-error @+1 {{'quern.attention_rows' op C6: a mask is float32 of four dimensions, beside a number of sequences}}
  %y = quern.attention_rows %x, %x, %x mask %m {heads = 4 : i64, kv_heads = 4 : i64, scale = 1.0 : f32, sequences = "b"} : (!R, !R, !R, tensor<?x?xf32, #quern.dims<"b", "s">>) -> !R
  return %y : !R
}
