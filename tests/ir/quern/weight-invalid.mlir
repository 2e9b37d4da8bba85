// RUN: quern-opt %s --split-input-file --verify-diagnostics

// Tests that a weight's dimensions are positive.
// expected-error @+1 {{a weight's dimensions are positive}}
quern.weight @w : !quern.weight<4x0, "f32"> {file = 0 : i32, offset = 0 : i64}

// -----

// Tests that weight C1: a file is an index, or -1.
// expected-error @+1 {{'quern.weight' op C1: file is an index into quern.files, or -1}}
quern.weight @w : !quern.weight<4, "f32"> {file = -2 : i32, offset = 0 : i64}

// -----

// Tests that weight C2: an offset is not negative.
// expected-error @+1 {{'quern.weight' op C2: offset is not negative}}
quern.weight @w : !quern.weight<4, "f32"> {file = 0 : i32, offset = -4 : i64}

// -----

// Tests that weight C3: a layout is one of those there are.
// expected-error @+1 {{'quern.weight' op C3: there is no layout 'diagonal' of codes}}
quern.weight @w : !quern.weight<8x64, "f32"> {coded = #quern.coded<layout = "diagonal", bits = 4, group = 32, codes = "i32", scales = <0, 8, "f16">>, file = 0 : i32, offset = 0 : i64}

// -----

// Tests that weight C3: elements are of a type that there is.
// expected-error @+1 {{'quern.weight' op C3: there are no tensors with elements of 'f64'}}
quern.weight @w : !quern.weight<8x64, "f32"> {coded = #quern.coded<layout = "gptq", bits = 4, group = 32, codes = "i32", scales = <0, 8, "f64">>, file = 0 : i32, offset = 0 : i64}

// -----

// Tests that weight C3: codes fill a weight of its shape.
// expected-error @+1 {{'quern.weight' op C3: a weight of codes in the layout gptq fills whole words in both dimensions}}
quern.weight @w : !quern.weight<8x65, "f32"> {coded = #quern.coded<layout = "gptq", bits = 4, group = 32, codes = "i32", scales = <0, 8, "f16">>, file = 0 : i32, offset = 0 : i64}

// -----

// Tests that weight C3: the format holds the codes.
// expected-error @+1 {{'quern.weight' op C3: "int8" does not hold such codes}}
quern.weight @w : !quern.weight<8x64, "int8"> {coded = #quern.coded<layout = "gptq", bits = 4, group = 32, codes = "i32", scales = <0, 8, "bf16">>, file = 0 : i32, offset = 0 : i64}

// -----

// Tests that packed C1: the body yields the declared type.
quern.weight @w : !quern.weight<4, "f32"> {file = 0 : i32, offset = 0 : i64}
// expected-error @+1 {{'quern.packed' op C1: the body yields one weight of type '!quern.weight<8, "f32">'}}
quern.packed @p : !quern.weight<8, "f32"> packing "rows" {
  %0 = quern.weight_ref @w : !quern.weight<4, "f32">
  quern.yield %0 : !quern.weight<4, "f32">
}

// -----

// Tests that packed C1: the body yields one weight.
// expected-error @+1 {{'quern.packed' op C1: the body yields one weight}}
quern.packed @p : !quern.weight<8, "f32"> packing "rows" {
  quern.yield
}

// -----

// Tests that weight_ref C1: the symbol is declared.
func.func @f() {
  // expected-error @+1 {{'quern.weight_ref' op C1: @w is no declared weight}}
  %w = quern.weight_ref @w : !quern.weight<4, "f32">
  return
}

// -----

// Tests that weight_ref C1: the symbol is a weight.
quern.declare_state @w : !quern.state<kv, 2x4x4>
func.func @f() {
  // expected-error @+1 {{'quern.weight_ref' op C1: @w is no declared weight}}
  %w = quern.weight_ref @w : !quern.weight<4, "f32">
  return
}

// -----

// Tests that weight_ref C1: the types agree.
quern.weight @w : !quern.weight<4, "f16"> {file = 0 : i32, offset = 0 : i64}
func.func @f() {
  // expected-error @+1 {{'quern.weight_ref' op C1: @w is declared as '!quern.weight<4, "f16">'}}
  %w = quern.weight_ref @w : !quern.weight<4, "f32">
  return
}

// -----

// Tests that weight_concat C1: at least one input.
func.func @f() {
  // expected-error @+1 {{'quern.weight_concat' op C1: at least one input}}
  %y = quern.weight_concat : () -> !quern.weight<4, "f32">
  return
}

// -----

// Tests that weight_concat C2: formats agree.
func.func @f(%w0: !quern.weight<2x4, "f32">, %w1: !quern.weight<2x4, "f16">) {
  // expected-error @+1 {{'quern.weight_concat' op C2: inputs agree with the result but for their rows}}
  %y = quern.weight_concat %w0, %w1 : (!quern.weight<2x4, "f32">, !quern.weight<2x4, "f16">) -> !quern.weight<4x4, "f32">
  return
}

// -----

// Tests that weight_concat C2: columns agree.
func.func @f(%w0: !quern.weight<2x4, "f32">, %w1: !quern.weight<2x5, "f32">) {
  // expected-error @+1 {{'quern.weight_concat' op C2: inputs agree with the result but for their rows}}
  %y = quern.weight_concat %w0, %w1 : (!quern.weight<2x4, "f32">, !quern.weight<2x5, "f32">) -> !quern.weight<4x4, "f32">
  return
}

// -----

// Tests that weight_concat C3: rows add up.
func.func @f(%w0: !quern.weight<2x4, "f32">, %w1: !quern.weight<3x4, "f32">) {
  // expected-error @+1 {{'quern.weight_concat' op C3: the inputs have 5 rows together}}
  %y = quern.weight_concat %w0, %w1 : (!quern.weight<2x4, "f32">, !quern.weight<3x4, "f32">) -> !quern.weight<6x4, "f32">
  return
}

// -----

// Tests that weight_convert C1: shapes agree.
func.func @f(%w: !quern.weight<4x8, "f32">) {
  // expected-error @+1 {{'quern.weight_convert' op C1: input and result have the same shape}}
  %y = quern.weight_convert %w : !quern.weight<4x8, "f32"> -> !quern.weight<8x4, "int8">
  return
}

// -----

// Tests that weight_map C1: fn is known.
func.func @f(%w: !quern.weight<4, "f32">) {
  // expected-error @+1 {{'quern.weight_map' op C1: fn is neg_exp, add_one, softplus, scale or cumulated_softmax}}
  %y = quern.weight_map "sqrt" %w : !quern.weight<4, "f32"> -> !quern.weight<4, "f32">
  return
}

// -----

// Tests that weight_map C1: what scales has a factor.
func.func @f(%w: !quern.weight<4, "f32">) {
  // expected-error @+1 {{'quern.weight_map' op C1: there is a factor beside scale alone}}
  %y = quern.weight_map "scale" %w : !quern.weight<4, "f32"> -> !quern.weight<4, "f32">
  return
}

// -----

// Tests that weight_map C1: nothing else has one.
func.func @f(%w: !quern.weight<4, "f32">) {
  // expected-error @+1 {{'quern.weight_map' op C1: there is a factor beside scale alone}}
  %y = quern.weight_map "add_one" %w {factor = 2.0 : f32} : !quern.weight<4, "f32"> -> !quern.weight<4, "f32">
  return
}

// -----

// Tests that weight_map C2: the result is f32.
func.func @f(%w: !quern.weight<4, "f16">) {
  // expected-error @+1 {{'quern.weight_map' op C2: the result is f32 of the input's shape}}
  %y = quern.weight_map "neg_exp" %w : !quern.weight<4, "f16"> -> !quern.weight<4, "f16">
  return
}

// -----

// Tests that weight_map C2: shapes agree.
func.func @f(%w: !quern.weight<4, "f32">) {
  // expected-error @+1 {{'quern.weight_map' op C2: the result is f32 of the input's shape}}
  %y = quern.weight_map "neg_exp" %w : !quern.weight<4, "f32"> -> !quern.weight<2x2, "f32">
  return
}

// -----

// Tests that weight_map C3: a softmax of columns is a matrix's.
func.func @f(%w: !quern.weight<4, "f32">) {
  // expected-error @+1 {{'quern.weight_map' op C3: cumulated_softmax is of a matrix}}
  %y = quern.weight_map "cumulated_softmax" %w : !quern.weight<4, "f32"> -> !quern.weight<4, "f32">
  return
}

// -----

// Tests that weight_reshape C1: element counts agree.
func.func @f(%w: !quern.weight<4x4, "f32">) {
  // expected-error @+1 {{'quern.weight_reshape' op C1: element counts and formats agree}}
  %y = quern.weight_reshape %w : !quern.weight<4x4, "f32"> -> !quern.weight<15, "f32">
  return
}

// -----

// Tests that weight_reshape C1: formats agree.
func.func @f(%w: !quern.weight<4x4, "f32">) {
  // expected-error @+1 {{'quern.weight_reshape' op C1: element counts and formats agree}}
  %y = quern.weight_reshape %w : !quern.weight<4x4, "f32"> -> !quern.weight<16, "f16">
  return
}

// -----

// Tests that weight_transpose C1: rows and columns change places.
func.func @f(%w: !quern.weight<4x8, "f32">) {
  // expected-error @+1 {{'quern.weight_transpose' op C1: the input is [K, N], the result [N, K] of the same format}}
  %y = quern.weight_transpose %w : !quern.weight<4x8, "f32"> -> !quern.weight<4x8, "f32">
  return
}

// -----

// Tests that weight_transpose C1: the format stays.
func.func @f(%w: !quern.weight<4x8, "f32">) {
  // expected-error @+1 {{'quern.weight_transpose' op C1: the input is [K, N], the result [N, K] of the same format}}
  %y = quern.weight_transpose %w : !quern.weight<4x8, "f32"> -> !quern.weight<8x4, "f16">
  return
}

// -----

// Tests that weight_transpose C1: of matrices.
func.func @f(%w: !quern.weight<4, "f32">) {
  // expected-error @+1 {{'quern.weight_transpose' op C1: the input is [K, N], the result [N, K] of the same format}}
  %y = quern.weight_transpose %w : !quern.weight<4, "f32"> -> !quern.weight<4, "f32">
  return
}

// -----

// Tests that weight_rows C1: offset is not negative.
func.func @f(%w: !quern.weight<4x8, "f32">) {
  // expected-error @+1 {{'quern.weight_rows' op C1: offset and block are not negative and stride is not less than block}}
  %y = quern.weight_rows %w {offset = -1 : i64} : !quern.weight<4x8, "f32"> -> !quern.weight<2x8, "f32">
  return
}

// -----

// Tests that weight_rows C1: blocks do not overlap.
func.func @f(%w: !quern.weight<4x8, "f32">) {
  // expected-error @+1 {{'quern.weight_rows' op C1: offset and block are not negative and stride is not less than block}}
  %y = quern.weight_rows %w {offset = 0 : i64, block = 2 : i64, stride = 1 : i64} : !quern.weight<4x8, "f32"> -> !quern.weight<2x8, "f32">
  return
}

// -----

// Tests that weight_rows C2: columns agree.
func.func @f(%w: !quern.weight<4x8, "f32">) {
  // expected-error @+1 {{'quern.weight_rows' op C2: the result agrees with the input but for its rows}}
  %y = quern.weight_rows %w {offset = 0 : i64} : !quern.weight<4x8, "f32"> -> !quern.weight<2x4, "f32">
  return
}

// -----

// Tests that weight_rows C2: formats agree.
func.func @f(%w: !quern.weight<4x8, "f32">) {
  // expected-error @+1 {{'quern.weight_rows' op C2: the result agrees with the input but for its rows}}
  %y = quern.weight_rows %w {offset = 0 : i64} : !quern.weight<4x8, "f32"> -> !quern.weight<2x8, "f16">
  return
}

// -----

// Tests that weight_rows C3: whole blocks.
func.func @f(%w: !quern.weight<8x8, "f32">) {
  // expected-error @+1 {{'quern.weight_rows' op C3: the rows are blocks of 2 that lie inside the input's 8}}
  %y = quern.weight_rows %w {offset = 0 : i64, block = 2 : i64, stride = 2 : i64} : !quern.weight<8x8, "f32"> -> !quern.weight<3x8, "f32">
  return
}

// -----

// Tests that weight_rows C3: the last block lies inside the input.
func.func @f(%w: !quern.weight<8x8, "f32">) {
  // expected-error @+1 {{'quern.weight_rows' op C3: the rows are blocks of 2 that lie inside the input's 8}}
  %y = quern.weight_rows %w {offset = 2 : i64, block = 2 : i64, stride = 5 : i64} : !quern.weight<8x8, "f32"> -> !quern.weight<4x8, "f32">
  return
}

// -----

// Tests that weight_rows C3: the rows lie inside the input.
func.func @f(%w: !quern.weight<8x8, "f32">) {
  // expected-error @+1 {{'quern.weight_rows' op C3: the rows are blocks of 4 that lie inside the input's 8}}
  %y = quern.weight_rows %w {offset = 5 : i64} : !quern.weight<8x8, "f32"> -> !quern.weight<4x8, "f32">
  return
}
