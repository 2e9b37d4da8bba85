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
