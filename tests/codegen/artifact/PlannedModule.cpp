#include "tests/codegen/artifact/PlannedModule.h"

#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"

namespace quern::testing_support {

// Bytes: @table 48x32 f32 panels: 3 * 16 * 32 * 4 = 6144. @qk 40x32 int8: 3 panels of one record,
// 16*32 + 16*2 = 544 each, 1632. @scale and @bias: rows of 32 and 40 floats.
const char *const kPlannedModule = R"mlir(
#t = #quern.dims<"T">
#r = #quern.dims<"R">
module attributes {quern.files = [], quern.model = {family = "toy", vocab = 48 : i64, context = 100 : i64, synthetic},
                   quern.weights_bytes = 8192 : i64, quern.slot_bytes = 128 : i64, quern.page_bytes = array<i64: 4096>, quern.kv_windows = array<i64: 0>} {
  quern.weight @embed : !quern.weight<48x32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.5 : f32}
  quern.weight @q : !quern.weight<24x32, "bf16"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64}
  quern.weight @k : !quern.weight<16x32, "bf16"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64}
  quern.weight @norm : !quern.weight<32, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.1 : f32}
  quern.weight @qb : !quern.weight<24, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64}
  quern.weight @kb : !quern.weight<16, "f32"> {file = -1 : i32, offset = 0 : i64, seed = 8 : i64}
  quern.declare_state @kv : !quern.state<kv, 1x8x8> {offset = 0 : i64, group = 0 : i32}
  quern.declare_state @window : !quern.state<window, 8x3> {offset = 0 : i64}
  quern.packed @table : !quern.weight<48x32, "f32"> packing "f32" attributes {offset = 0 : i64, bytes = 6144 : i64} {
    %0 = quern.weight_ref @embed : !quern.weight<48x32, "f32">
    quern.yield %0 : !quern.weight<48x32, "f32">
  }
  quern.packed @qk : !quern.weight<40x32, "int8"> packing "q8.g32.z128.f16" attributes {offset = 6144 : i64, bytes = 1632 : i64} {
    %0 = quern.weight_ref @q : !quern.weight<24x32, "bf16">
    %1 = quern.weight_ref @k : !quern.weight<16x32, "bf16">
    %2 = quern.weight_concat %0, %1 : (!quern.weight<24x32, "bf16">, !quern.weight<16x32, "bf16">) -> !quern.weight<40x32, "bf16">
    %3 = quern.weight_convert %2 : !quern.weight<40x32, "bf16"> -> !quern.weight<40x32, "int8">
    quern.yield %3 : !quern.weight<40x32, "int8">
  }
  quern.packed @scale : !quern.weight<32, "f32"> packing "rows" attributes {offset = 7808 : i64, bytes = 128 : i64} {
    %0 = quern.weight_ref @norm : !quern.weight<32, "f32">
    %1 = quern.weight_map "add_one" %0 : !quern.weight<32, "f32"> -> !quern.weight<32, "f32">
    quern.yield %1 : !quern.weight<32, "f32">
  }
  quern.packed @bias : !quern.weight<40, "f32"> packing "rows" attributes {offset = 7936 : i64, bytes = 160 : i64} {
    %0 = quern.weight_ref @qb : !quern.weight<24, "f32">
    %1 = quern.weight_ref @kb : !quern.weight<16, "f32">
    %2 = quern.weight_concat %0, %1 : (!quern.weight<24, "f32">, !quern.weight<16, "f32">) -> !quern.weight<40, "f32">
    quern.yield %2 : !quern.weight<40, "f32">
  }
  quern.kernel @embedding_0 embedding (%ids: tensor<?xi32, #t>, %w: !quern.weight<48x32, "f32">) -> tensor<?x32xf32, #t> {
    %0 = quern.embedding %ids, %w : (tensor<?xi32, #t>, !quern.weight<48x32, "f32">) -> tensor<?x32xf32, #t>
    quern.yield %0 : tensor<?x32xf32, #t>
  }
  quern.kernel @rows_0 rows (%x: tensor<?x32xf32, #t>, %i: tensor<?xi32, #r>, %w: !quern.weight<32, "f32">) -> tensor<?x32xf32, #r> {
    %0 = quern.rms_norm %x, %w {eps = 1.0e-5 : f32} : (tensor<?x32xf32, #t>, !quern.weight<32, "f32">) -> tensor<?x32xf32, #t>
    %1 = quern.gather_rows %0, %i : (tensor<?x32xf32, #t>, tensor<?xi32, #r>) -> tensor<?x32xf32, #r>
    quern.yield %1 : tensor<?x32xf32, #r>
  }
  quern.kernel @linear_0 linear (%x: tensor<?x32xf32, #r>, %w: !quern.weight<48x32, "f32">) -> tensor<?x48xf32, #r> {
    %0 = quern.linear %x, %w : (tensor<?x32xf32, #r>, !quern.weight<48x32, "f32">) -> tensor<?x48xf32, #r>
    quern.yield %0 : tensor<?x48xf32, #r>
  }
  func.func @step.decode1(%tokens: tensor<?xi32, #t>, %rows: tensor<?xi32, #r>, %batch: !quern.batch) -> tensor<?x48xf32, #r>
      attributes {quern.entry = "step", quern.bucket = "decode1", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64,
                  quern.arena = 256 : i64, quern.arena_bound = 256 : i64} {
    %w = quern.weight_ref @table : !quern.weight<48x32, "f32">
    %n = quern.weight_ref @scale : !quern.weight<32, "f32">
    %0 = quern.dispatch @embedding_0(%tokens, %w) "model.embed" at [0] : (tensor<?xi32, #t>, !quern.weight<48x32, "f32">) -> tensor<?x32xf32, #t>
    %1 = quern.dispatch @rows_0(%0, %rows, %n) "model.norm" at [128] : (tensor<?x32xf32, #t>, tensor<?xi32, #r>, !quern.weight<32, "f32">) -> tensor<?x32xf32, #r>
    %2 = quern.dispatch @linear_0(%1, %w) "lm_head" at [-1] : (tensor<?x32xf32, #r>, !quern.weight<48x32, "f32">) -> tensor<?x48xf32, #r>
    return %2 : tensor<?x48xf32, #r>
  }
  func.func @step.prefill(%tokens: tensor<?xi32, #t>, %rows: tensor<?xi32, #r>, %batch: !quern.batch) -> tensor<?x48xf32, #r>
      attributes {quern.entry = "step", quern.bucket = "prefill", quern.max_tokens = 8 : i64, quern.max_seqs = 4 : i64, quern.max_rows = 8 : i64,
                  quern.arena = 2048 : i64, quern.arena_bound = 2048 : i64} {
    %w = quern.weight_ref @table : !quern.weight<48x32, "f32">
    %n = quern.weight_ref @scale : !quern.weight<32, "f32">
    %0 = quern.dispatch @embedding_0(%tokens, %w) "model.embed" at [0] : (tensor<?xi32, #t>, !quern.weight<48x32, "f32">) -> tensor<?x32xf32, #t>
    %1 = quern.dispatch @rows_0(%0, %rows, %n) "model.norm" at [1024] : (tensor<?x32xf32, #t>, tensor<?xi32, #r>, !quern.weight<32, "f32">) -> tensor<?x32xf32, #r>
    %2 = quern.dispatch @linear_0(%1, %w) "lm_head" at [-1] : (tensor<?x32xf32, #r>, !quern.weight<48x32, "f32">) -> tensor<?x48xf32, #r>
    return %2 : tensor<?x48xf32, #r>
  }
}
)mlir";

mlir::OwningOpRef<mlir::ModuleOp> planned_module(mlir::MLIRContext &context,
                                                 const std::string &from, const std::string &to) {
  context.loadDialect<QuernDialect, mlir::func::FuncDialect>();
  std::string text = kPlannedModule;
  if (!from.empty())
    text.replace(text.find(from), from.size(), to);
  return mlir::parseSourceString<mlir::ModuleOp>(text, &context);
}

} // namespace quern::testing_support
