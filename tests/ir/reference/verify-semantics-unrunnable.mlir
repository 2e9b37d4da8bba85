// Tests that a module which cannot be run is an error, not a pass.
// RUN: not quern-opt %s --verify-semantics --canonicalize 2>&1 | FileCheck %s
// CHECK: error: the module cannot be run before pass canonicalize: {{.*}}no-such-weights.gguf

module attributes {quern.files = ["no-such-weights.gguf"]} {
}
