// RUN: quern-opt %s --quern-check-symbols -split-input-file -verify-diagnostics

// Tests that ops whose rows are counted by one symbol pass, and gather_rows goes from one to another.
!rows = tensor<?xi32, #quern.dims<"R">>
!R8 = tensor<?x8xf32, #quern.dims<"R">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
func.func @f(%x: !T8, %rows: !rows) -> !R8 {
  %y = quern.scale %x {factor = 2.0 : f32} : !T8
  %z = quern.gather_rows %y, %rows : (!T8, !rows) -> !R8
  return %z : !R8
}

// -----

// Tests that keys and values of other rows than the batch's tokens are refused.
!R8 = tensor<?x8xf32, #quern.dims<"R">>
func.func @f(%k: !R8, %v: !R8, %batch: !quern.batch, %s: !quern.state<kv, 1x8x8>) {
  // expected-error @+1 {{operand 0 has R rows where T rows are expected (the op reads the batch, whose tokens are T)}}
  quern.kv_append %k, %v, %batch, %s : !R8, !R8, !quern.batch, !quern.state<kv, 1x8x8>
  return
}

// -----

// Tests that what reads the batch yields rows of its tokens.
!R2 = tensor<?x2xf32, #quern.dims<"R">>
func.func @f(%batch: !quern.batch) -> !R2 {
  // expected-error @+1 {{result 0 has R rows where T rows are expected}}
  %y = quern.rope_table %batch {inv_freq = array<f32: 1.0>} : !R2
  return %y : !R2
}

// -----

// Tests that expressions over the module's sizes pass, and general ops mix them.
!X = tensor<?x8xf32, #quern.dims<"b*s">>
!Y = tensor<?x?x8xf32, #quern.dims<"b", "s">>
module attributes {quern.sizes = {b = 4 : i64, s = 8 : i64}} {
func.func @main(%x: !Y) -> !Y {
  %rows = quern.reshape %x : !Y -> !X
  %z = quern.scale %rows {factor = 2.0 : f32} : !X
  %y = quern.reshape %z : !X -> !Y
  return %y : !Y
}
}

// -----

// Tests that an expression over a size that there is not is refused.
!X = tensor<?x8xf32, #quern.dims<"2*n">>
module attributes {quern.sizes = {b = 4 : i64}} {
// expected-error @+1 {{has a dimension '2*n', which is not T, B or R, nor an expression over the module's quern.sizes}}
func.func @main(%x: !X, %y: tensor<?xf32, #quern.dims<"b">>) {
  return
}
}

// -----

// Tests that every dimension that is not fixed has a name.
module attributes {quern.sizes = {b = 4 : i64}} {
func.func @main(%x: tensor<?xf32, #quern.dims<"b">>) -> tensor<?xf32, #quern.dims<"b">> {
  %b = quern.size "b"
  // expected-error @+1 {{has type 'tensor<?xf32>': each dimension that is not fixed has a name in it}}
  %e = tensor.empty(%b) : tensor<?xf32>
  return %x : tensor<?xf32, #quern.dims<"b">>
}
}

// -----

// Tests that a size that no call could say is refused.
module attributes {quern.sizes = {b = 4 : i64, n = 4 : i64}} {
// expected-error @+1 {{no input has a dimension with the size 'n' in it}}
func.func @main(%x: tensor<?xf32, #quern.dims<"b">>) -> tensor<?xf32, #quern.dims<"b">> {
  return %x : tensor<?xf32, #quern.dims<"b">>
}
}

// -----

// Tests that pool goes from tokens to sequences.
!B8 = tensor<?x8xf32, #quern.dims<"B">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
func.func @f(%x: !T8, %batch: !quern.batch) -> !B8 {
  %y = quern.pool mean %x, %batch : !T8 -> !B8
  %z = quern.unary tanh %y : !B8
  return %z : !B8
}

// -----

// Tests that a size that is counted needs no input to say it, but has to be counted before it is used.
!N = tensor<?xi64, #quern.dims<"n">>
module attributes {quern.sizes = {b = 4 : i64, n = 4 : i64}, quern.counted_sizes = {n = "b"}} {
func.func @main(%m: tensor<?xi1, #quern.dims<"b">>) -> !N {
  %y = quern.where_true %m : tensor<?xi1, #quern.dims<"b">> -> !N
  %n = quern.size "n"
  %e = tensor.empty(%n) : !N
  return %e : !N
}
}

// -----

!N = tensor<?xi64, #quern.dims<"n">>
module attributes {quern.sizes = {b = 4 : i64, n = 4 : i64}, quern.counted_sizes = {n = "b"}} {
func.func @main(%m: tensor<?xi1, #quern.dims<"b">>) -> !N {
  // expected-error @+1 {{is of the size 'n', which nothing has counted yet}}
  %n = quern.size "n + 1"
  %y = quern.where_true %m : tensor<?xi1, #quern.dims<"b">> -> !N
  return %y : !N
}
}

// -----

!N = tensor<?xi64, #quern.dims<"n">>
module attributes {quern.sizes = {b = 4 : i64, n = 4 : i64}, quern.counted_sizes = {n = "b"}} {
func.func @main(%m: tensor<?xi1, #quern.dims<"b">>) -> (!N, !N) {
  %y = quern.where_true %m : tensor<?xi1, #quern.dims<"b">> -> !N
  // expected-error @+1 {{counts the size 'n', which has been counted}}
  %z = quern.where_true %m : tensor<?xi1, #quern.dims<"b">> -> !N
  return %y, %z : !N, !N
}
}
