// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-to=phase=fuse --verify-semantics | FileCheck %s
// RUN: quern-opt %S/../Inputs/mamba2.mlir --quern-to=phase=fuse --verify-semantics | FileCheck %s --check-prefix=MAMBA2
// RUN: quern-opt %S/../../ir/Inputs/hybrid.mlir --quern-to=phase=fuse --verify-semantics | FileCheck %s --check-prefix=HYBRID

// Tests that a decoder layer becomes six regions, beside the norms.
// CHECK: quern.fused rows
// CHECK: quern.rope_table
// CHECK: quern.fused embedding
// CHECK: quern.fused rows
// CHECK: quern.fused linear
// CHECK: quern.fused kv_append
// CHECK: quern.fused attention
// CHECK: quern.fused linear
// CHECK: quern.fused rows
// CHECK: quern.fused linear
// CHECK: quern.fused linear
// CHECK: quern.fused rows

// Tests that a Mamba-2 layer becomes its projections, a convolution, a recurrence and the gated norm.
// MAMBA2: quern.fused embedding
// MAMBA2: quern.fused rows
// MAMBA2: quern.fused linear
// MAMBA2: quern.fused causal_conv1d
// MAMBA2: quern.fused linear_recurrence
// MAMBA2: quern.fused rows
// MAMBA2: quern.fused linear
// MAMBA2-NOT: quern.fused linear_recurrence

// Tests that a hybrid of both keeps its meaning.
// HYBRID: quern.fused linear_recurrence
// HYBRID: quern.fused attention
