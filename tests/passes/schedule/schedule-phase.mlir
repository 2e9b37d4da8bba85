// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-to="phase=schedule quant=int8" --verify-semantics | FileCheck %s
// RUN: quern-opt %S/../Inputs/mamba2.mlir --quern-to="phase=schedule quant=int4" --verify-semantics | FileCheck %s --check-prefix=MAMBA2
// RUN: quern-opt %S/../../ir/Inputs/hybrid.mlir --quern-to="phase=schedule" --verify-semantics | FileCheck %s --check-prefix=HYBRID

// Tests that two equal layers share every kernel, named by its anchor, under their own labels.
// CHECK-COUNT-1: quern.kernel @attention_0
// CHECK-NOT: quern.kernel @attention_1
// CHECK: quern.kernel @linear_4
// CHECK-NOT: quern.kernel @linear_5
// CHECK: func.func @step.decode1
// CHECK: quern.dispatch @linear_0({{.*}}) "model.layers.0.self_attn.{q_proj,k_proj,v_proj}"
// CHECK: quern.dispatch @linear_0({{.*}}) "model.layers.1.self_attn.{q_proj,k_proj,v_proj}"
// CHECK: quern.dispatch @linear_4({{.*}}) "lm_head"
// CHECK: func.func @step.decode(
// CHECK: func.func @step.prefill

// Tests that recurrent and hybrid models become schedules.
// MAMBA2: quern.dispatch @linear_recurrence_0({{.*}}) "model.layers.0.mixer.ssm"
// HYBRID: quern.dispatch @linear_recurrence_0
// HYBRID: quern.dispatch @attention_0
