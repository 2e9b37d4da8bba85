// Tests that every phase keeps the meaning of the hybrid model, in every bucket.
// RUN: quern-opt %S/../Inputs/hybrid.mlir --verify-semantics --quern-to=phase=order | FileCheck %s
// RUN: quern-opt %S/../Inputs/hybrid.mlir --verify-semantics --verify-semantics-seed=9 "--quern-to=phase=order max-seqs=4 max-tokens=16" | FileCheck %s
// CHECK: func.func @step.decode1
// CHECK: func.func @step.prefill

// Tests that it does so where the buckets admit few of the trial batches.
// RUN: quern-opt %S/../Inputs/hybrid.mlir --verify-semantics "--quern-to=phase=order max-seqs=1 max-tokens=1" | FileCheck %s --check-prefix=ONE
// ONE: func.func @step.decode1

// Tests that quantizing is lossy, and that the phases after it are held to what it left.
// RUN: quern-opt %S/../Inputs/hybrid.mlir --verify-semantics "--quern-to=phase=order quant=int8" | FileCheck %s
// RUN: quern-opt %S/../Inputs/hybrid.mlir --verify-semantics "--quern-to=phase=order quant=int4" | FileCheck %s
// RUN: not quern-opt %S/../Inputs/hybrid.mlir --verify-semantics --verify-semantics-lossy-tolerance=1e-6 "--quern-to=phase=order quant=int8" 2>&1 | FileCheck %s --check-prefix=TIGHT
// TIGHT: error: pass quern-quantize-weights changed the meaning: entry step
// TIGHT-SAME: (rms), more than 1e-06
