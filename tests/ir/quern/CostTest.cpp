// What anchors say they cost: operations, the state they touch and how they read their matrix. The
// manifest and `quern-run bench` take it from there (tests/codegen/artifact/WriterTest.cpp).
#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

#include <map>

namespace quern {
namespace {

// One op of each anchor; the recurrence also with its rank-one correction, and with two deltas.
constexpr const char *kModule = R"(
!ids = tensor<?xi32, #quern.dims<"T">>
!T16 = tensor<?x16xf32, #quern.dims<"T">>
!T32 = tensor<?x32xf32, #quern.dims<"T">>
!T64 = tensor<?x64xf32, #quern.dims<"T">>
!T128 = tensor<?x128xf32, #quern.dims<"T">>
!T2 = tensor<?x2xf32, #quern.dims<"T">>
!chosen = tensor<?x2xi32, #quern.dims<"T">>
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T8 = tensor<?x8xf32, #quern.dims<"T">>
!kv = !quern.state<kv, 2x16x8>
!ssm = !quern.state<recurrent, 4x8x16>
func.func @f(%ids: !ids, %x: !T64, %k: !T32, %v: !T16, %d: !T4, %x2: !T128, %d2: !T8, %batch: !quern.batch, %kv: !kv, %s: !ssm,
             %win: !quern.state<window, 64x3>, %table: !quern.weight<100x64, "f32">, %w: !quern.weight<96x64, "f32">,
             %taps: !quern.weight<64x4, "f32">, %experts: !quern.weight<4x32x64, "f32">, %blocks: !quern.weight<4x32x16, "f32">,
             %shift: !quern.state<window, 64x1>, %most: !quern.state<recurrent, 1x1x64>, %modes: !quern.state<recurrent, 3x2x64>,
             %poles: !quern.weight<3x2x64, "f32">, %skip: !quern.weight<64, "f32">) {
  %e = quern.embedding %ids, %table : (!ids, !quern.weight<100x64, "f32">) -> !T64
  %l = quern.linear %e, %w : (!T64, !quern.weight<96x64, "f32">) -> tensor<?x96xf32, #quern.dims<"T">>
  quern.kv_append %k, %v, %batch, %kv : !T32, !T16, !quern.batch, !kv
  %a = quern.attention %x, %batch, %kv {heads = 4 : i64, scale = 0.25 : f32, window = 70 : i64} : (!T64, !quern.batch, !kv) -> !T32
  %c = quern.causal_conv1d %x, %batch, %win, %taps : (!T64, !quern.batch, !quern.state<window, 64x3>, !quern.weight<64x4, "f32">) -> !T64
  %r = quern.linear_recurrence %v, %v, %x, %d, %batch, %s {groups = 2 : i64, decay_kind = #quern<decay_kind head>} : (!T16, !T16, !T64, !T4, !quern.batch, !ssm) -> !T64
  %q = quern.linear_recurrence %v, %v, %x, %d correction %v, %v, %batch, %s {groups = 2 : i64, decay_kind = #quern<decay_kind head>} : (!T16, !T16, !T64, !T4, !T16, !T16, !quern.batch, !ssm) -> !T64
  %p = quern.linear_recurrence %v, %k, %x2, %d delta %d2, %batch, %s {groups = 2 : i64, decay_kind = #quern<decay_kind head>} : (!T16, !T32, !T128, !T4, !T8, !quern.batch, !ssm) -> !T64
  %chosen, %shares = quern.route softmax %x {top_k = 2 : i64, normalize = 1 : i64} : (!T64) -> (!chosen, !T2)
  %o = quern.expert_linear %x, %chosen, %experts : (!T64, !chosen, !quern.weight<4x32x64, "f32">) -> !T64
  %b = quern.block_linear %x, %blocks : (!T64, !quern.weight<4x32x16, "f32">) -> !T128
  %t = quern.token_shift %x, %batch, %shift : (!T64, !quern.batch, !quern.state<window, 64x1>) -> !T64
  %h = quern.long_conv %x, %batch, %modes, %poles, %poles, %skip : (!T64, !quern.batch, !quern.state<recurrent, 3x2x64>, !quern.weight<3x2x64, "f32">, !quern.weight<3x2x64, "f32">, !quern.weight<64, "f32">) -> !T64
  %around = quern.attention_rows %x, %k, %k batch %batch {heads = 4 : i64, kv_heads = 2 : i64, scale = 1.0 : f32} : (!T64, !T32, !T32, !quern.batch) -> !T64
  %m = quern.scan %x, %batch, %most : (!T64, !quern.batch, !quern.state<recurrent, 1x1x64>) -> !T64 {
  ^bb0(%before: !T64, %in: !T64):
    %larger = quern.binary max %before, %in : !T64, !T64
    quern.yield %larger, %larger : !T64, !T64
  }
  return
}
)";

class Costs : public testing::Test {
protected:
  void SetUp() override {
    context.loadDialect<QuernDialect, mlir::func::FuncDialect>();
    module = mlir::parseSourceString<mlir::ModuleOp>(kModule, &context);
    ASSERT_TRUE(module);
    module->walk([&](AnchorOpInterface op) { found.insert({op.anchor(), op.facts()}); });
  }
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::multimap<Anchor, AnchorFacts> found;
};

TEST_F(Costs, OperationsAreCounted) {
  EXPECT_EQ(found.find(Anchor::linear)->second.flops.row, 2u * 96 * 64);
  EXPECT_EQ(found.find(Anchor::causal_conv1d)->second.flops.row, 2u * 64 * 4);
  EXPECT_EQ(found.find(Anchor::attention)->second.flops.position, 2u * 4 * (16 + 8));
  EXPECT_EQ(found.find(Anchor::attention_rows)->second.flops.position, 2u * 4 * (16 + 16));
  // A state's product with a pole is four, what is read of it two.
  EXPECT_EQ(found.find(Anchor::long_conv)->second.flops.row, 2u * (6 * 3 + 1) * 64);
  auto recurrence = found.find(Anchor::linear_recurrence);
  EXPECT_EQ(recurrence->second.flops.row, 2u * 3 * 4 * 8 * 16);
  EXPECT_EQ(std::next(recurrence)->second.flops.row, 2u * 5 * 4 * 8 * 16);
  // Two products, of which each reads what it corrects.
  EXPECT_EQ(std::next(recurrence, 2)->second.flops.row, 2u * (1 + 2 + 2 + 1) * 4 * 8 * 16);
}

// No anchor costs nothing because nobody thought of it.
TEST_F(Costs, NoAnchorIsFree) {
  for (uint32_t i = 0; i <= getMaxEnumValForAnchor(); ++i) {
    const auto anchor = static_cast<Anchor>(i);
    if (anchor == Anchor::rows || anchor == Anchor::generic) // which are no op
      continue;
    const auto one = found.find(anchor);
    ASSERT_NE(one, found.end()) << stringifyAnchor(anchor).str() << " is not in this test's module";
    const AnchorFacts &facts = one->second;
    const bool moves_only =
        anchor == Anchor::embedding || anchor == Anchor::kv_append || anchor == Anchor::token_shift;
    EXPECT_EQ(facts.flops.row + facts.flops.position == 0, moves_only)
        << stringifyAnchor(anchor).str();
  }
}

TEST_F(Costs, BytesAreOfWhatIsRead) {
  const MatrixUse table = found.find(Anchor::embedding)->second.matrix;
  ASSERT_NE(table.operand, nullptr);
  EXPECT_EQ(table.slices, 1);
  EXPECT_FALSE(table.summed);
  const MatrixUse weight = found.find(Anchor::linear)->second.matrix;
  ASSERT_NE(weight.operand, nullptr);
  EXPECT_EQ(weight.slices, 0) << "all of it, once a step";
  EXPECT_EQ(found.find(Anchor::causal_conv1d)->second.matrix.operand, nullptr);

  const StateUse attends = found.find(Anchor::attention)->second.state;
  EXPECT_TRUE(attends.reads && !attends.writes);
  EXPECT_EQ(attends.window, 70);
  const StateUse appends = found.find(Anchor::kv_append)->second.state;
  EXPECT_TRUE(appends.writes && !appends.reads);
  for (Anchor anchor : {Anchor::linear_recurrence, Anchor::causal_conv1d}) {
    const StateUse both = found.find(anchor)->second.state;
    EXPECT_TRUE(both.reads && both.writes) << stringifyAnchor(anchor).str();
  }
  EXPECT_FALSE(found.find(Anchor::linear)->second.staysInPlace());
}

} // namespace
} // namespace quern
