// RUN: quern-opt %s --quern-mark-argmax | FileCheck %s

!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}

// Tests that in a bucket of one token the dispatch that gives the entry's one result is marked, and no other.
// CHECK-LABEL: func.func @one
// CHECK: "a" at [0] :
// CHECK: "b" at [-1] argmax :
func.func @one(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "one", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64} {
  %a = quern.dispatch @act(%x) "a" at [0] argmax : (!T4) -> !T4
  %b = quern.dispatch @act(%a) "b" at [-1] : (!T4) -> !T4
  return %b : !T4
}

// Tests that in a bucket of several tokens none is: each has a row of its own.
// CHECK-LABEL: func.func @many
// CHECK-NOT: argmax
func.func @many(%x: !T4) -> !T4 attributes {quern.entry = "f", quern.bucket = "many", quern.max_tokens = 2 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 2 : i64} {
  %a = quern.dispatch @act(%x) "a" at [-1] argmax : (!T4) -> !T4
  return %a : !T4
}

// Tests that none is in an entry of two results.
// CHECK-LABEL: func.func @two
// CHECK-NOT: argmax
func.func @two(%x: !T4) -> (!T4, !T4) attributes {quern.entry = "f", quern.bucket = "one", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64} {
  %a = quern.dispatch @act(%x) "a" at [-1] : (!T4) -> !T4
  %b = quern.dispatch @act(%x) "b" at [-1] : (!T4) -> !T4
  return %a, %b : !T4, !T4
}
