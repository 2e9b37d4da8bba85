// RUN: quern-opt %s --split-input-file --quern-quantize-states | FileCheck %s

// Tests that beside linears with bf16 weights a target has kv state as it prefers it, and that targets which share an
// artifact have the same.
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
// CHECK: module attributes {quern.target = "cuda"}
// CHECK: quern.declare_state @kv : !quern.state<kv, 2x4x4, bf16>
module attributes {quern.target = "cuda"} {
  quern.declare_state @kv : !quern.state<kv, 2x4x4>
  quern.weight @w : !quern.weight<16x32, "bf16"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  func.func @step(%x: !T32) -> !T16 {
    %w = quern.weight_ref @w : !quern.weight<16x32, "bf16">
    %c = quern.linear %x, %w : (!T32, !quern.weight<16x32, "bf16">) -> !T16
    return %c : !T16
  }
}

// -----

!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
// CHECK: module attributes {quern.target = "cpu"
// CHECK: quern.declare_state @kv : !quern.state<kv, 2x4x4, bf16>
module attributes {quern.target = "cpu", quern.targets = ["cpu", "cuda"]} {
  quern.declare_state @kv : !quern.state<kv, 2x4x4>
  quern.weight @w : !quern.weight<16x32, "bf16"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  func.func @step(%x: !T32) -> !T16 {
    %w = quern.weight_ref @w : !quern.weight<16x32, "bf16">
    %c = quern.linear %x, %w : (!T32, !quern.weight<16x32, "bf16">) -> !T16
    return %c : !T16
  }
}

// -----

// Tests that beside weights of float32 it is float32 on every target.
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
// CHECK: module attributes {quern.target = "cuda"}
// CHECK: quern.declare_state @kv : !quern.state<kv, 2x4x4>
module attributes {quern.target = "cuda"} {
  quern.declare_state @kv : !quern.state<kv, 2x4x4>
  quern.weight @w : !quern.weight<16x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
  func.func @step(%x: !T32) -> !T16 {
    %w = quern.weight_ref @w : !quern.weight<16x32, "f32">
    %c = quern.linear %x, %w : (!T32, !quern.weight<16x32, "f32">) -> !T16
    return %c : !T16
  }
}
