// RUN: quern-opt %s --split-input-file --verify-diagnostics

// Tests that block_linear C1: the blocks' inputs are the columns.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %w: !quern.weight<2x3x5, "f32">) {
  // expected-error @+1 {{'quern.block_linear' op C1: the weight is [G, N, K], where G K is 8}}
  %y = quern.block_linear %x, %w : (tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<2x3x5, "f32">) -> tensor<?x6xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that block_linear C2: a bias of all outputs.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %w: !quern.weight<2x3x4, "f32">, %b: !quern.weight<3, "f32">) {
  // expected-error @+1 {{'quern.block_linear' op C2: the bias is [6]}}
  %y = quern.block_linear %x, %w, %b : (tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<2x3x4, "f32">, !quern.weight<3, "f32">) -> tensor<?x6xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that block_linear C3: the outputs of all blocks.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %w: !quern.weight<2x3x4, "f32">) {
  // expected-error @+1 {{'quern.block_linear' op C3: the result has the input's rows and 6 columns}}
  %y = quern.block_linear %x, %w : (tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<2x3x4, "f32">) -> tensor<?x3xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that concat C1: something is put together.
func.func @f() {
  // expected-error @+1 {{'quern.concat' op C1: at least one input}}
  %y = quern.concat : () -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that concat C2: rows of one symbol.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.concat' op C2: inputs and result have the same rows}}
  %y = quern.concat %x : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"R">>
  return
}

// -----

// Tests that concat C3: equal groups of every input.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.concat' op C3: groups divides every input's columns}}
  %y = quern.concat %x {groups = 3 : i64} : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that concat C4: all columns of the inputs.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.concat' op C4: the result has all of the inputs' columns, 16}}
  %y = quern.concat %x, %x : (tensor<?x8xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that group_sum C1: rows of one symbol.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.group_sum' op C1: the result has the input's rows}}
  %y = quern.group_sum %x : tensor<?x8xf32, #quern.dims<"T">> -> tensor<?x2xf32, #quern.dims<"R">>
  return
}

// -----

// Tests that group_sum C2: equal groups.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.group_sum' op C2: the result's columns divide the input's 8}}
  %y = quern.group_sum %x : tensor<?x8xf32, #quern.dims<"T">> -> tensor<?x3xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that starts C1: a column a token.
func.func @f(%batch: !quern.batch) {
  // expected-error @+1 {{'quern.starts' op C1: the result has one column and a row for each token, T}}
  %y = quern.starts %batch : tensor<?x2xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that token_shift C1: a window of one position.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %batch: !quern.batch, %s: !quern.state<window, 8x2>) {
  // expected-error @+1 {{'quern.token_shift' op C1: the state is window 8x1}}
  %y = quern.token_shift %x, %batch, %s : (tensor<?x8xf32, #quern.dims<"T">>, !quern.batch, !quern.state<window, 8x2>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that token_shift C2: the result is such a row.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %batch: !quern.batch, %s: !quern.state<window, 8x1>) {
  // expected-error @+1 {{'quern.token_shift' op C2: the result has the input's type}}
  %y = quern.token_shift %x, %batch, %s : (tensor<?x8xf32, #quern.dims<"T">>, !quern.batch, !quern.state<window, 8x1>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that a shared state's values are columns of its keys.
// expected-error @+1 {{values of 5 columns are not the first of 4}}
quern.declare_state @s : !quern.state<kv, 1x4x5, shared>

// -----

// Tests that only kv states are shared.
// expected-error @+1 {{recurrent state has no values to share}}
quern.declare_state @s : !quern.state<recurrent, 1x4x4, shared>

// -----

// Tests that kv_append C3: a shared state is given keys alone.
func.func @f(%k: tensor<?x4xf32, #quern.dims<"T">>, %batch: !quern.batch, %s: !quern.state<kv, 1x4x4, shared>) {
  // expected-error @+1 {{'quern.kv_append' op C3: a shared state is given keys alone}}
  quern.kv_append %k, %k, %batch, %s : tensor<?x4xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<kv, 1x4x4, shared>
  return
}

// -----

// Tests that kv_append C3: any other has values of its own.
func.func @f(%k: tensor<?x4xf32, #quern.dims<"T">>, %batch: !quern.batch, %s: !quern.state<kv, 1x4x4>) {
  // expected-error @+1 {{'quern.kv_append' op C3: there are values}}
  quern.kv_append %k, %batch, %s : tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<kv, 1x4x4>
  return
}

// -----

// Tests that scan C1: states of single keys.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %batch: !quern.batch, %s: !quern.state<recurrent, 1x2x8>) {
  // expected-error @+1 {{'quern.scan' op C1: the state is recurrent [S, 1, C]}}
  %y = quern.scan %x, %batch, %s : (tensor<?x8xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 1x2x8>) -> tensor<?x8xf32, #quern.dims<"T">> {
  ^bb0(%a: tensor<?x8xf32, #quern.dims<"T">>, %b: tensor<?x8xf32, #quern.dims<"T">>):
    quern.yield %a, %b : tensor<?x8xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>
  }
  return
}

// -----

// Tests that scan C2: columns that are repeated evenly.
func.func @f(%x: tensor<?x3xf32, #quern.dims<"T">>, %batch: !quern.batch, %s: !quern.state<recurrent, 1x1x8>) {
  // expected-error @+1 {{'quern.scan' op C2: inputs have 8 columns, or that many divided}}
  %y = quern.scan %x, %batch, %s : (tensor<?x3xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 1x1x8>) -> tensor<?x8xf32, #quern.dims<"T">> {
  ^bb0(%a: tensor<?x8xf32, #quern.dims<"T">>, %b: tensor<?x3xf32, #quern.dims<"T">>):
    quern.yield %a, %a : tensor<?x8xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>
  }
  return
}

// -----

// Tests that scan C3: an argument for each state and input.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %batch: !quern.batch, %s: !quern.state<recurrent, 1x1x8>) {
  // expected-error @+1 {{'quern.scan' op C3: the body has an argument for each state and input}}
  %y = quern.scan %x, %batch, %s : (tensor<?x8xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 1x1x8>) -> tensor<?x8xf32, #quern.dims<"T">> {
  ^bb0(%a: tensor<?x8xf32, #quern.dims<"T">>):
    quern.yield %a, %a : tensor<?x8xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>
  }
  return
}

// -----

// Tests that scan C4: a value for each state and result.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %batch: !quern.batch, %s: !quern.state<recurrent, 1x1x8>) {
  // expected-error @+1 {{'quern.scan' op C4: the body yields a value for each state and result}}
  %y = quern.scan %x, %batch, %s : (tensor<?x8xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 1x1x8>) -> tensor<?x8xf32, #quern.dims<"T">> {
  ^bb0(%a: tensor<?x8xf32, #quern.dims<"T">>, %b: tensor<?x8xf32, #quern.dims<"T">>):
    quern.yield %a : tensor<?x8xf32, #quern.dims<"T">>
  }
  return
}

// -----

// Tests that scan C5: columns never meet.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %batch: !quern.batch, %s: !quern.state<recurrent, 1x1x8>) {
  // expected-error @+1 {{'quern.scan' op C5: quern.rms_norm is not elementwise}}
  %y = quern.scan %x, %batch, %s : (tensor<?x8xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 1x1x8>) -> tensor<?x8xf32, #quern.dims<"T">> {
  ^bb0(%a: tensor<?x8xf32, #quern.dims<"T">>, %b: tensor<?x8xf32, #quern.dims<"T">>):
    %0 = quern.rms_norm %b {eps = 0.0 : f32} : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
    quern.yield %0, %a : tensor<?x8xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>
  }
  return
}
