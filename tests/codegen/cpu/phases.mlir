// Tests that every phase keeps the meaning of the modules that generated code is held to: each op of the dense families,
// through fusion, quantization, schedule, plan and order.
// RUN: quern-opt %S/../models/modules/gpt2.mlir --verify-semantics --quern-to=phase=order | FileCheck %s --check-prefixes=CHECK,GPT2
// RUN: quern-opt %S/../models/modules/gpt2.mlir --verify-semantics "--quern-to=phase=order quant=int8" | FileCheck %s
// RUN: quern-opt %S/../models/modules/bloom.mlir --verify-semantics --quern-to=phase=order | FileCheck %s --check-prefixes=CHECK,BLOOM
// RUN: quern-opt %S/../models/modules/bloom.mlir --verify-semantics "--quern-to=phase=order quant=int4" | FileCheck %s
// RUN: quern-opt %S/../models/modules/cohere.mlir --verify-semantics --quern-to=phase=order | FileCheck %s --check-prefixes=CHECK,COHERE
// RUN: quern-opt %S/../models/modules/falcon.mlir --verify-semantics --quern-to=phase=order | FileCheck %s --check-prefixes=CHECK,FALCON
// RUN: quern-opt %S/../models/modules/falcon.mlir --verify-semantics "--quern-to=phase=order quant=int4" | FileCheck %s
// RUN: quern-opt %S/../models/modules/cohere.mlir --verify-semantics "--quern-to=phase=order quant=int8 kv=int8" | FileCheck %s
// RUN: quern-opt %S/../models/modules/olmo.mlir --verify-semantics --quern-to=phase=order | FileCheck %s --check-prefixes=CHECK,OLMO
// RUN: quern-opt %S/../models/modules/olmo.mlir --verify-semantics "--quern-to=phase=order quant=int4,asym kv=f16" | FileCheck %s
// RUN: quern-opt %S/../models/modules/residual.mlir --verify-semantics --quern-to=phase=order | FileCheck %s
// RUN: quern-opt %S/../models/modules/residual.mlir --verify-semantics "--quern-to=phase=order quant=int4 kv=bf16" | FileCheck %s

// Learned positions are looked up and added in one kernel; an MLP without a gate has its activation in the linear.
// GPT2: quern.kernel @embedding_1 embedding
// GPT2-NEXT: quern.positions
// GPT2-NEXT: quern.embedding
// GPT2-NEXT: quern.binary add
// GPT2-NEXT: quern.yield
// GPT2: quern.unary gelu_tanh
// GPT2-NEXT: quern.yield

// Queries, keys and values out of one matrix are one matrix again, in another order.
// BLOOM: quern.packed @qkv.packed
// BLOOM: quern.weight_concat
// BLOOM: quern.unary relu2
// BLOOM-NEXT: quern.yield

// Both branches beside one another end in an addition; logits are scaled and capped where they are computed.
// COHERE: quern.kernel @attention_0 attention
// COHERE: quern.layer_norm
// COHERE-NEXT: quern.rope
// COHERE-NEXT: quern.attention
// COHERE: quern.gated_act silu
// COHERE-NEXT: quern.yield
// COHERE: quern.scale
// COHERE-NEXT: quern.scale
// COHERE-NEXT: quern.unary tanh
// COHERE-NEXT: quern.scale
// COHERE-NEXT: quern.yield

// Two additions end one linear.
// FALCON: quern.linear
// FALCON: quern.binary add
// FALCON-NEXT: quern.binary add
// FALCON-NEXT: quern.yield

// A rotation and a norm after it, between bounds, beside the attention that reads them; gate and up of one matrix.
// OLMO: quern.kernel @attention_0 attention
// OLMO: quern.clamp
// OLMO-NEXT: quern.rope
// OLMO-NEXT: quern.rms_norm
// OLMO-NEXT: quern.attention
// OLMO: quern.gated_act quick_gelu
// OLMO-NEXT: quern.yield

// CHECK: func.func @step.decode1
// CHECK: func.func @step.prefill
