// Tests that quantization which lets a linear read the quantized rows of another, of the same shape, is named: rounding,
// which may move outputs by more than that, does not hide it.
// RUN: quern-opt %S/../../passes/Inputs/decoder.mlir "--quern-to=phase=fuse quant=int8" -o %t
// RUN: not quern-opt-test %t --verify-semantics --verify-semantics-lossy=quern-quantize*,test-plant* --verify-semantics-lossy-tolerance=100 --quern-quantize-phase=quant=int8 --test-plant-bug=bug=miswire 2>&1 | FileCheck %s
// CHECK: error: pass test-plant-bug changed the meaning: entry step, {{.*}} with formats that round nothing, more than 0.0001
// CHECK-NOT: changed the meaning

// Tests that without the plant the same passes keep the meaning.
// RUN: quern-opt-test %t --verify-semantics --quern-quantize-phase=quant=int8 --test-plant-bug=bug=none | FileCheck %s --check-prefix=SAME
// SAME: quern.quantize_rows
