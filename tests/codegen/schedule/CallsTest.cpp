// Tests that a bucket is read as its marks say, its loops with what changes from turn to turn, and
// that one which was never ordered, or says what is not so, is refused.
#include "codegen/schedule/Loops.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace quern::codegen {
namespace {

using Base = Operand::Base;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Two layers of two dispatches between a first and a last one. Weights lie one behind the other,
// what the first of a layer computes lies elsewhere in the second layer.
constexpr const char *kModule = R"(
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!W = !quern.weight<4x4, "f32">
!S = !quern.state<window, 4x1>
quern.weight @w : !W {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = 0.0 : f32, spread = 0.3 : f32}
quern.packed @p0 : !W packing "rows" attributes {bytes = 64 : i64, offset = 0 : i64} {
  %0 = quern.weight_ref @w : !W
  quern.yield %0 : !W
}
quern.packed @p1 : !W packing "rows" attributes {bytes = 64 : i64, offset = 64 : i64} {
  %0 = quern.weight_ref @w : !W
  quern.yield %0 : !W
}
quern.declare_state @s0 : !S {offset = 128 : i64}
quern.declare_state @s1 : !S {offset = 192 : i64}
quern.kernel @act rows (%x: !T4) -> !T4 {
  %y = quern.unary silu %x : !T4
  quern.yield %y : !T4
}
quern.kernel @conv causal_conv1d (%x: !T4, %b: !quern.batch, %s: !S, %w: !W) -> !T4 {
  %v = quern.unary silu %x : !T4
  quern.yield %v : !T4
}
func.func @step(%x: !T4, %y: !T4, %b: !quern.batch) -> !T4 attributes {quern.entry = "step", quern.bucket = "decode1",
    quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64, quern.arena = 256 : i64 BARRIERS} {
  %p0 = quern.weight_ref @p0 : !W
  %p1 = quern.weight_ref @p1 : !W
  %s0 = quern.state_ref @s0 : !S
  %s1 = quern.state_ref @s1 : !S
  %z = quern.dispatch @act(%y) "z" at [0] replicated : (!T4) -> !T4
  %a = quern.dispatch @act(%z) "a" at [128] : (!T4) -> !T4
  REPEAT
  %c = quern.dispatch @conv(%a, %b, %s0, %p0) "c.0" at [0] barrier : (!T4, !quern.batch, !S, !W) -> !T4
  %d = quern.dispatch @act(%c) "d.0" at [128] barrier : (!T4) -> !T4
  %e = quern.dispatch @conv(%d, %b, %s1, %p1) "c.1" at [64] barrier : (!T4, !quern.batch, !S, !W) -> !T4
  %f = quern.dispatch @act(%e) "d.1" at [128] barrier : (!T4) -> !T4
  %g = quern.dispatch @act(%f) "g" at [-1] barrier argmax : (!T4) -> !T4
  return %g : !T4
})";

class CallsTest : public testing::Test {
protected:
  CallsTest() { context_.loadDialect<QuernDialect, mlir::func::FuncDialect>(); }

  mlir::func::FuncOp bucket(const std::string &repeat,
                            const std::string &barriers = ", quern.barriers = 5 : i64") {
    std::string text = kModule;
    text.replace(text.find("REPEAT"), 6, repeat);
    text.replace(text.find("BARRIERS"), 8, barriers);
    // A kernel's anchor is of no matter here, nor what its body does.
    mlir::ParserConfig config(&context_, /*verifyAfterParse=*/false);
    module_ = mlir::parseSourceString<mlir::ModuleOp>(text, config);
    symbols_.emplace(*module_);
    return *module_->getOps<mlir::func::FuncOp>().begin();
  }
  std::vector<Call> calls(mlir::func::FuncOp bucket) {
    auto calls = callsOf(bucket, *symbols_);
    EXPECT_TRUE(mlir::succeeded(calls));
    return mlir::succeeded(calls) ? *calls : std::vector<Call>();
  }
  /// The errors of `run`, which fails.
  template <class Run> std::string error(Run run) {
    std::string said;
    mlir::ScopedDiagnosticHandler handler(&context_, [&](mlir::Diagnostic &diagnostic) {
      said += diagnostic.str();
      return mlir::success();
    });
    EXPECT_TRUE(mlir::failed(run()));
    return said;
  }

  mlir::MLIRContext context_;
  mlir::OwningOpRef<mlir::ModuleOp> module_;
  std::optional<mlir::SymbolTable> symbols_;
};

/// "arena+128", "input#1": where an operand lies.
std::string text(const Operand &operand) {
  constexpr const char *kBases[] = {"", "weights", "arena", "own", "input", "output", "rows"};
  return std::string(kBases[static_cast<int>(operand.base)]) +
         (operand.index ? "#" + std::to_string(operand.index) : "") + "+" +
         std::to_string(operand.number);
}

std::vector<std::string> texts(const Call &call) {
  std::vector<std::string> all;
  for (const Operand &operand : call.operands)
    all.push_back(text(operand));
  return all;
}

TEST_F(CallsTest, AreWhatTheMarksSay) {
  mlir::func::FuncOp bucket = this->bucket("");
  const std::vector<Call> calls = this->calls(bucket);
  ASSERT_EQ(calls.size(), 7u);
  EXPECT_EQ(bucketSymbol(bucket), "quern_step_decode1");
  EXPECT_THAT(texts(calls[0]), ElementsAre("input#1+0", "own+0"));
  EXPECT_THAT(texts(calls[1]), ElementsAre("own+0", "arena+128"));
  EXPECT_THAT(texts(calls[2]), ElementsAre("arena+128", "+0", "+128", "weights+0", "arena+0"));
  EXPECT_THAT(texts(calls[6]), ElementsAre("arena+128", "output+0"));
  for (size_t i = 0; i < calls.size(); ++i) {
    EXPECT_EQ(calls[i].replicated, i == 0) << i;
    EXPECT_EQ(calls[i].barrier, i >= 2) << i;
    EXPECT_EQ(calls[i].last, i == 6) << i;
    EXPECT_EQ(formOf(bucket, calls[i]), i == 6 ? Form::Last : Form::One) << i;
  }
}

TEST_F(CallsTest, ThatRepeatAreALoopOverATableOfWhatChanges) {
  mlir::func::FuncOp bucket = this->bucket("quern.repeat 2 times 2 dispatches");
  const std::vector<Call> calls = this->calls(bucket);
  const auto loops = loopsOf(bucket, calls);
  ASSERT_TRUE(mlir::succeeded(loops));
  ASSERT_EQ(loops->size(), 1u);
  const Loop &loop = loops->front();
  EXPECT_EQ(loop.first, 2u);
  EXPECT_EQ(loop.period, 2u);
  EXPECT_EQ(loop.turns, 2u);
  EXPECT_EQ(loop.end(), 6u);
  // The state's offset, and what weights and the first's result have in common.
  EXPECT_EQ(loop.width, 2u);
  EXPECT_THAT(loop.table, ElementsAre(128, 0, 192, 64));
  ASSERT_EQ(loop.columns.size(), 2u);
  EXPECT_THAT(loop.columns[0], ElementsAre(std::nullopt, std::nullopt, 0u, 1u, 1u));
  EXPECT_THAT(loop.columns[1], ElementsAre(1u, std::nullopt));
}

TEST_F(CallsTest, ThatDoNotRepeatAreNoLoop) {
  mlir::func::FuncOp bucket = this->bucket("");
  const auto loops = loopsOf(bucket, calls(bucket));
  ASSERT_TRUE(mlir::succeeded(loops));
  EXPECT_TRUE(loops->empty());
}

TEST_F(CallsTest, AreRefusedWhereNobodyOrderedThem) {
  mlir::func::FuncOp bucket = this->bucket("", "");
  EXPECT_THAT(error([&] { return callsOf(bucket, *symbols_); }),
              HasSubstr("has no `quern.barriers`; the order phase sets it"));
}

TEST_F(CallsTest, ThatAreSaidToRepeatAndDoNotAreRefused) {
  for (const char *repeat :
       {"quern.repeat 4 times 1 dispatches", "quern.repeat 3 times 2 dispatches",
        "quern.repeat 9223372036854775807 times 2 dispatches"}) {
    mlir::func::FuncOp bucket = this->bucket(repeat);
    const std::vector<Call> calls = this->calls(bucket);
    EXPECT_THAT(error([&] { return loopsOf(bucket, calls); }),
                HasSubstr("does not hold of the dispatches that follow"))
        << repeat;
  }
}

} // namespace
} // namespace quern::codegen
