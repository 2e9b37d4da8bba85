// RUN: quern-opt %s --quern-plan-arena | FileCheck %s
// RUN: quern-opt %s --quern-plan-arena --remarks-filter=plan 2>&1 | FileCheck %s --check-prefix=REMARK

// Tests that buffers live together lie apart, dead ones are used again, the result lies with the caller, and sizes are of the largest step: 8 rows of 16 bytes, of quantized rows 8 of 192.
!T4 = tensor<?x4xf32, #quern.dims<"T">>
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @sum rows (%x: !T4, %y: !T4) -> !T4 {
  %z = quern.binary add %x, %y : !T4, !T4
  quern.yield %z : !T4
}
quern.kernel @q8 rows (%x: !T4) -> !quern.q8_rows<"T", 4> {
  %y = quern.quantize_rows %x : !T4 -> !quern.q8_rows<"T", 4>
  quern.yield %y : !quern.q8_rows<"T", 4>
}
quern.kernel @pick linear (%x: !quern.q8_rows<"T", 4>, %w: !quern.weight<4x4, "int8">) -> !T4 {
  %y = quern.linear %x, %w : (!quern.q8_rows<"T", 4>, !quern.weight<4x4, "int8">) -> !T4
  quern.yield %y : !T4
}
// CHECK-LABEL: func.func @f
// CHECK-SAME: quern.arena = 1664 : i64, quern.arena_bound = 1664 : i64
// CHECK: quern.dispatch @act({{.*}}) "a" at [1536]
// CHECK: quern.dispatch @q8({{.*}}) "b" at [0]
// CHECK: quern.dispatch @pick({{.*}}) "c" at [1536]
// CHECK: quern.dispatch @sum({{.*}}) "d" at [-1]
// REMARK: [Passed] plan-arena | Category:plan | Remark="f: an arena of 1664 bytes, all of them live at once"
func.func @f(%x: !T4, %w: !quern.weight<4x4, "int8">) -> !T4 attributes {quern.entry = "f", quern.bucket = "b", quern.max_tokens = 8 : i64, quern.max_seqs = 2 : i64, quern.max_rows = 8 : i64} {
  %a = quern.dispatch @act(%x) "a" : (!T4) -> !T4
  %b = quern.dispatch @q8(%a) "b" : (!T4) -> !quern.q8_rows<"T", 4>
  %c = quern.dispatch @pick(%b, %w) "c" : (!quern.q8_rows<"T", 4>, !quern.weight<4x4, "int8">) -> !T4
  %d = quern.dispatch @sum(%x, %c) "d" : (!T4, !T4) -> !T4
  return %d : !T4
}
