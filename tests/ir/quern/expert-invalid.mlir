// RUN: quern-opt %s --split-input-file --verify-diagnostics

!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T2 = tensor<?x2xf32, #quern.dims<"T">>
!I2 = tensor<?x2xi32, #quern.dims<"T">>
// Tests that route C1: no more experts are chosen than there are.
func.func @f(%x: !T4) {
  // expected-error @+1 {{'quern.route' op C1: top_k is one of 1 to 4}}
  %ids, %w = quern.route softmax %x {top_k = 5 : i64} : (!T4) -> (!I2, !T2)
  return
}

// -----

!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T2 = tensor<?x2xf32, #quern.dims<"T">>
!I2 = tensor<?x2xi32, #quern.dims<"T">>
// Tests that route C2: the groups that are taken have as many experts as are chosen.
func.func @f(%x: !T4) {
  // expected-error @+1 {{'quern.route' op C2: 4 groups, of which 1 are taken, do not divide 4 experts or have less than 2 or 1}}
  %ids, %w = quern.route sigmoid %x {top_k = 2 : i64, groups = 4 : i64} : (!T4) -> (!I2, !T2)
  return
}

// -----

!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T2 = tensor<?x2xf32, #quern.dims<"T">>
!I2 = tensor<?x2xi32, #quern.dims<"T">>
// Tests that route C3: the bias has a number for each expert.
func.func @f(%x: !T4, %b: !quern.weight<3, "f32">) {
  // expected-error @+1 {{'quern.route' op C3: the bias is [4]}}
  %ids, %w = quern.route sigmoid %x, %b {top_k = 2 : i64} : (!T4, !quern.weight<3, "f32">) -> (!I2, !T2)
  return
}

// -----

!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T2 = tensor<?x2xf32, #quern.dims<"T">>
!I3 = tensor<?x3xi32, #quern.dims<"T">>
// Tests that route C4: there are as many ids as experts are chosen.
func.func @f(%x: !T4) {
  // expected-error @+1 {{'quern.route' op C4: ids and weights have the logits' rows and 2 columns}}
  %ids, %w = quern.route chosen %x {top_k = 2 : i64} : (!T4) -> (!I3, !T2)
  return
}

// -----

!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T2 = tensor<?x2xf32, #quern.dims<"T">>
!I2 = tensor<?x2xi32, #quern.dims<"T">>
// Tests that route C5: weights are divided by a norm that there is.
func.func @f(%x: !T4) {
  // expected-error @+1 {{'quern.route' op C5: normalize is 0, 1 or 2, and eps is not negative}}
  %ids, %w = quern.route softmax %x {top_k = 2 : i64, normalize = 3 : i64} : (!T4) -> (!I2, !T2)
  return
}

// -----

!T6 = tensor<?x6xf32, #quern.dims<"T">>
!I2 = tensor<?x2xi32, #quern.dims<"T">>
// Tests that expert_linear C1: a row is an input of one expert, or of each of the token's.
func.func @f(%x: !T6, %ids: !I2, %w: !quern.weight<4x3x2, "f32">) {
  // expected-error @+1 {{'quern.expert_linear' op C1: the weight is [E, N, K], and the input has K columns or 2 times K, not 6}}
  %y = quern.expert_linear %x, %ids, %w : (!T6, !I2, !quern.weight<4x3x2, "f32">) -> !T6
  return
}

// -----

!T6 = tensor<?x6xf32, #quern.dims<"T">>
!I2 = tensor<?x2xi32, #quern.dims<"T">>
// Tests that expert_linear C1: quantized rows have a block for each input of an expert.
func.func @f(%x: !quern.q8_rows<"T", 64>, %ids: !I2, %w: !quern.weight<4x3x32, "int8">) {
  // expected-error @+1 {{'quern.expert_linear' op C1: quantized rows have a block for each input of an expert}}
  %y = quern.expert_linear %x, %ids, %w : (!quern.q8_rows<"T", 64>, !I2, !quern.weight<4x3x32, "int8">) -> !T6
  return
}

// -----

!T6 = tensor<?x6xf32, #quern.dims<"T">>
!I2 = tensor<?x2xi32, #quern.dims<"T">>
// Tests that expert_linear C2: each expert has a bias of its own.
func.func @f(%x: !T6, %ids: !I2, %w: !quern.weight<4x3x6, "f32">, %b: !quern.weight<3, "f32">) {
  // expected-error @+1 {{'quern.expert_linear' op C2: the bias is [4, 3]}}
  %y = quern.expert_linear %x, %ids, %w, %b : (!T6, !I2, !quern.weight<4x3x6, "f32">, !quern.weight<3, "f32">) -> !T6
  return
}

// -----

!T6 = tensor<?x6xf32, #quern.dims<"T">>
!I2 = tensor<?x2xi32, #quern.dims<"T">>
// Tests that expert_linear C3: the result has a block for each of the token's experts.
func.func @f(%x: !T6, %ids: !I2, %w: !quern.weight<4x5x6, "f32">) {
  // expected-error @+1 {{'quern.expert_linear' op C3: ids and result have the input's rows, and the result 10 columns}}
  %y = quern.expert_linear %x, %ids, %w : (!T6, !I2, !quern.weight<4x5x6, "f32">) -> !T6
  return
}

// -----

!T6 = tensor<?x6xf32, #quern.dims<"T">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T2 = tensor<?x2xf32, #quern.dims<"T">>
// Tests that combine C1: the input has as many blocks as there are weights.
func.func @f(%x: !T6, %w: !T2) {
  // expected-error @+1 {{'quern.combine' op C1: rows agree, and the input has 8 columns}}
  %y = quern.combine %x, %w : (!T6, !T2) -> !T4
  return
}

// -----

// Tests that slice C1: groups divide the columns of both.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.slice' op C1: groups divide the columns, 3 of 8}}
  %y = quern.slice %x {groups = 2 : i64, offset = 0 : i64} : tensor<?x8xf32, #quern.dims<"T">> -> tensor<?x3xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that slice C1: the columns lie inside those of each group.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.slice' op C1: the columns lie inside the input's 4}}
  %y = quern.slice %x {groups = 2 : i64, offset = 3 : i64} : tensor<?x8xf32, #quern.dims<"T">> -> tensor<?x4xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that gated_act C1: a limit is positive.
func.func @f(%x: tensor<?x8xf32, #quern.dims<"T">>) {
  // expected-error @+1 {{'quern.gated_act' op C1: alpha and limit are positive}}
  %y = quern.gated_act silu %x, %x {limit = 0.0 : f32} : tensor<?x8xf32, #quern.dims<"T">>
  return
}

// -----

// Tests that weight C4: the first place is where file and offset say.
// expected-error @+1 {{'quern.weight' op C4: places are pairs of a file and an offset, the first of them `file` and `offset`, and divide the first dimension}}
quern.weight @w : !quern.weight<2x4x4, "f32"> {file = 0 : i32, offset = 64 : i64, places = array<i64: 0, 0, 0, 64>}

// -----

// Tests that weight C4: places divide the first dimension.
// expected-error @+1 {{'quern.weight' op C4: places are pairs}}
quern.weight @w : !quern.weight<3x4x4, "f32"> {file = 0 : i32, offset = 0 : i64, places = array<i64: 0, 0, 0, 64>}

// -----

// Tests that weight_concat C2: an axis that weights do not have is none.
func.func @f(%a: !quern.weight<4, "f32">) {
  // expected-error @+1 {{'quern.weight_concat' op C2: the axis is 0 or 1, and one of the result's}}
  %y = quern.weight_concat %a, %a {axis = 1 : i64} : (!quern.weight<4, "f32">, !quern.weight<4, "f32">) -> !quern.weight<8, "f32">
  return
}

// -----

// Tests that q8_rows are in equal blocks.
// expected-error @+1 {{quantized rows are of 10 columns in 3 equal blocks}}
func.func private @f(!quern.q8_rows<"T", 10, 3>)
