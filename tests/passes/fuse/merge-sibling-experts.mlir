// RUN: quern-opt %s --quern-merge-sibling-experts --verify-semantics -split-input-file | FileCheck %s
// RUN: quern-opt %s --quern-merge-sibling-experts -split-input-file --remarks-filter=fuse 2>&1 | FileCheck %s --check-prefix=REMARK

// Tests that experts' gates and ups become one product, biases too, of whose blocks the activation reads slices.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R8 = tensor<?x8xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T2 = tensor<?x2xf32, #quern.dims<"T">>
!I2 = tensor<?x2xi32, #quern.dims<"T">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
!T64 = tensor<?x64xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK: %[[W:.*]] = quern.weight_concat %{{.*}}, %{{.*}} {axis = 1 : i64} : (!quern.weight<4x16x8, "f32">, !quern.weight<4x16x8, "f32">) -> !quern.weight<4x32x8, "f32">
// CHECK: %[[B:.*]] = quern.weight_concat %{{.*}}, %{{.*}} {axis = 1 : i64} : {{.*}} -> !quern.weight<4x32, "f32">
// CHECK: %[[Y:.*]] = quern.expert_linear %{{.*}}, %{{.*}}, %[[W]], %[[B]]
// CHECK: quern.slice %[[Y]] {groups = 2 : i64, offset = 0 : i64}
// CHECK: quern.slice %[[Y]] {groups = 2 : i64, offset = 16 : i64}
// CHECK: quern.gated_act
// CHECK: quern.expert_linear
// CHECK-NOT: quern.expert_linear
// REMARK: [Passed] merge-sibling-experts | Category:fuse | Remark="merged the gates and ups of experts into 32 columns"
quern.weight @embed : !quern.weight<16x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @router : !quern.weight<4x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @gate : !quern.weight<4x16x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @up : !quern.weight<4x16x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @gb : !quern.weight<4x16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @ub : !quern.weight<4x16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @down : !quern.weight<4x8x16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R8 {
  %embed = quern.weight_ref @embed : !quern.weight<16x8, "f32">
  %router = quern.weight_ref @router : !quern.weight<4x8, "f32">
  %gate = quern.weight_ref @gate : !quern.weight<4x16x8, "f32">
  %up = quern.weight_ref @up : !quern.weight<4x16x8, "f32">
  %gb = quern.weight_ref @gb : !quern.weight<4x16, "f32">
  %ub = quern.weight_ref @ub : !quern.weight<4x16, "f32">
  %down = quern.weight_ref @down : !quern.weight<4x8x16, "f32">
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x8, "f32">) -> !T8
  %l = quern.linear %x, %router : (!T8, !quern.weight<4x8, "f32">) -> !T4
  %ids, %ws = quern.route softmax %l {top_k = 2 : i64, normalize = 1 : i64} : (!T4) -> (!I2, !T2)
  %g = quern.expert_linear %x, %ids, %gate, %gb : (!T8, !I2, !quern.weight<4x16x8, "f32">, !quern.weight<4x16, "f32">) -> !T32
  %u = quern.expert_linear %x, %ids, %up, %ub : (!T8, !I2, !quern.weight<4x16x8, "f32">, !quern.weight<4x16, "f32">) -> !T32
  %a = quern.gated_act silu %g, %u : !T32
  %d = quern.expert_linear %a, %ids, %down : (!T32, !I2, !quern.weight<4x8x16, "f32">) -> !T16
  %y = quern.combine %d, %ws : (!T16, !T2) -> !T8
  %r = quern.gather_rows %y, %rows : (!T8, !rows) -> !R8
  return %r : !R8
}

// -----

// Tests that gates and ups stay apart whose weights have other formats, or whose up would begin inside a panel of columns.
!tokens = tensor<?xi32, #quern.dims<"T">>
!rows = tensor<?xi32, #quern.dims<"R">>
!R8 = tensor<?x8xf32, #quern.dims<"R">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T2 = tensor<?x2xf32, #quern.dims<"T">>
!I2 = tensor<?x2xi32, #quern.dims<"T">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
!T64 = tensor<?x64xf32, #quern.dims<"T">>
// CHECK-LABEL: @step
// CHECK-NOT: quern.weight_concat
// CHECK-COUNT-5: quern.expert_linear
// REMARK-DAG: [Missed] {{.*}}gate and up are not merged: gate and up have weights of other shapes or formats
// REMARK-DAG: [Missed] {{.*}}gate and up are not merged: up would begin inside a panel of columns
quern.weight @embed : !quern.weight<16x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @router : !quern.weight<4x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @gate : !quern.weight<4x16x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @up : !quern.weight<4x16x8, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @ga : !quern.weight<4x4x16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @ub : !quern.weight<4x4x16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @down : !quern.weight<4x8x4, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%tokens: !tokens, %rows: !rows, %batch: !quern.batch) -> !R8 {
  %embed = quern.weight_ref @embed : !quern.weight<16x8, "f32">
  %router = quern.weight_ref @router : !quern.weight<4x8, "f32">
  %gate = quern.weight_ref @gate : !quern.weight<4x16x8, "f32">
  %up = quern.weight_ref @up : !quern.weight<4x16x8, "f32">
  %ga = quern.weight_ref @ga : !quern.weight<4x4x16, "f32">
  %ub = quern.weight_ref @ub : !quern.weight<4x4x16, "f32">
  %down = quern.weight_ref @down : !quern.weight<4x8x4, "f32">
  %half = quern.weight_convert %up : !quern.weight<4x16x8, "f32"> -> !quern.weight<4x16x8, "f16">
  %x = quern.embedding %tokens, %embed : (!tokens, !quern.weight<16x8, "f32">) -> !T8
  %l = quern.linear %x, %router : (!T8, !quern.weight<4x8, "f32">) -> !T4
  %ids, %ws = quern.route softmax %l {top_k = 2 : i64, normalize = 1 : i64} : (!T4) -> (!I2, !T2)
  %g = quern.expert_linear %x, %ids, %gate : (!T8, !I2, !quern.weight<4x16x8, "f32">) -> !T32
  %u = quern.expert_linear %x, %ids, %half : (!T8, !I2, !quern.weight<4x16x8, "f16">) -> !T32
  %a = quern.gated_act silu %g, %u : !T32
  %h = quern.expert_linear %a, %ids, %ga : (!T32, !I2, !quern.weight<4x4x16, "f32">) -> !T8
  %i = quern.expert_linear %a, %ids, %ub : (!T32, !I2, !quern.weight<4x4x16, "f32">) -> !T8
  %b = quern.gated_act silu %h, %i : !T8
  %d = quern.expert_linear %b, %ids, %down : (!T8, !I2, !quern.weight<4x8x4, "f32">) -> !T16
  %y = quern.combine %d, %ws : (!T16, !T2) -> !T8
  %r = quern.gather_rows %y, %rows : (!T8, !rows) -> !R8
  return %r : !R8
}
