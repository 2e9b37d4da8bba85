// RUN: quern-opt %s --split-input-file --verify-diagnostics

// Tests that linear_recurrence C1: the state is recurrent.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<kv, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C1: the state is recurrent}}
  %y = quern.linear_recurrence %r, %k, %v, %d, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, !quern.batch, !quern.state<kv, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C2: groups divide the heads.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C2: groups divide 2 heads}}
  %y = quern.linear_recurrence %r, %k, %v, %d, %b, %s {groups = 3 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C2: groups are positive.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C2: groups divide 2 heads}}
  %y = quern.linear_recurrence %r, %k, %v, %d, %b, %s {groups = 0 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C3: r has groups * key dim columns.
func.func @f(%r: tensor<?x6xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C3: r and k have 3 columns, v and the result 4}}
  %y = quern.linear_recurrence %r, %k, %v, %d, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x6xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C3: k has groups * key dim columns.
func.func @f(%r: tensor<?x6xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C3: r and k have 6 columns, v and the result 4}}
  %y = quern.linear_recurrence %r, %k, %v, %d, %b, %s {groups = 2 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x6xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C3: v has heads * value dim columns.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x2xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C3: r and k have 3 columns, v and the result 4}}
  %y = quern.linear_recurrence %r, %k, %v, %d, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C3: the result has heads * value dim columns.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C3: r and k have 3 columns, v and the result 4}}
  %y = quern.linear_recurrence %r, %k, %v, %d, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x2xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C3: all have the same rows.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"R">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C3: inputs and result have the same rows}}
  %y = quern.linear_recurrence %r, %k, %v, %d, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"R">>, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C4: a decay for each head.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x3xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C4: the decay has 2 columns}}
  %y = quern.linear_recurrence %r, %k, %v, %d, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C4: a decay for each key.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C4: the decay has 6 columns}}
  %y = quern.linear_recurrence %r, %k, %v, %d, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind key>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C4: a decay for each value.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x3xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C4: the decay has 4 columns}}
  %y = quern.linear_recurrence %r, %k, %v, %d, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind value>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C4: a decay for each element.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C4: the decay has 12 columns}}
  %y = quern.linear_recurrence %r, %k, %v, %d, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind elementwise>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C5: a and b have groups * key dim columns.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"T">>, %a: tensor<?x3xf32, #quern.dims<"T">>, %c: tensor<?x4xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C5: a and b are both there, with 3 columns, or 6, or neither}}
  %y = quern.linear_recurrence %r, %k, %v, %d correction %a, %c, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C5: a is not there alone.
func.func @f(%x: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C5: a and b are both there, with 3 columns, or 6, or neither}}
  %y = "quern.linear_recurrence"(%x, %x, %v, %d, %x, %b, %s) <{groups = 1 : i64, decay_kind = #quern<decay_kind head>, operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1>}> : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C4: a decay of the heads or of the groups.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x3xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C4: the decay has 2 columns, or 1}}
  %y = quern.linear_recurrence %r, %k, %v, %d, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C5: a may be of every head, b of no other number.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"T">>, %a: tensor<?x6xf32, #quern.dims<"T">>, %c: tensor<?x4xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C5: a and b are both there, with 3 columns, or 6, or neither}}
  %y = quern.linear_recurrence %r, %k, %v, %d correction %a, %c, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, tensor<?x6xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C6: the rate has the shape of the state.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x4xf32, #quern.dims<"T">>, %w: !quern.weight<2x2x3, "f32">, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C6: the rate is [2, 3, 2], of a decay per value}}
  %y = quern.linear_recurrence %r, %k, %v, %d rate %w, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind value>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, !quern.weight<2x2x3, "f32">, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C6: the rate is of a decay per value.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"T">>, %w: !quern.weight<2x3x2, "f32">, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C6: the rate is [2, 3, 2], of a decay per value}}
  %y = quern.linear_recurrence %r, %k, %v, %d rate %w, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, !quern.weight<2x3x2, "f32">, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C7: a beta for every head.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"T">>, %e: tensor<?x3xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C7: beta has 2 columns, and there is no correction}}
  %y = quern.linear_recurrence %r, %k, %v, %d delta %e, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C7: no correction beside a delta.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"T">>, %e: tensor<?x2xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C7: beta has 2 columns, and there is no correction}}
  %y = quern.linear_recurrence %r, %k, %v, %d delta %e correction %r, %k, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C8: a bonus for every key.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"T">>, %w: !quern.weight<2x2, "f32">, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C8: the bonus is [2, 3], with one product}}
  %y = quern.linear_recurrence %r, %k, %v, %d bonus %w, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, !quern.weight<2x2, "f32">, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that linear_recurrence C8: no delta beside a bonus.
func.func @f(%r: tensor<?x3xf32, #quern.dims<"T">>, %k: tensor<?x3xf32, #quern.dims<"T">>, %v: tensor<?x4xf32, #quern.dims<"T">>, %d: tensor<?x2xf32, #quern.dims<"T">>, %e: tensor<?x2xf32, #quern.dims<"T">>, %w: !quern.weight<2x3, "f32">, %b: !quern.batch, %s: !quern.state<recurrent, 2x3x2>) {
  // expected-error @+1 {{'quern.linear_recurrence' op C8: the bonus is [2, 3], with one product}}
  %y = quern.linear_recurrence %r, %k, %v, %d delta %e bonus %w, %b, %s {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (tensor<?x3xf32, #quern.dims<"T">>, tensor<?x3xf32, #quern.dims<"T">>, tensor<?x4xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, tensor<?x2xf32, #quern.dims<"T">>, !quern.weight<2x3, "f32">, !quern.batch, !quern.state<recurrent, 2x3x2>) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that causal_conv1d C1: a row of the weight for each channel.
func.func @f(%x: tensor<?x4xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<window, 4x2>, %w: !quern.weight<5x3, "f32">) {
  // expected-error @+1 {{'quern.causal_conv1d' op C1: the weight is [4, L]}}
  %y = quern.causal_conv1d %x, %b, %s, %w : (tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<window, 4x2>, !quern.weight<5x3, "f32">) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that causal_conv1d C1: the weight is a matrix.
func.func @f(%x: tensor<?x4xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<window, 4x2>, %w: !quern.weight<4, "f32">) {
  // expected-error @+1 {{'quern.causal_conv1d' op C1: the weight is [4, L]}}
  %y = quern.causal_conv1d %x, %b, %s, %w : (tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<window, 4x2>, !quern.weight<4, "f32">) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that causal_conv1d C2: the state is a window.
func.func @f(%x: tensor<?x4xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 4x2x1>, %w: !quern.weight<4x3, "f32">) {
  // expected-error @+1 {{'quern.causal_conv1d' op C2: the state is window 4x2}}
  %y = quern.causal_conv1d %x, %b, %s, %w : (tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 4x2x1>, !quern.weight<4x3, "f32">) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that causal_conv1d C2: the window keeps one input less than the weight has.
func.func @f(%x: tensor<?x4xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<window, 4x3>, %w: !quern.weight<4x3, "f32">) {
  // expected-error @+1 {{'quern.causal_conv1d' op C2: the state is window 4x2}}
  %y = quern.causal_conv1d %x, %b, %s, %w : (tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<window, 4x3>, !quern.weight<4x3, "f32">) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that causal_conv1d C3: a bias for each channel.
func.func @f(%x: tensor<?x4xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<window, 4x2>, %w: !quern.weight<4x3, "f32">, %c: !quern.weight<3, "f32">) {
  // expected-error @+1 {{'quern.causal_conv1d' op C3: the bias is [4]}}
  %y = quern.causal_conv1d %x, %b, %s, %w, %c : (tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<window, 4x2>, !quern.weight<4x3, "f32">, !quern.weight<3, "f32">) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that causal_conv1d C4: the result has the input's type.
func.func @f(%x: tensor<?x4xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<window, 4x2>, %w: !quern.weight<4x3, "f32">) {
  // expected-error @+1 {{'quern.causal_conv1d' op C4: the result has the input's type}}
  %y = quern.causal_conv1d %x, %b, %s, %w : (tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<window, 4x2>, !quern.weight<4x3, "f32">) -> tensor<?x4xf32, #quern.dims<"R">>
  return
}

// -----

// Tests that long_conv C1: the state is recurrent.
func.func @f(%x: tensor<?x4xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<window, 3x2>, %p: !quern.weight<3x2x4, "f32">, %r: !quern.weight<3x2x4, "f32">, %d: !quern.weight<4, "f32">) {
  // expected-error @+1 {{'quern.long_conv' op C1: the state is recurrent Nx2x4}}
  %y = quern.long_conv %x, %b, %s, %p, %r, %d : (tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<window, 3x2>, !quern.weight<3x2x4, "f32">, !quern.weight<3x2x4, "f32">, !quern.weight<4, "f32">) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that long_conv C1: a state has a number and its imaginary part for each channel.
func.func @f(%x: tensor<?x4xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 3x1x4>, %p: !quern.weight<3x2x4, "f32">, %r: !quern.weight<3x2x4, "f32">, %d: !quern.weight<4, "f32">) {
  // expected-error @+1 {{'quern.long_conv' op C1: the state is recurrent Nx2x4}}
  %y = quern.long_conv %x, %b, %s, %p, %r, %d : (tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 3x1x4>, !quern.weight<3x2x4, "f32">, !quern.weight<3x2x4, "f32">, !quern.weight<4, "f32">) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that long_conv C2: poles are as many as the states.
func.func @f(%x: tensor<?x4xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 3x2x4>, %p: !quern.weight<2x2x4, "f32">, %r: !quern.weight<3x2x4, "f32">, %d: !quern.weight<4, "f32">) {
  // expected-error @+1 {{'quern.long_conv' op C2: poles and residues are [3, 2, G], and G divides 4}}
  %y = quern.long_conv %x, %b, %s, %p, %r, %d : (tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 3x2x4>, !quern.weight<2x2x4, "f32">, !quern.weight<3x2x4, "f32">, !quern.weight<4, "f32">) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that long_conv C2: residues are of the poles.
func.func @f(%x: tensor<?x4xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 3x2x4>, %p: !quern.weight<3x2x4, "f32">, %r: !quern.weight<3x2x2, "f32">, %d: !quern.weight<4, "f32">) {
  // expected-error @+1 {{'quern.long_conv' op C2: poles and residues are [3, 2, G], and G divides 4}}
  %y = quern.long_conv %x, %b, %s, %p, %r, %d : (tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 3x2x4>, !quern.weight<3x2x4, "f32">, !quern.weight<3x2x2, "f32">, !quern.weight<4, "f32">) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that long_conv C2: as many channels share a filter as others.
func.func @f(%x: tensor<?x4xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 3x2x4>, %p: !quern.weight<3x2x3, "f32">, %r: !quern.weight<3x2x3, "f32">, %d: !quern.weight<4, "f32">) {
  // expected-error @+1 {{'quern.long_conv' op C2: poles and residues are [3, 2, G], and G divides 4}}
  %y = quern.long_conv %x, %b, %s, %p, %r, %d : (tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 3x2x4>, !quern.weight<3x2x3, "f32">, !quern.weight<3x2x3, "f32">, !quern.weight<4, "f32">) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that long_conv C3: a d for each channel.
func.func @f(%x: tensor<?x4xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 3x2x4>, %p: !quern.weight<3x2x4, "f32">, %r: !quern.weight<3x2x4, "f32">, %d: !quern.weight<3, "f32">) {
  // expected-error @+1 {{'quern.long_conv' op C3: d is [4]}}
  %y = quern.long_conv %x, %b, %s, %p, %r, %d : (tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 3x2x4>, !quern.weight<3x2x4, "f32">, !quern.weight<3x2x4, "f32">, !quern.weight<3, "f32">) -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that long_conv C4: the result has the input's type.
func.func @f(%x: tensor<?x4xf32, #quern.dims<"T">>, %b: !quern.batch, %s: !quern.state<recurrent, 3x2x4>, %p: !quern.weight<3x2x4, "f32">, %r: !quern.weight<3x2x4, "f32">, %d: !quern.weight<4, "f32">) {
  // expected-error @+1 {{'quern.long_conv' op C4: the result has the input's type}}
  %y = quern.long_conv %x, %b, %s, %p, %r, %d : (tensor<?x4xf32, #quern.dims<"T">>, !quern.batch, !quern.state<recurrent, 3x2x4>, !quern.weight<3x2x4, "f32">, !quern.weight<3x2x4, "f32">, !quern.weight<4, "f32">) -> tensor<?x4xf32, #quern.dims<"R">>
  return
}
