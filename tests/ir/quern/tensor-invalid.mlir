// RUN: quern-opt %s --split-input-file --verify-diagnostics

// Tests that binary C1: repeat divides the columns.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %r: tensor<?x2xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.binary' op C1: repeat divides 8 columns}}
  %y = quern.binary add %x, %r {repeat = 3 : i64} : tensor<?x8xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that binary C1: repeat is positive.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %r: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.binary' op C1: repeat divides 8 columns}}
  %y = quern.binary add %x, %r {repeat = 0 : i64} : tensor<?x8xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that binary C1: the right side has columns / repeat columns.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %r: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.binary' op C1: the right side has 4 columns}}
  %y = quern.binary add %x, %r {repeat = 2 : i64} : tensor<?x8xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that binary C1: the right side has the same rows.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %r: tensor<?x8xf32, #quern.dims<"R">>) {
  // expected-error @+1 {{'quern.binary' op C1: the right side has 8 columns}}
  %y = quern.binary add %x, %r : tensor<?x8xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"R">>
  return
}

// -----

// Tests that binary C1: a weight on the right side is a vector.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %r: !quern.weight<1x8, "f32">) {
  // expected-error @+1 {{'quern.binary' op C1: the right side has 8 columns}}
  %y = quern.binary add %x, %r : tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<1x8, "f32">
  return
}

// -----

// Tests that binary C2: the result has x's type.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.binary' op failed to verify that all of {lhs, result} have same type}}
  %y = "quern.binary"(%x, %x) <{fn = #quern<binary_kind add>}> : (tensor<?x8xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that clamp C1: min is not above max.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.clamp' op C1: min is not above max}}
  %y = quern.clamp %x {min = 1.0 : f32, max = 0.0 : f32} : tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that slice C1: the columns end inside the input.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.slice' op C1: the columns lie inside the input's 8}}
  %y = quern.slice %x {offset = 5 : i64} : tensor<?x8xf32, #quern.dims<"T">> -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that slice C1: the columns begin inside the input.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.slice' op C1: the columns lie inside the input's 8}}
  %y = quern.slice %x {offset = -1 : i64} : tensor<?x8xf32, #quern.dims<"T">> -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that slice C1: rows agree.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.slice' op C1: the columns lie inside the input's 8}}
  %y = quern.slice %x {offset = 0 : i64} : tensor<?x8xf32, #quern.dims<"T">> -> tensor<?x4xf32, #quern.dims<"R">>
  return
}

// -----

// Tests that gather_rows C1: columns agree.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %r: tensor<?xi32, #quern.dims<"R">>) {
  // expected-error @+1 {{'quern.gather_rows' op C1: the result has the input's columns and a row for each of `rows`}}
  %y = quern.gather_rows %x, %r : (tensor<?x8xf32, #quern.dims<"T">>, tensor<?xi32, #quern.dims<"R">>) -> tensor<?x4xf32, #quern.dims<"R">>
  return
}

// -----

// Tests that gather_rows C1: a row for each index.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %r: tensor<?xi32, #quern.dims<"R">>) {
  // expected-error @+1 {{'quern.gather_rows' op C1: the result has the input's columns and a row for each of `rows`}}
  %y = quern.gather_rows %x, %r : (tensor<?x8xf32, #quern.dims<"T">>, tensor<?xi32, #quern.dims<"R">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that activations are float32.
func.func @f(%x: tensor<?x8xf16, #quern.dims<"T">>) {
  // expected-error @+1 {{must be activation rows}}
  %y = quern.scale %x {factor = 2.0 : f32} : tensor<?x8xf16, #quern.dims<"T">>
  return
}

// -----

// Tests that activations name their rows.
func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{must be activation rows}}
  %y = quern.scale %x {factor = 2.0 : f32} : tensor<?x8xf32>
  return
}

// -----

// Tests that transpose C1: whole groups.
func.func @f(%x: tensor<?x4xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.transpose' op C1: groups divides 4 columns}}
  %y = quern.transpose %x {groups = 3 : i64} : tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that pool C1: it makes rows of sequences.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %b: !quern.batch) {
  // expected-error @+1 {{'quern.pool' op C1: the input counts tokens, the result sequences, and both have the same columns}}
  %y = quern.pool mean %x, %b : tensor<?x8xf32, #quern.dims<"T">> -> tensor<?x8xf32, #quern.dims<"T">>
  return
}
