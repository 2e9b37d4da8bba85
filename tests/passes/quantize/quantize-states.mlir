// RUN: quern-opt %s --quern-quantize-states=kv=bf16 | FileCheck %s
// RUN: not quern-opt %s --quern-quantize-states=kv=int3 2>&1 | FileCheck %s --check-prefix=WRONG

// Declarations and references change together; recurrent state stays float32.
// CHECK: quern.declare_state @kv : !quern.state<kv, 2x4x4, bf16>
// CHECK: quern.declare_state @sum : !quern.state<recurrent, 2x4x4>
// CHECK: quern.state_ref @kv : <kv, 2x4x4, bf16>
// WRONG: kv state is stored as f32, f16, bf16, int8, or as auto says, not as 'int3'
quern.declare_state @kv : !quern.state<kv, 2x4x4>
quern.declare_state @sum : !quern.state<recurrent, 2x4x4>
func.func @step() {
  %kv = quern.state_ref @kv : !quern.state<kv, 2x4x4>
  return
}
