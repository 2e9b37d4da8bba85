// Tests that whole models keep their meaning, within what a format costs, in the quantize phase.
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-to="phase=quantize quant=int8" --verify-semantics | FileCheck %s
// RUN: quern-opt %S/../Inputs/mamba2.mlir --quern-to="phase=quantize quant=int8" --verify-semantics | FileCheck %s
// RUN: quern-opt %S/../../ir/Inputs/hybrid.mlir --quern-to="phase=quantize quant=int8" --verify-semantics | FileCheck %s
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-to="phase=quantize quant=int4:g32:asym" --verify-semantics | FileCheck %s
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-to="phase=quantize quant=bf16" --verify-semantics | FileCheck %s
// CHECK: func.func @step
