// RUN: quern-opt %s -split-input-file --quern-fuse-phase --quern-quantize-weights=quant=int4 | FileCheck %s
// RUN: quern-opt %s -split-input-file --quern-fuse-phase --quern-quantize-weights=quant=int8 | FileCheck %s --check-prefix=INT8

// Tests that of a model with state that does not grow the smallest matrices are int8 as long as there is room, all of a shape or none,
// whoever reads them.
// CHECK-LABEL: @room
// CHECK-DAG: <16x4096, "f32"> -> <16x4096, "int8">
// CHECK-DAG: <4096x32, "f32"> -> <4096x32, "int8">
// CHECK-DAG: <512x4096, "f32"> -> <512x4096, "int4">
// CHECK-DAG: <4096x4096, "f32"> -> <4096x4096, "int4">
// CHECK: return
// INT8-LABEL: @room
// INT8-NOT: "int4"
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
!T512 = tensor<?x512xf32, #quern.dims<"T">>
!T4096 = tensor<?x4096xf32, #quern.dims<"T">>
quern.declare_state @memory : !quern.state<window, 16x1>
quern.weight @down : !quern.weight<32x4096, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @up : !quern.weight<4096x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @wide : !quern.weight<4096x4096, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @wider : !quern.weight<4096x4096, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @narrow : !quern.weight<512x4096, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @back : !quern.weight<4096x512, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @head : !quern.weight<16x4096, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @room(%x: !T4096) -> !T16 {
  %down = quern.weight_ref @down : !quern.weight<32x4096, "f32">
  %up = quern.weight_ref @up : !quern.weight<4096x32, "f32">
  %wide = quern.weight_ref @wide : !quern.weight<4096x4096, "f32">
  %wider = quern.weight_ref @wider : !quern.weight<4096x4096, "f32">
  %narrow = quern.weight_ref @narrow : !quern.weight<512x4096, "f32">
  %back = quern.weight_ref @back : !quern.weight<4096x512, "f32">
  %head = quern.weight_ref @head : !quern.weight<16x4096, "f32">
  %a = quern.linear %x, %down : (!T4096, !quern.weight<32x4096, "f32">) -> !T32
  %b = quern.linear %a, %up : (!T32, !quern.weight<4096x32, "f32">) -> !T4096
  %c = quern.linear %b, %wide : (!T4096, !quern.weight<4096x4096, "f32">) -> !T4096
  %d = quern.linear %c, %wider : (!T4096, !quern.weight<4096x4096, "f32">) -> !T4096
  %e = quern.linear %d, %narrow : (!T4096, !quern.weight<512x4096, "f32">) -> !T512
  %f = quern.linear %e, %back : (!T512, !quern.weight<4096x512, "f32">) -> !T4096
  %y = quern.linear %f, %head : (!T4096, !quern.weight<16x4096, "f32">) -> !T16
  return %y : !T16
}

// -----

// Tests that a table that is large among the model's weights is int8 without room for it, and takes all there is.
// CHECK-LABEL: @table
// CHECK-DAG: <1280x4096, "f32"> -> <1280x4096, "int8">
// CHECK-DAG: <16x4096, "f32"> -> <16x4096, "int4">
// CHECK-DAG: <4096x16, "f32"> -> <4096x16, "int4">
// CHECK-DAG: <2048x4096, "f32"> -> <2048x4096, "int4">
// CHECK-DAG: <4096x2048, "f32"> -> <4096x2048, "int4">
// CHECK: return
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T1280 = tensor<?x1280xf32, #quern.dims<"T">>
!T2048 = tensor<?x2048xf32, #quern.dims<"T">>
!T4096 = tensor<?x4096xf32, #quern.dims<"T">>
quern.declare_state @memory : !quern.state<window, 16x1>
quern.weight @down : !quern.weight<16x4096, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @up : !quern.weight<4096x16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @narrow : !quern.weight<2048x4096, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @back : !quern.weight<4096x2048, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @head : !quern.weight<1280x4096, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @table(%x: !T4096) -> !T1280 {
  %down = quern.weight_ref @down : !quern.weight<16x4096, "f32">
  %up = quern.weight_ref @up : !quern.weight<4096x16, "f32">
  %narrow = quern.weight_ref @narrow : !quern.weight<2048x4096, "f32">
  %back = quern.weight_ref @back : !quern.weight<4096x2048, "f32">
  %head = quern.weight_ref @head : !quern.weight<1280x4096, "f32">
  %a = quern.linear %x, %down : (!T4096, !quern.weight<16x4096, "f32">) -> !T16
  %b = quern.linear %a, %up : (!T16, !quern.weight<4096x16, "f32">) -> !T4096
  %c = quern.linear %b, %narrow : (!T4096, !quern.weight<2048x4096, "f32">) -> !T2048
  %d = quern.linear %c, %back : (!T2048, !quern.weight<4096x2048, "f32">) -> !T4096
  %y = quern.linear %d, %head : (!T4096, !quern.weight<1280x4096, "f32">) -> !T1280
  return %y : !T1280
}

// -----

// Tests that a dense transformer has no such room: its table is int8, and nothing else.
// CHECK-LABEL: @dense
// CHECK-DAG: <16x4096, "f32"> -> <16x4096, "int8">
// CHECK-DAG: <4096x32, "f32"> -> <4096x32, "int4">
// CHECK-DAG: <512x4096, "f32"> -> <512x4096, "int4">
// CHECK: return
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
!T512 = tensor<?x512xf32, #quern.dims<"T">>
!T4096 = tensor<?x4096xf32, #quern.dims<"T">>
quern.weight @down : !quern.weight<32x4096, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @up : !quern.weight<4096x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @wide : !quern.weight<4096x4096, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @wider : !quern.weight<4096x4096, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @narrow : !quern.weight<512x4096, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @back : !quern.weight<4096x512, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @head : !quern.weight<16x4096, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @dense(%x: !T4096) -> !T16 {
  %down = quern.weight_ref @down : !quern.weight<32x4096, "f32">
  %up = quern.weight_ref @up : !quern.weight<4096x32, "f32">
  %wide = quern.weight_ref @wide : !quern.weight<4096x4096, "f32">
  %wider = quern.weight_ref @wider : !quern.weight<4096x4096, "f32">
  %narrow = quern.weight_ref @narrow : !quern.weight<512x4096, "f32">
  %back = quern.weight_ref @back : !quern.weight<4096x512, "f32">
  %head = quern.weight_ref @head : !quern.weight<16x4096, "f32">
  %a = quern.linear %x, %down : (!T4096, !quern.weight<32x4096, "f32">) -> !T32
  %b = quern.linear %a, %up : (!T32, !quern.weight<4096x32, "f32">) -> !T4096
  %c = quern.linear %b, %wide : (!T4096, !quern.weight<4096x4096, "f32">) -> !T4096
  %d = quern.linear %c, %wider : (!T4096, !quern.weight<4096x4096, "f32">) -> !T4096
  %e = quern.linear %d, %narrow : (!T4096, !quern.weight<512x4096, "f32">) -> !T512
  %f = quern.linear %e, %back : (!T512, !quern.weight<4096x512, "f32">) -> !T4096
  %y = quern.linear %f, %head : (!T4096, !quern.weight<16x4096, "f32">) -> !T16
  return %y : !T16
}
