// Tests that a pass which changes an epsilon is named.
// RUN: not quern-opt-test %S/../Inputs/hybrid.mlir --verify-semantics --canonicalize --test-plant-bug=bug=eps --cse 2>&1 | FileCheck %s --check-prefix=EPS
// EPS: error: pass test-plant-bug changed the meaning: entry step, {{.*}}, step {{[0-9]}}, row {{[0-9]}}, column {{[0-9]+}}: {{.*}} became {{.*}}; outputs moved by {{.*}} of their standard deviation, more than 0.0001
// EPS-NOT: changed the meaning

// Tests that a bug which shows only in longer sequences is named.
// RUN: not quern-opt-test %S/../Inputs/hybrid.mlir --verify-semantics --test-plant-bug=bug=window 2>&1 | FileCheck %s --check-prefix=WINDOW
// WINDOW: error: pass test-plant-bug changed the meaning: entry step, a {{prompt|ragged batch}}, step {{[0-9]}}

// Tests that a lost entry is named.
// RUN: not quern-opt-test %S/../Inputs/hybrid.mlir --verify-semantics --test-plant-bug=bug=entry 2>&1 | FileCheck %s --check-prefix=ENTRY
// ENTRY: error: pass test-plant-bug changed the meaning: entry step is gone

// Tests that a pass nested in functions is watched, and that one which keeps the meaning passes.
// RUN: quern-opt-test %S/../Inputs/hybrid.mlir --verify-semantics '--pass-pipeline=builtin.module(func.func(canonicalize,cse),test-plant-bug{bug=none})' | FileCheck %s --check-prefix=SAME
// SAME: func.func @step

// Tests that a pass declared lossy may round by its formats, but not without bounds; any other pass may not.
// RUN: quern-opt-test %S/../Inputs/hybrid.mlir --verify-semantics --verify-semantics-lossy=test-plant* --test-plant-bug=bug=coarse | FileCheck %s --check-prefix=SAME
// RUN: not quern-opt-test %S/../Inputs/hybrid.mlir --verify-semantics --verify-semantics-lossy=test-plant-bug --verify-semantics-lossy-tolerance=0.00001 --test-plant-bug=bug=coarse 2>&1 | FileCheck %s --check-prefix=LOSSY
// LOSSY: error: pass test-plant-bug changed the meaning: {{.*}} of their standard deviation (rms), more than 1e-05
// RUN: not quern-opt-test %S/../Inputs/hybrid.mlir --verify-semantics --test-plant-bug=bug=coarse 2>&1 | FileCheck %s --check-prefix=COARSE
// COARSE: error: pass test-plant-bug changed the meaning: {{.*}} of their standard deviation, more than 0.0001

// Tests that a pass declared lossy is named where it changes anything besides what its formats round.
// RUN: not quern-opt-test %S/../Inputs/hybrid.mlir --verify-semantics --verify-semantics-lossy=test-plant* --verify-semantics-lossy-tolerance=3 --test-plant-bug=bug=eps 2>&1 | FileCheck %s --check-prefix=EXACT
// EXACT: error: pass test-plant-bug changed the meaning: entry step, {{.*}} of their standard deviation with formats that round nothing, more than 0.0001

// Tests that the tolerance is a flag.
// RUN: quern-opt-test %S/../Inputs/hybrid.mlir --verify-semantics --verify-semantics-tolerance=100 --test-plant-bug=bug=eps | FileCheck %s --check-prefix=SAME

// Tests that without the flag nobody looks.
// RUN: quern-opt-test %S/../Inputs/hybrid.mlir --test-plant-bug=bug=eps | FileCheck %s --check-prefix=SAME
