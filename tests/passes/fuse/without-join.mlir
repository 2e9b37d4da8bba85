// Every fusion off: regions stay, each with its anchor alone.
// RUN: quern-opt %S/../Inputs/mamba2.mlir --quern-fuse-linear-epilogues=join=false --quern-fuse-attention-prologues=join=false --quern-fuse-convolutions=join=false --quern-fuse-recurrences=join=false --quern-fuse-embeddings=join=false --quern-fuse-rows=join=false --quern-verify-fuse --verify-semantics | FileCheck %s --check-prefix=MAMBA2
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-fuse-linear-epilogues=join=false --quern-fuse-attention-prologues=join=false --quern-fuse-embeddings=join=false --quern-fuse-rows=join=false --quern-verify-fuse --verify-semantics | FileCheck %s

// Tests that nothing joins a linear, a convolution or a recurrence, and that what is left shares no region, but that views are
// taken in all the same.
// MAMBA2: quern.fused linear
// MAMBA2: quern.linear
// MAMBA2-NEXT: quern.yield
// MAMBA2: quern.fused causal_conv1d
// MAMBA2: quern.slice
// MAMBA2-NEXT: quern.causal_conv1d
// MAMBA2-NEXT: quern.yield
// MAMBA2: quern.fused rows
// MAMBA2: quern.unary {{ ?}}silu
// MAMBA2-NEXT: quern.yield
// MAMBA2: quern.fused rows
// MAMBA2: quern.unary {{ ?}}softplus
// MAMBA2-NEXT: quern.yield
// MAMBA2: quern.fused linear_recurrence
// MAMBA2: quern.linear_recurrence
// MAMBA2-NEXT: quern.yield

// Tests that norms and ropes of heads stay outside attention's regions, and the residual outside the linear's.
// CHECK: quern.fused rows
// CHECK: quern.rope %
// CHECK-NEXT: quern.yield
// CHECK: quern.fused kv_append
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.kv_append
// CHECK: quern.fused attention
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.attention
// CHECK: quern.fused linear
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.linear
// CHECK-NEXT: quern.yield
// CHECK: quern.fused rows
// CHECK-NEXT: ^bb0
// CHECK-NEXT: quern.binary {{ ?}}add
// CHECK-NEXT: quern.yield
