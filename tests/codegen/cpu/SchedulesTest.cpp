// How workers share a bucket's calls: where they wait for each other, what each runs for itself,
// what a loop of layers repeats. A barrier too few would be a race, which no run has to lose; here
// it is found from what the calls touch.
#include "passes/analysis/Entries.h"
#include "passes/order/Passes.h"
#include "passes/target/Target.h"
#include "tests/codegen/cpu/BucketTrace.h"
#include "tests/codegen/cpu/Hazards.h"
#include "tests/codegen/models/CompiledModel.h"
#include "tests/codegen/models/Models.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quern::test {
namespace {

using codegen::Call;
using codegen::Operand;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Base = Operand::Base;

/// A planned model and the code made of it.
class Schedules {
public:
  Schedules(const std::string &config, const std::string &quant, const std::string &kv)
      : model_(CompiledModel::plan(config, quant, kv)) {
    EXPECT_TRUE(model_);
    symbols_.emplace(model_->module());
    kernels_.emplace(model_->module());
  }

  llvm::SmallVector<mlir::func::FuncOp> buckets() const { return bucketsOf(model_->module()); }
  mlir::func::FuncOp bucket(llvm::StringRef name) const {
    for (mlir::func::FuncOp bucket : buckets())
      if (bucket->getAttrOfType<mlir::StringAttr>(attrs::kBucket).getValue() == name)
        return bucket;
    ADD_FAILURE() << "no bucket " << name.str();
    return {};
  }
  std::vector<Call> calls(mlir::func::FuncOp bucket) const {
    auto calls = codegen::callsOf(bucket, *symbols_);
    EXPECT_TRUE(mlir::succeeded(calls));
    return *calls;
  }
  const GeneratedKernels &kernels() const { return *kernels_; }

  /// The form of a kernel's function that a bucket calls.
  static std::string function(mlir::func::FuncOp bucket, Call call) {
    constexpr const char *kForms[] = {".many", ".one", ".last"};
    return call.kernel.getSymName().str() + kForms[static_cast<int>(codegen::formOf(bucket, call))];
  }
  std::vector<std::string> hazards(mlir::func::FuncOp bucket, llvm::ArrayRef<Call> calls) const {
    return test::hazards(bucket, *symbols_, calls, [&](const Call &call) {
      return kernels_->fetches(function(bucket, call));
    });
  }

  /// What the order phase's verifier says of the module as it is now; empty if nothing.
  std::string verdict() const {
    std::string said;
    mlir::ScopedDiagnosticHandler handler(model_->module().getContext(),
                                          [&](mlir::Diagnostic &diagnostic) {
                                            absl::StrAppend(&said, diagnostic.str(), "\n");
                                            return mlir::success();
                                          });
    mlir::PassManager pm(model_->module().getContext());
    pm.enableVerifier(false);
    pm.addPass(createVerifyOrder());
    EXPECT_EQ(mlir::succeeded(pm.run(model_->module())), said.empty()) << said;
    return said;
  }

private:
  std::unique_ptr<CompiledModel> model_;
  std::optional<mlir::SymbolTable> symbols_;
  std::optional<GeneratedKernels> kernels_;
};

std::string text(const Operand &operand) {
  constexpr const char *kBases[] = {"", "weights", "arena", "own", "input", "output", "rows"};
  return absl::StrCat(kBases[static_cast<int>(operand.base)], operand.index ? "#" : "",
                      operand.index ? absl::StrCat(operand.index) : "", "+", operand.number);
}

/// A call in words: "| linear_0.many worker (arena+0 weights+64 arena+128)".
std::string text(const std::string &function, const Call &call) {
  std::string text = absl::StrCat(call.barrier ? "| " : "", function,
                                  call.replicated ? " by each (" : " shared (");
  for (const Operand &operand : call.operands)
    absl::StrAppend(&text, text.ends_with('(') ? "" : " ", test::text(operand));
  return text + ")";
}

/// One line a stretch between barriers, by anchors; what every worker runs is in brackets.
std::string outline(llvm::ArrayRef<Call> calls) {
  std::string text;
  for (Call call : calls) {
    llvm::StringRef anchor = call.kernel.getSymName();
    anchor = anchor.substr(0, anchor.rfind('_'));
    absl::StrAppend(&text,
                    call.barrier   ? "\n"
                    : text.empty() ? ""
                                   : " ",
                    call.replicated ? absl::StrCat("[", anchor.str(), "]") : anchor.str(),
                    call.last ? " last" : "");
  }
  return text;
}

size_t barriers(llvm::ArrayRef<Call> calls) {
  return static_cast<size_t>(llvm::count_if(calls, [](const Call &call) { return call.barrier; }));
}

class SchedulesTest : public testing::TestWithParam<ModelCase> {
protected:
  Schedules schedules{GetParam().model, GetParam().quant, GetParam().kv};
};

// Tests that what the generated function does, its loops unrolled, is what the calls say: the same
// kernels on the same addresses, the same barriers, nothing else.
TEST_P(SchedulesTest, AreWhatIsGenerated) {
  for (mlir::func::FuncOp bucket : schedules.buckets()) {
    const std::vector<Call> calls = schedules.calls(bucket);
    const auto trace = schedules.kernels().trace(bucket);
    ASSERT_EQ(trace.size(), calls.size());
    for (size_t i = 0; i < calls.size(); ++i) {
      EXPECT_EQ(text(trace[i].function, trace[i].call),
                text(Schedules::function(bucket, calls[i]), calls[i]))
          << "call " << i;
      EXPECT_EQ(trace[i].number, static_cast<int64_t>(i));
    }
  }
}

// Tests that no two calls between which nobody waits touch the same memory, that what each worker
// runs is memory of its own, and that every kernel reads what its dispatch says: in the generated
// function itself.
TEST_P(SchedulesTest, HaveNoHazards) {
  for (mlir::func::FuncOp bucket : schedules.buckets()) {
    std::vector<Call> calls;
    for (const auto &traced : schedules.kernels().trace(bucket)) {
      calls.push_back(traced.call);
      calls.back().last = traced.function.ends_with(".last");
    }
    EXPECT_THAT(schedules.hazards(bucket, calls), IsEmpty()) << outline(calls);
  }
}

// Tests that each barrier is needed: without it, there is a hazard. So nobody waits for nothing,
// and hazards() sees what each barrier is for.
TEST_P(SchedulesTest, HaveNoBarrierThatIsNotNeeded) {
  for (mlir::func::FuncOp bucket : schedules.buckets()) {
    const std::vector<Call> calls = schedules.calls(bucket);
    EXPECT_GT(barriers(calls), 0U);
    for (size_t i = 0; i < calls.size(); ++i) {
      if (!calls[i].barrier)
        continue;
      std::vector<Call> without = calls;
      without[i].barrier = false;
      EXPECT_THAT(schedules.hazards(bucket, without), Not(IsEmpty())) << "call " << i << " of\n"
                                                                      << outline(calls);
    }
  }
}

// Tests that who runs a call is no matter of choice: what every worker runs for itself cannot be
// shared, what is shared cannot be run by every worker.
TEST_P(SchedulesTest, SayWhoRunsACall) {
  for (mlir::func::FuncOp bucket : schedules.buckets()) {
    const std::vector<Call> calls = schedules.calls(bucket);
    for (size_t i = 0; i < calls.size(); ++i) {
      std::vector<Call> other = calls;
      other[i].replicated = !other[i].replicated;
      EXPECT_THAT(schedules.hazards(bucket, other), Not(IsEmpty())) << "call " << i;
    }
  }
}

// Tests that hazards() sees a kernel that is handed another buffer of the arena than it should.
TEST_P(SchedulesTest, SayWhereBuffersLie) {
  for (mlir::func::FuncOp bucket : schedules.buckets()) {
    const std::vector<Call> calls = schedules.calls(bucket);
    for (size_t i = 0; i < calls.size(); ++i)
      for (size_t o = 0; o < calls[i].operands.size(); ++o) {
        const Base base = calls[i].operands[o].base;
        if (base != Base::Arena && base != Base::Replicated && base != Base::Weights)
          continue;
        std::vector<Call> other = calls;
        other[i].operands[o].number += 64;
        EXPECT_THAT(schedules.hazards(bucket, other), Not(IsEmpty()))
            << "call " << i << ", operand " << o;
      }
  }
}

// Tests that the phase's verifier, which goes another way than the pass that places them, finds
// each barrier that is lost.
TEST_P(SchedulesTest, AreRefusedWithoutAnyOfTheirBarriers) {
  ASSERT_EQ(schedules.verdict(), "");
  for (mlir::func::FuncOp bucket : schedules.buckets())
    for (DispatchOp dispatch : bucket.getOps<DispatchOp>()) {
      if (!dispatch.getBarrier())
        continue;
      dispatch.setBarrier(false);
      EXPECT_THAT(schedules.verdict(), HasSubstr("needs a barrier before it"))
          << dispatch.getLabel().str();
      dispatch.setBarrier(true);
    }
}

// Tests that it refuses that a worker alone computes what it shares, and that none or another
// dispatch is what the largest column is asked of.
TEST_P(SchedulesTest, AreRefusedWithOtherMarks) {
  for (mlir::func::FuncOp bucket : schedules.buckets())
    for (DispatchOp dispatch : bucket.getOps<DispatchOp>()) {
      dispatch.setArgmax(!dispatch.getArgmax());
      EXPECT_THAT(schedules.verdict(), HasSubstr("argmax")) << dispatch.getLabel().str();
      dispatch.setArgmax(!dispatch.getArgmax());
      if (dispatch.getReplicated())
        continue;
      dispatch.setReplicated(true);
      EXPECT_THAT(schedules.verdict(), HasSubstr("is replicated")) << dispatch.getLabel().str();
      dispatch.setReplicated(false);
    }
}

// Tests that the passes' table of whose work is fetched says what the code does.
TEST_P(SchedulesTest, FetchWorkAsTheTargetSays) {
  const target::Target *cpu = target::find("cpu");
  ASSERT_TRUE(cpu);
  for (mlir::func::FuncOp bucket : schedules.buckets())
    for (Call &call : schedules.calls(bucket)) {
      const std::string function = Schedules::function(bucket, call);
      EXPECT_EQ(schedules.kernels().fetches(function),
                cpu->traits(call.kernel.getAnchor()).fetchesWork)
          << function;
    }
}

INSTANTIATE_TEST_SUITE_P(Cpu, SchedulesTest, testing::ValuesIn(kModelCases),
                         [](const auto &info) { return std::string(info.param.name); });

TEST(SchedulesOutline, OfOneToken) {
  const Schedules schedules(kLlama, "int4", "f32");
  EXPECT_EQ(outline(schedules.calls(schedules.bucket("decode1"))),
            R"([rows] [embedding] [rows] linear
kv_append
attention
[rows] linear
[rows] linear
linear
[rows] linear
kv_append
attention
[rows] linear
[rows] linear
linear
[rows] linear
kv_append
attention
[rows] linear
[rows] linear
linear
[rows] linear
kv_append
attention
[rows] linear
[rows] linear
linear
[rows] linear last)");
}

TEST(SchedulesOutline, OfMany) {
  const Schedules schedules(kMamba2, "int4", "f32");
  EXPECT_EQ(outline(schedules.calls(schedules.bucket("prefill"))), R"(embedding
rows
linear
causal_conv1d
linear_recurrence
rows
linear
rows
linear
causal_conv1d
linear_recurrence
rows
linear
rows
linear)");
}

// Tests the number of times that workers wait in a step of SmolLM2-135M: six times a layer for one
// token, eight for more, and at the beginning and the end.
TEST(SchedulesOutline, OfSmolLM2) {
  const Schedules schedules(R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"],
    "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
    "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64, "rms_norm_eps": 1e-5,
    "max_position_embeddings": 8192, "hidden_act": "silu", "rope_theta": 100000.0,
    "tie_word_embeddings": true})",
                            "int4", "auto");
  for (const auto &[bucket, count] :
       {std::pair("decode1", size_t{180}), {"decode", 242}, {"prefill", 242}}) {
    const auto calls = schedules.calls(schedules.bucket(bucket));
    EXPECT_EQ(barriers(calls), count) << bucket << "\n" << outline(calls);
  }
}

} // namespace
} // namespace quern::test
