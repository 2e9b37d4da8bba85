// RUN: quern-opt %s --split-input-file --verify-diagnostics

// Tests that linear C1: a weight has as many columns as its input.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %w: !quern.weight<4x6, "f32">) {
  // expected-error @+1 {{'quern.linear' op C1: the weight is [N, 8]}}
  %y = quern.linear %x, %w : (tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<4x6, "f32">) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear C1: a weight is a matrix.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %w: !quern.weight<8, "f32">) {
  // expected-error @+1 {{'quern.linear' op C1: the weight is [N, 8]}}
  %y = quern.linear %x, %w : (tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<8, "f32">) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear C2: a bias is as long as the result is wide.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %w: !quern.weight<4x8, "f32">, %b: !quern.weight<5, "f32">) {
  // expected-error @+1 {{'quern.linear' op C2: the bias is [4]}}
  %y = quern.linear %x, %w, %b : (tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<4x8, "f32">, !quern.weight<5, "f32">) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear C3: the result has the weight's rows as columns.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %w: !quern.weight<4x8, "f32">) {
  // expected-error @+1 {{'quern.linear' op C3: the result has the input's rows and 4 columns}}
  %y = quern.linear %x, %w : (tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<4x8, "f32">) -> tensor<?x5xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear C3: the result has the input's rows.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %w: !quern.weight<4x8, "f32">) {
  // expected-error @+1 {{'quern.linear' op C3: the result has the input's rows}}
  %y = quern.linear %x, %w : (tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<4x8, "f32">) -> tensor<?x4xf32, #quern.dims<"R">>
  return
}

// -----

// Tests that linear takes rows, not indices.
func.func @f(%x: tensor<?xi32, #quern.dims<"T">>, %w: !quern.weight<4x8, "f32">) {
  // expected-error @+1 {{operand #0 must be}}
  %y = quern.linear %x, %w : (tensor<?xi32, #quern.dims<"T">>, !quern.weight<4x8, "f32">) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that quantize_rows C1: columns agree.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.quantize_rows' op C1: rows and columns agree}}
  %y = quern.quantize_rows %x : tensor<?x8xf32, #quern.dims<"T">> -> !quern.q8_rows<"T", 9>
  return
}

// -----

// Tests that quantize_rows C1: rows agree.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.quantize_rows' op C1: rows and columns agree}}
  %y = quern.quantize_rows %x : tensor<?x8xf32, #quern.dims<"T">> -> !quern.q8_rows<"R", 8>
  return
}

// -----

// Tests that embedding C1: the result is as wide as the weight.
func.func @f(%i: tensor<?xi32, #quern.dims<"T">>, %w: !quern.weight<10x8, "f32">) {
  // expected-error @+1 {{'quern.embedding' op C1: the weight is [V, 9]}}
  %y = quern.embedding %i, %w : (tensor<?xi32, #quern.dims<"T">>, !quern.weight<10x8, "f32">) -> tensor<?x9xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that embedding C2: the result has a row for each id.
func.func @f(%i: tensor<?xi32, #quern.dims<"T">>, %w: !quern.weight<10x8, "f32">) {
  // expected-error @+1 {{'quern.embedding' op C2: ids and result have the same symbolic size}}
  %y = quern.embedding %i, %w : (tensor<?xi32, #quern.dims<"T">>, !quern.weight<10x8, "f32">) -> tensor<?x8xf32, #quern.dims<"R">>
  return
}
