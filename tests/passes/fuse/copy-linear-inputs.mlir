// RUN: quern-opt %s --split-input-file --quern-copy-linear-inputs | FileCheck %s

// Tests that a linear that reads some columns of wider rows reads a copy of them, and others read the columns where they are.
// CHECK-LABEL: func.func @step
// CHECK: %[[S:.*]] = quern.slice %{{.*}} {offset = 8 : i64}
// CHECK: %[[C:.*]] = quern.scale %[[S]] {factor = 1.000000e+00 : f32}
// CHECK: quern.unary silu %[[S]]
// CHECK: quern.linear %[[C]],
func.func @step(%x: tensor<?x64xf32, #quern.dims<"T">>, %w: !quern.weight<96x8, "f32">) -> (tensor<?x96xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>) {
  %s = quern.slice %x {offset = 8 : i64} : tensor<?x64xf32, #quern.dims<"T">> -> tensor<?x8xf32, #quern.dims<"T">>
  %a = quern.unary silu %s : tensor<?x8xf32, #quern.dims<"T">>
  %y = quern.linear %s, %w : (tensor<?x8xf32, #quern.dims<"T">>, !quern.weight<96x8, "f32">) -> tensor<?x96xf32, #quern.dims<"T">>
  return %y, %a : tensor<?x96xf32, #quern.dims<"T">>, tensor<?x8xf32, #quern.dims<"T">>
}

// -----

// Tests that rows that lie by themselves are not copied.
// CHECK-LABEL: func.func @step
// CHECK-NOT: quern.scale
func.func @step(%x: tensor<?x64xf32, #quern.dims<"T">>, %w: !quern.weight<96x64, "f32">) -> tensor<?x96xf32, #quern.dims<"T">> {
  %y = quern.linear %x, %w : (tensor<?x64xf32, #quern.dims<"T">>, !quern.weight<96x64, "f32">) -> tensor<?x96xf32, #quern.dims<"T">>
  return %y : tensor<?x96xf32, #quern.dims<"T">>
}
