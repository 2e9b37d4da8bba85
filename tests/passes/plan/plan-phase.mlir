// Tests that whole models, planned, still compute what they did, each arena no larger than what is live at once.
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-to="phase=plan quant=int4" --verify-semantics | FileCheck %s
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-to="phase=plan quant=int8 kv=int8" --verify-semantics | FileCheck %s
// RUN: quern-opt %S/../Inputs/mamba2.mlir --quern-to="phase=plan quant=int8 max-tokens=32 max-seqs=3" --verify-semantics | FileCheck %s
// RUN: quern-opt %S/../Inputs/mamba2.mlir --quern-to="phase=plan quant=int4" --verify-semantics | FileCheck %s
// RUN: quern-opt %S/../../ir/Inputs/hybrid.mlir --quern-to="phase=plan quant=keep" --verify-semantics | FileCheck %s
// CHECK: @step.decode1({{.*}}quern.arena = [[A:[0-9]+]] : i64, quern.arena_bound = [[A]] : i64
// CHECK: @step.decode({{.*}}quern.arena = [[B:[0-9]+]] : i64, quern.arena_bound = [[B]] : i64
// CHECK: @step.prefill({{.*}}quern.arena = [[C:[0-9]+]] : i64, quern.arena_bound = [[C]] : i64

// Tests that the same module gives the same text.
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-to="phase=plan quant=int4" -o %t.1
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-to="phase=plan quant=int4" -o %t.2
// RUN: cmp %t.1 %t.2

// Tests that one phase at a time ends at the same text as all at once.
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-normalize-phase --quern-fuse-phase --quern-quantize-phase=quant=int4 --quern-schedule-phase --quern-plan-phase -o %t.3
// RUN: cmp %t.1 %t.3
