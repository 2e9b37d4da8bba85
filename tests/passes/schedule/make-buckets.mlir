// RUN: quern-opt %s --quern-make-buckets="max-tokens=64 max-seqs=4" | FileCheck %s
// RUN: not quern-opt %s --quern-make-buckets="max-tokens=2 max-seqs=4" 2>&1 | FileCheck %s --check-prefix=FEW
// RUN: not quern-opt %s --quern-make-buckets="max-seqs=0" 2>&1 | FileCheck %s --check-prefix=NONE

// Tests that an entry with a batch gets three buckets with the largest step of each.
// CHECK: func.func @step.decode1({{.*}}quern.bucket = "decode1", quern.entry = "step", quern.max_rows = 1 : i64, quern.max_seqs = 1 : i64, quern.max_tokens = 1 : i64}
// CHECK: func.func @step.decode({{.*}}quern.bucket = "decode", quern.entry = "step", quern.max_rows = 4 : i64, quern.max_seqs = 4 : i64, quern.max_tokens = 4 : i64}
// CHECK: func.func @step.prefill({{.*}}quern.bucket = "prefill", quern.entry = "step", quern.max_rows = 64 : i64, quern.max_seqs = 4 : i64, quern.max_tokens = 64 : i64}
// CHECK-NOT: @step(

// Tests that an entry without a batch gets one.
// CHECK-NOT: @main.decode
// CHECK: func.func @main.prefill
// CHECK-NOT: @main

// Tests that an entry whose sequences lie in a step as a whole gets one, too.
// CHECK-NOT: @encode.decode
// CHECK: func.func @encode.prefill({{.*}}quern.max_rows = 64 : i64, quern.max_seqs = 4 : i64, quern.max_tokens = 64 : i64}
// CHECK-NOT: @encode

// Tests that limits which no step could meet are refused.
// FEW: error: --max-tokens 2 is less than --max-seqs 4: a step could not advance every sequence by a token
// NONE: error: --max-tokens and --max-seqs are at least 1
!T4 = tensor<?x4xf32, #quern.dims<"T">>
func.func @step(%x: !T4, %batch: !quern.batch) -> !T4 {
  %y = quern.unary silu %x : !T4
  return %y : !T4
}
func.func @main(%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  return %y : !T4
}
func.func @encode(%x: !T4, %batch: !quern.batch) -> !T4 {
  %y = quern.attention_rows %x, %x, %x batch %batch {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f32} : (!T4, !T4, !T4, !quern.batch) -> !T4
  return %y : !T4
}

// Tests that an entry whose caller chooses sizes gets one for all of them, which no token is counted in.
// CHECK: func.func @plain.main({{.*}}quern.bucket = "main", quern.entry = "plain", quern.max_rows = 1 : i64, quern.max_seqs = 1 : i64, quern.max_tokens = 1 : i64, quern.sized}
// CHECK-NOT: @plain
func.func @plain(%x: tensor<?x4xf32, #quern.dims<"b*s">>) -> tensor<?x4xf32, #quern.dims<"b*s">> {
  %y = quern.unary silu %x : tensor<?x4xf32, #quern.dims<"b*s">>
  return %y : tensor<?x4xf32, #quern.dims<"b*s">>
}
