// RUN: quern-opt %s --quern-fuse-phase --quern-quantize-weights | FileCheck %s --check-prefix=KEEP
// RUN: quern-opt %s --quern-fuse-phase --quern-quantize-weights=quant=int8 | FileCheck %s --check-prefix=INT8

// Tests that what chooses experts is f32 whatever it is stored as, and that other weights are what is asked for.
// KEEP: %[[R:.*]] = quern.weight_ref @router
// KEEP-NEXT: quern.weight_convert %[[R]] : <4x32, "q8_0"> -> <4x32, "f32">
// KEEP-NOT: quern.weight_convert
// INT8-DAG: quern.weight_convert %{{.*}} : <4x32, "q8_0"> -> <4x32, "f32">
// INT8-DAG: quern.weight_convert %{{.*}} : <4x64x32, "q8_0"> -> <4x64x32, "int8">
!T32 = tensor<?x32xf32, #quern.dims<"T">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T2 = tensor<?x2xf32, #quern.dims<"T">>
!I2 = tensor<?x2xi32, #quern.dims<"T">>
!T128 = tensor<?x128xf32, #quern.dims<"T">>
!T64 = tensor<?x64xf32, #quern.dims<"T">>
quern.weight @router : !quern.weight<4x32, "q8_0"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.weight @up : !quern.weight<4x64x32, "q8_0"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
func.func @step(%x: !T32) -> !T64 {
  %router = quern.weight_ref @router : !quern.weight<4x32, "q8_0">
  %up = quern.weight_ref @up : !quern.weight<4x64x32, "q8_0">
  %l = quern.linear %x, %router : (!T32, !quern.weight<4x32, "q8_0">) -> !T4
  %ids, %ws = quern.route softmax %l {top_k = 2 : i64, normalize = 1 : i64} : (!T4) -> (!I2, !T2)
  %p = quern.expert_linear %x, %ids, %up : (!T32, !I2, !quern.weight<4x64x32, "q8_0">) -> !T128
  %y = quern.combine %p, %ws : (!T128, !T2) -> !T64
  return %y : !T64
}
