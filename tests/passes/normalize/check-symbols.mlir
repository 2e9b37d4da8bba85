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

// Tests that pool goes from tokens to sequences.
!B8 = tensor<?x8xf32, #quern.dims<"B">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
func.func @f(%x: !T8, %batch: !quern.batch) -> !B8 {
  %y = quern.pool mean %x, %batch : !T8 -> !B8
  %z = quern.unary tanh %y : !B8
  return %z : !B8
}
