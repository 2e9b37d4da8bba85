// RUN: quern-opt %s --quern-verify-schedule -split-input-file -verify-diagnostics

// Tests that a bucket of dispatches passes.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.weight @w : !quern.weight<16x4, "int8"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.packed @p : !quern.weight<16x4, "int8"> packing "q8.g32.z128.f16" {
  %0 = quern.weight_ref @w : !quern.weight<16x4, "int8">
  quern.yield %0 : !quern.weight<16x4, "int8">
}
quern.kernel @k rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
func.func @f.decode1(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "decode1", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64} {
  %y = quern.dispatch @k(%x) "act" : (!T4) -> !T4
  return %y : !T4
}

// -----

// Tests that a function that is no bucket is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// expected-error @+1 {{is no bucket; after schedule every function is one}}
func.func @f(%x: !T4) -> !T4 {
  return %x : !T4
}

// -----

// Tests that a bucket without limits is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// expected-error @+1 {{a bucket has a positive `quern.max_tokens`}}
func.func @f(%x: !T4) -> !T4 attributes {quern.bucket = "decode1"} {
  return %x : !T4
}

// -----

// Tests that a packing that is not the format's is refused.
quern.weight @w : !quern.weight<16x4, "int8"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
// expected-error @+1 {{has packing "q4.g32.z8.f16", which is not that of format "int8"}}
quern.packed @p : !quern.weight<16x4, "int8"> packing "q4.g32.z8.f16" {
  %0 = quern.weight_ref @w : !quern.weight<16x4, "int8">
  quern.yield %0 : !quern.weight<16x4, "int8">
}

// -----

// Tests that plain rows of another format than f32 are refused.
quern.weight @w : !quern.weight<16x4, "f16"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
// expected-error @+1 {{is packed as plain rows and must be f32, not "f16"}}
quern.packed @p : !quern.weight<16x4, "f16"> packing "rows" {
  %0 = quern.weight_ref @w : !quern.weight<16x4, "f16">
  quern.yield %0 : !quern.weight<16x4, "f16">
}

// -----

// Tests that panels of a vector are refused.
quern.weight @w : !quern.weight<16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
// expected-error @+1 {{has panels of a matrix, or of one an expert; its shape has 1 dimensions}}
quern.packed @p : !quern.weight<16, "f32"> packing "f32" {
  %0 = quern.weight_ref @w : !quern.weight<16, "f32">
  quern.yield %0 : !quern.weight<16, "f32">
}

// -----

// Tests that a kernel that is never dispatched is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
// expected-error @+1 {{is never dispatched}}
quern.kernel @k rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}

// -----

// Tests that a region is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
func.func @f.decode1(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "decode1", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64} {
  // expected-error @+1 {{is not legal in a schedule: references, dispatches and the return are}}
  %y = quern.unary silu %x : !T4
  return %y : !T4
}

// -----

// Tests that a weight of the model's files is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.weight @w : !quern.weight<4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @f.decode1(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "decode1", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64} {
  // expected-error @+1 {{names a weight of the model's files; a schedule reads packed ones}}
  %w = quern.weight_ref @w : !quern.weight<4, "f32">
  return %x : !T4
}

// -----

// Tests that a result that no dispatch computes is refused.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
func.func @f.decode1(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "decode1", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64} {
  // expected-error @+1 {{returns what no dispatch computes}}
  return %x : !T4
}

// -----

// Tests that a buffer too large to count with is refused, with its node and the sizes that it depends on.
!X = tensor<?x?xf32, #quern.dims<"s", "b*b*b*b*b*b*b">>
!S = tensor<?x?xf32, #quern.dims<"b", "s">>
module attributes {quern.sizes = {a = 5 : i64, b = 1000000 : i64, s = 8 : i64}} {
quern.kernel @k generic (%x: !S) -> !X {
  %s = quern.size "s"
  %b = quern.size "b*b*b*b*b*b*b"
  %y = tensor.empty(%s, %b) : !X
  quern.yield %y : !X
}
func.func @main.main(%x: !S) -> !X attributes {quern.entry = "main", quern.bucket = "main", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64, quern.sized} {
  // expected-error @+1 {{what '/layer.0/Tile' computes, 'tensor<?x?xf32, #quern.dims<"s", "b*b*b*b*b*b*b">>', is larger than 64 TiB at the greatest sizes, b = 1000000, s = 8; bound them: --dim NAME=MAX}}
  %y = quern.dispatch @k(%x) "/layer.0/Tile" : (!S) -> !X
  return %y : !X
}
}
