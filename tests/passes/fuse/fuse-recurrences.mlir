// RUN: quern-opt %s --quern-fuse-recurrences --verify-semantics -split-input-file | FileCheck %s
// RUN: quern-opt %s --quern-fuse-recurrences -split-input-file --remarks-filter=fuse 2>&1 | FileCheck %s --check-prefix=REMARK

// Tests that how decay and values are computed, the skip (behind the recurrence, but elementwise itself) and the gate join the recurrence.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T2 = tensor<?x2xf32, #quern.dims<"T">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: %[[X:.*]] = quern.embedding
// CHECK: quern.fused linear_recurrence(%[[X]],
// CHECK: quern.unary {{ ?}}softplus
// CHECK: quern.binary {{ ?}}mul
// CHECK: quern.binary {{ ?}}mul
// CHECK: quern.unary {{ ?}}sigmoid
// CHECK: quern.linear_recurrence
// CHECK: quern.binary {{ ?}}mul
// CHECK: quern.binary {{ ?}}add
// CHECK: quern.gated_act
// CHECK-NEXT: quern.yield
// REMARK: loc("mixer"): [Passed] fuse-recurrences | Category:fuse | Remark="quern.unary, quern.binary, quern.binary, quern.unary, quern.binary, quern.binary, quern.gated_act joined the linear_recurrence"
quern.weight @embed : !quern.weight<16x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @a : !quern.weight<2, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @d : !quern.weight<2, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.declare_state @s : !quern.state<recurrent, 2x2x2>
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R4 {
  %embed = quern.weight_ref @embed : !quern.weight<16x8, "f32">
  %a = quern.weight_ref @a : !quern.weight<2, "f32">
  %d = quern.weight_ref @d : !quern.weight<2, "f32">
  %s = quern.state_ref @s : !quern.state<recurrent, 2x2x2>
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x8, "f32">) -> !T8
  %k = quern.slice %x {offset = 0 : i64} : !T8 -> !T2
  %r = quern.slice %x {offset = 2 : i64} : !T8 -> !T2
  %u = quern.slice %x {offset = 4 : i64} : !T8 -> !T4
  %dt = quern.unary softplus %k : !T2
  %v = quern.binary mul %u, %dt {repeat = 2 : i64} : !T4, !T2
  %da = quern.binary mul %dt, %a : !T2, !quern.weight<2, "f32">
  %decay = quern.unary sigmoid %da : !T2
  %o = quern.linear_recurrence %r, %k, %v, %decay, %batch, %s {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (!T2, !T2, !T4, !T2, !quern.batch, !quern.state<recurrent, 2x2x2>) -> !T4 loc("mixer")
  %skip = quern.binary mul %u, %d {repeat = 2 : i64} : !T4, !quern.weight<2, "f32">
  %y = quern.binary add %o, %skip : !T4, !T4
  %z = quern.gated_act silu %u, %y : !T4
  %g = quern.gather_rows %z, %rows : (!T4, !rows) -> !R4
  return %g : !R4
}

// -----

// Tests that a decay that something else reads, and an addition of what is computed after the recurrence, stay outside.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R4 = tensor<?x4xf32, #quern.dims<"R">>
!T2 = tensor<?x2xf32, #quern.dims<"T">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: quern.unary {{ ?}}softplus
// CHECK: quern.unary {{ ?}}sigmoid
// CHECK: quern.fused linear_recurrence
// CHECK-NOT: quern.unary
// CHECK: quern.linear_recurrence
// CHECK-NEXT: quern.yield
// CHECK: quern.rms_norm
// CHECK: quern.binary {{ ?}}add
// REMARK: loc("mixer"): [Missed] fuse-recurrences | Category:fuse | Remark="'quern.binary' stays outside the region of the linear_recurrence: it reads what is computed after the anchor"
quern.weight @embed : !quern.weight<16x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @a : !quern.weight<2, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @d : !quern.weight<2, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.declare_state @s : !quern.state<recurrent, 2x2x2>
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R4 {
  %embed = quern.weight_ref @embed : !quern.weight<16x8, "f32">
  %a = quern.weight_ref @a : !quern.weight<2, "f32">
  %s = quern.state_ref @s : !quern.state<recurrent, 2x2x2>
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x8, "f32">) -> !T8
  %k = quern.slice %x {offset = 0 : i64} : !T8 -> !T2
  %r = quern.slice %x {offset = 2 : i64} : !T8 -> !T2
  %u = quern.slice %x {offset = 4 : i64} : !T8 -> !T4
  %dt = quern.unary softplus %k : !T2
  %v = quern.binary mul %u, %dt {repeat = 2 : i64} : !T4, !T2
  %da = quern.binary mul %dt, %a : !T2, !quern.weight<2, "f32">
  %decay = quern.unary sigmoid %da : !T2
  %o = quern.linear_recurrence %r, %k, %v, %decay, %batch, %s {groups = 1 : i64, decay_kind = #quern<decay_kind head>} : (!T2, !T2, !T4, !T2, !quern.batch, !quern.state<recurrent, 2x2x2>) -> !T4 loc("mixer")
  %n = quern.rms_norm %u {eps = 1.0e-5 : f32} : (!T4) -> !T4
  %y = quern.binary add %o, %n : !T4, !T4
  %z = quern.rms_norm %y {eps = 1.0e-5 : f32} : (!T4) -> !T4
  %w = quern.binary add %z, %decay {repeat = 2 : i64} : !T4, !T2
  %g = quern.gather_rows %w, %rows : (!T4, !rows) -> !R4
  return %g : !R4
}
