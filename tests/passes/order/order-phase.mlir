// Tests that whole models, ordered, still compute what they did, and that each dispatch says how it runs: one token's rows by
// every worker, waiting where data crosses.
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-to="phase=order quant=int4" --verify-semantics | FileCheck %s
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-to="phase=order quant=int8 kv=int8" --verify-semantics | FileCheck %s
// RUN: quern-opt %S/../Inputs/mamba2.mlir --quern-to="phase=order quant=int8 max-tokens=32 max-seqs=3" --verify-semantics | FileCheck %s --check-prefix=MAMBA2
// RUN: quern-opt %S/../../ir/Inputs/hybrid.mlir --quern-to="phase=order quant=keep" --verify-semantics -o /dev/null
// CHECK: @step.decode1({{.*}}quern.barriers = 12 : i64
// CHECK: quern.dispatch @embedding_0({{.*}} replicated :
// CHECK: quern.dispatch @rows_{{[0-9]}}({{.*}} replicated :
// CHECK: quern.dispatch @linear_0({{.*}} at [{{[0-9]+}}] :
// CHECK: quern.dispatch @kv_append_0({{.*}} barrier :
// CHECK: quern.dispatch @attention_0({{.*}} at [{{[0-9]+}}] scratch {{[0-9]+}} barrier :
// CHECK: quern.dispatch @linear_{{[0-9]}}({{.*}}) "lm_head" at [-1] argmax :
// CHECK: @step.decode(
// CHECK-NOT: replicated
// CHECK-NOT: argmax
// CHECK: @step.prefill(
// MAMBA2: @step.decode1(
// MAMBA2: quern.dispatch @linear_recurrence_0({{.*}} barrier :

// Tests that layers that are alike are said to be, once they are enough: in decode1, whose first layer adds to what every worker has
// of its own, the two are not.
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-to="phase=plan quant=int4" --quern-replicate-dispatches --quern-place-barriers --quern-mark-argmax --quern-find-repeats=least=4 --quern-verify-order | FileCheck %s --check-prefix=REPEAT
// REPEAT-COUNT-2: quern.repeat 2 times {{[0-9]+}} dispatches

// Tests that the same module gives the same text.
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-to="phase=order quant=int4" -o %t.1
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-to="phase=order quant=int4" -o %t.2
// RUN: cmp %t.1 %t.2

// Tests that an ordered module is read as it is printed, and that ordering it again changes nothing.
// RUN: quern-opt %t.1 --quern-verify-order -o %t.3
// RUN: cmp %t.1 %t.3
// RUN: quern-opt %t.1 --quern-order-phase -o %t.4
// RUN: cmp %t.1 %t.4

// Tests that one phase at a time ends at the same text as all at once.
// RUN: quern-opt %S/../Inputs/decoder.mlir --quern-to="phase=plan quant=int4" --quern-order-phase -o %t.5
// RUN: cmp %t.1 %t.5

// Tests that a barrier that is lost is found.
// RUN: sed '0,/ barrier :/s// :/' %t.1 > %t.lost
// RUN: not quern-opt %t.lost --quern-verify-order 2>&1 | FileCheck %s --check-prefix=LOST
// LOST: needs a barrier before it: it {{reads|writes}}
// LOST: this, since the barrier before, {{reads|writes}}

// Tests that a module of another target is ordered by what that says of its kernels: here nothing is replicated and no
// work fetched, so that workers wait for data alone.
// RUN: sed 's/quern.files = /quern.target = "cuda", quern.files = /' %S/../Inputs/decoder.mlir > %t.cuda
// RUN: quern-opt %t.cuda --quern-to="phase=order quant=int4" --verify-semantics | FileCheck %s --check-prefix=CUDA
// CUDA: @step.decode1(
// CUDA-NOT: replicated
// CUDA: quern.dispatch @linear_{{[0-9]}}({{.*}} barrier argmax :
// CUDA: @step.decode(
