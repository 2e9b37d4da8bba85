// RUN: quern-opt %s --quern-plan-arena --quern-replicate-dispatches --quern-place-barriers --quern-mark-argmax | FileCheck %s
// RUN: quern-opt %s --quern-plan-arena --quern-replicate-dispatches --quern-place-barriers --quern-mark-argmax --quern-verify-order -o /dev/null

// Tests that buffers of an entry of sizes have room for the greatest: bytes are counted by element and dimension, a bool and a number of 4 bits
// being a byte; what an expression comes to at most is not what the greatest sizes give (s - 2*b: 8, at b = 0); an empty tensor has a place of its own. Nothing is replicated, and nothing is an argmax, although there is one result.
!X = tensor<?x?xf64, #quern.dims<"b", "s">>
!M = tensor<?x?xi1, #quern.dims<"s", "s - 2*b">>
!H = tensor<?x3xi4, #quern.dims<"ceildiv(s, 3)">>
!R = tensor<?x4xf32, #quern.dims<"b*s">>
!Z = tensor<0x5xf32>
#id = affine_map<(d0, d1) -> (d0, d1)>
module attributes {quern.sizes = {b = 4 : i64, s = 8 : i64}} {
quern.kernel @a generic (%x: !X) -> (!X, !M, !H, !R, !Z) {
  %b = quern.size "b"
  %s = quern.size "s"
  %n = quern.size "s - 2*b"
  %t = quern.size "ceildiv(s, 3)"
  %bs = quern.size "b*s"
  %m = tensor.empty(%s, %n) : !M
  %h = tensor.empty(%t) : !H
  %r = tensor.empty(%bs) : !R
  %z = tensor.empty() : !Z
  quern.yield %x, %m, %h, %r, %z : !X, !M, !H, !R, !Z
}
quern.kernel @b generic (%x: !X, %m: !M, %h: !H, %r: !R, %z: !Z) -> !X {
  quern.yield %x : !X
}
// CHECK: func.func @main.main
// 4*8*8 + 8*8*1 + 3*3*1 + 4*8*16 + 0 bytes, each rounded up to 64
// CHECK-SAME: quern.arena = 960 : i64, quern.arena_bound = 960 : i64
// CHECK: quern.dispatch @a({{.*}}) "a" at [{{[0-9]+}}, {{[0-9]+}}, {{[0-9]+}}, {{[0-9]+}}, {{[0-9]+}}]
// CHECK-NOT: argmax
// CHECK-NOT: replicated
// CHECK: quern.dispatch @b({{.*}}) "b" at [-1]
// CHECK-NOT: argmax
func.func @main.main(%x: !X) -> !X attributes {quern.entry = "main", quern.bucket = "main", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64, quern.sized} {
  %a, %m, %h, %r, %z = quern.dispatch @a(%x) "a" : (!X) -> (!X, !M, !H, !R, !Z)
  %y = quern.dispatch @b(%a, %m, %h, %r, %z) "b" : (!X, !M, !H, !R, !Z) -> !X
  return %y : !X
}
}
