// RUN: quern-opt %s --split-input-file --verify-diagnostics

// Tests that fused C1: block arguments have the inputs' types.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.fused' op C1: block arguments have the inputs' types}}
  %y = quern.fused rows (%x) : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">> {
  ^bb0(%a: tensor<?x4xf32, #quern.dims<"T">>):
    quern.yield %a : tensor<?x4xf32, #quern.dims<"T">>
  }
  return
}

// -----

// Tests that fused C2: the yield has the results' types.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.fused' op C2: the yield has the results' types}}
  %y = quern.fused rows (%x) : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">> {
  ^bb0(%a: tensor<?x8xf32, #quern.dims<"T">>):
    quern.yield
  }
  return
}

// -----

// Tests that fused C3: the anchor is in the body.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.fused' op C3: one op of the anchor's kind, quern.linear, not 0}}
  %y = quern.fused linear (%x) : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">> {
  ^bb0(%a: tensor<?x8xf32, #quern.dims<"T">>):
    %0 = quern.scale %a {factor = 2.0 : f32} : tensor<?x8xf32, #quern.dims<"T">>
    quern.yield %0 : tensor<?x8xf32, #quern.dims<"T">>
  }
  return
}

// -----

// Tests that fused C3: the anchor is there once.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>, %w: !quern.weight<8x8, "f32">) {
  // expected-error @+1 {{'quern.fused' op C3: one op of the anchor's kind, quern.linear, not 2}}
  %y = quern.fused linear (%x, %w) : (tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<8x8, "f32">) -> tensor<?x8xf32, #quern.dims<"T">> {
  ^bb0(%a: tensor<?x8xf32, #quern.dims<"T">>, %b: !quern.weight<8x8, "f32">):
    %1 = quern.linear %a, %b : (tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<8x8, "f32">) -> tensor<?x8xf32, #quern.dims<"T">>
    %0 = quern.linear %a, %b : (tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<8x8, "f32">) -> tensor<?x8xf32, #quern.dims<"T">>
    quern.yield %0 : tensor<?x8xf32, #quern.dims<"T">>
  }
  return
}

// -----

// Tests that an anchor is one of those that there are.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+2 {{'quern.fused' expected ::quern::Anchor to be one of: rows, linear}}
  // expected-error @+1 {{failed to parse Quern_AnchorAttr parameter 'value'}}
  %y = quern.fused scale (%x) : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">> {
  ^bb0(%a: tensor<?x8xf32, #quern.dims<"T">>):
    quern.yield %a : tensor<?x8xf32, #quern.dims<"T">>
  }
  return
}

// -----

// Tests that yield C1 and kernel C1: the yield has the kernel's results.
// expected-error @+1 {{'quern.kernel' op C1: the yield has the function type's results}}
quern.kernel @k rows (%a: tensor<?x8xf32, #quern.dims<"T">>) -> (tensor<?x4xf32, #quern.dims<"T">>) {
  quern.yield %a : tensor<?x8xf32, #quern.dims<"T">>
}

// -----

// Tests that dispatch C1: the callee is a kernel.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.dispatch' op C1: @k is no kernel}}
  %y = quern.dispatch @k(%x) "label" : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that dispatch C1: operands have the kernel's types.
quern.kernel @k rows (%a: tensor<?x8xf32, #quern.dims<"T">>) -> (tensor<?x8xf32, #quern.dims<"T">>) {
  %0 = quern.scale %a {factor = 2.0 : f32} : tensor<?x8xf32, #quern.dims<"T">>
  quern.yield %0 : tensor<?x8xf32, #quern.dims<"T">>
}
func.func @f(%x: tensor<?x4xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.dispatch' op C1: @k has type}}
  %y = quern.dispatch @k(%x) "label" : (tensor<?x4xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that dispatch C1: results have the kernel's types.
quern.kernel @k rows (%a: tensor<?x8xf32, #quern.dims<"T">>) -> (tensor<?x8xf32, #quern.dims<"T">>) {
  %0 = quern.scale %a {factor = 2.0 : f32} : tensor<?x8xf32, #quern.dims<"T">>
  quern.yield %0 : tensor<?x8xf32, #quern.dims<"T">>
}
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.dispatch' op C1: @k has type}}
  %y = quern.dispatch @k(%x) "label" : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that dispatch C2: an offset for each result.
quern.kernel @k rows (%a: tensor<?x8xf32, #quern.dims<"T">>) -> (tensor<?x8xf32, #quern.dims<"T">>) {
  %0 = quern.scale %a {factor = 2.0 : f32} : tensor<?x8xf32, #quern.dims<"T">>
  quern.yield %0 : tensor<?x8xf32, #quern.dims<"T">>
}
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.dispatch' op C2: one offset a result}}
  %y = quern.dispatch @k(%x) "label" at [0, 64] : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that dispatch C3: what every worker computes is no output of the entry.
quern.kernel @k rows (%a: tensor<?x8xf32, #quern.dims<"T">>) -> (tensor<?x8xf32, #quern.dims<"T">>) {
  %0 = quern.scale %a {factor = 2.0 : f32} : tensor<?x8xf32, #quern.dims<"T">>
  quern.yield %0 : tensor<?x8xf32, #quern.dims<"T">>
}
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.dispatch' op C3: every worker computes it}}
  %y = quern.dispatch @k(%x) "label" at [-1] replicated : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that dispatch C3: what every worker computes has no memory that workers share.
quern.kernel @k rows (%a: tensor<?x8xf32, #quern.dims<"T">>) -> (tensor<?x8xf32, #quern.dims<"T">>) {
  %0 = quern.scale %a {factor = 2.0 : f32} : tensor<?x8xf32, #quern.dims<"T">>
  quern.yield %0 : tensor<?x8xf32, #quern.dims<"T">>
}
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.dispatch' op C3: every worker computes it}}
  %y = quern.dispatch @k(%x) "label" at [0] scratch 64 replicated : (tensor<?x8xf32, #quern.dims<"T">>) -> tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that repeat C1: once is no repeat.
func.func @f() {
  // expected-error @+1 {{'quern.repeat' op C1: at least two turns of at least one dispatch}}
  quern.repeat 1 times 4 dispatches
  return
}

// -----

// Tests that repeat C1: nothing does not repeat.
func.func @f() {
  // expected-error @+1 {{'quern.repeat' op C1: at least two turns of at least one dispatch}}
  quern.repeat 4 times 0 dispatches
  return
}

// -----

// Tests that a yield ends a region of the dialect only.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.yield' op expects parent op to be one of}}
  quern.yield %x : tensor<?x8xf32, #quern.dims<"T">>
}
