// RUN: quern-opt %s --split-input-file --verify-diagnostics

// Tests that rms_norm C1: group divides the columns.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.rms_norm' op C1: group divides 8 columns}}
  %y = quern.rms_norm %x {eps = 0.0 : f32, group = 3 : i64} : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that rms_norm C1: group is not negative.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.rms_norm' op C1: group divides 8 columns}}
  %y = quern.rms_norm %x {eps = 0.0 : f32, group = -4 : i64} : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that rms_norm C2: the weight is of a group or of all columns.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %w: !quern.weight<2, "f32">) {
  // expected-error @+1 {{'quern.rms_norm' op C2: the weight is [4] or [8]}}
  %y = quern.rms_norm %x, %w {eps = 0.0 : f32, group = 4 : i64} : (tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<2, "f32">) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that rms_norm C3: eps is not negative.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.rms_norm' op C3: eps is not negative}}
  %y = quern.rms_norm %x {eps = -1.0 : f32} : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that rms_norm C4: the result has the input's type.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.rms_norm' op C4: the result has the input's type}}
  %y = quern.rms_norm %x {eps = 0.0 : f32} : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"R">>
  return
}

// -----

// Tests that layer_norm C1: group divides the columns.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.layer_norm' op C1: group divides 8 columns}}
  %y = quern.layer_norm %x {eps = 0.0 : f32, group = 3 : i64} : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that layer_norm C2: the weight is of a group or of all columns.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %w: !quern.weight<2, "f32">) {
  // expected-error @+1 {{'quern.layer_norm' op C2: the weight is [4] or [8]}}
  %y = quern.layer_norm %x weight %w {eps = 0.0 : f32, group = 4 : i64} : (tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<2, "f32">) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that layer_norm C2: so is the bias.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %w: !quern.weight<8, "f32">, %b: !quern.weight<8x1, "f32">) {
  // expected-error @+1 {{'quern.layer_norm' op C2: the bias is [8] or [8]}}
  %y = quern.layer_norm %x weight %w bias %b {eps = 0.0 : f32} : (tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<8, "f32">, !quern.weight<8x1, "f32">) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that layer_norm C3: eps is not negative.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.layer_norm' op C3: eps is not negative}}
  %y = quern.layer_norm %x {eps = -1.0 : f32} : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that layer_norm C4: the result has the input's type.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.layer_norm' op C4: the result has the input's type}}
  %y = quern.layer_norm %x {eps = 0.0 : f32} : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"R">>
  return
}
