// RUN: quern-opt %s --split-input-file --verify-diagnostics

// Tests that a kv state has three dimensions.
// expected-error @+1 {{kv state has 3 dimensions, not 2}}
quern.declare_state @s : !quern.state<kv, 2x4>

// -----

// Tests that a window state has two dimensions.
// expected-error @+1 {{window state has 2 dimensions, not 3}}
quern.declare_state @s : !quern.state<window, 2x4x4>

// -----

// Tests that a state's dimensions are positive.
// expected-error @+1 {{a state's dimensions are positive}}
quern.declare_state @s : !quern.state<recurrent, 2x0x4>

// -----

// Tests that state_ref C1: the symbol is declared.
func.func @f() {
  // expected-error @+1 {{'quern.state_ref' op C1: @s is no declared state}}
  %s = quern.state_ref @s : !quern.state<kv, 2x4x3>
  return
}

// -----

// Tests that state_ref C1: the symbol is a state.
quern.weight @s : !quern.weight<4, "f32"> {file = 0 : i32, offset = 0 : i64}
func.func @f() {
  // expected-error @+1 {{'quern.state_ref' op C1: @s is no declared state}}
  %s = quern.state_ref @s : !quern.state<kv, 2x4x3>
  return
}

// -----

// Tests that state_ref C1: the types agree.
quern.declare_state @s : !quern.state<kv, 2x4x4>
func.func @f() {
  // expected-error @+1 {{'quern.state_ref' op C1: @s is declared as '!quern.state<kv, 2x4x4>'}}
  %s = quern.state_ref @s : !quern.state<kv, 2x4x3>
  return
}

// -----

// Tests that kv_append C1: the state is kv.
func.func @f(%k: tensor<?x8xf32, #quern.dims<"T">>, %v: tensor<?x6xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x4x3>) {
  // expected-error @+1 {{'quern.kv_append' op C1: the state is kv}}
  quern.kv_append %k, %v, %b, %s : tensor<?x8xf32, #quern.dims<"T">>, tensor<?x6xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x4x3>
  return
}

// -----

// Tests that kv_append C2: keys have heads * key dim columns.
func.func @f(%k: tensor<?x6xf32, #quern.dims<"T">>, %v: tensor<?x6xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<kv, 2x4x3>) {
  // expected-error @+1 {{'quern.kv_append' op C2: keys have 8 columns, values 6}}
  quern.kv_append %k, %v, %b, %s : tensor<?x6xf32, #quern.dims<"T">>, tensor<?x6xf32, #quern.dims<"T">>, !quern.batch, !quern.state<kv, 2x4x3>
  return
}

// -----

// Tests that kv_append C2: values have heads * value dim columns.
func.func @f(%k: tensor<?x8xf32, #quern.dims<"T">>, %v: tensor<?x8xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<kv, 2x4x3>) {
  // expected-error @+1 {{'quern.kv_append' op C2: keys have 8 columns, values 6}}
  quern.kv_append %k, %v, %b, %s : tensor<?x8xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>, !quern.batch, !quern.state<kv, 2x4x3>
  return
}

// -----

// Tests that kv_append C2: keys and values have the same rows.
func.func @f(%k: tensor<?x8xf32, #quern.dims<"T">>, %v: tensor<?x6xf32, #quern.dims<"R">>, %b: !quern.batch, %s: !quern.state<kv, 2x4x3>) {
  // expected-error @+1 {{'quern.kv_append' op C2: keys and values have the same rows}}
  quern.kv_append %k, %v, %b, %s : tensor<?x8xf32, #quern.dims<"T">>, tensor<?x6xf32, #quern.dims<"R">>, !quern.batch, !quern.state<kv, 2x4x3>
  return
}
