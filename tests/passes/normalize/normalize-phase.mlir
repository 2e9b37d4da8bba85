// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-normalize-phase --verify-semantics | FileCheck %s
// RUN: quern-opt %S/../Inputs/mamba2.mlir --quern-normalize-phase --verify-semantics | FileCheck %s
// RUN: quern-opt %S/../../ir/Inputs/hybrid.mlir --quern-normalize-phase --verify-semantics | FileCheck %s

// Tests that whole models keep their meaning in the normalize phase.
// CHECK: func.func @step
