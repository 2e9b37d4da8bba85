// Tests that a bucket in one launch computes what its launches one by one do, on the device ptx.
#include "codegen/cuda/Program.h"
#include "codegen/schedule/Loops.h"
#include "tests/codegen/models/CompiledModel.h"
#include "tests/codegen/models/Models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

namespace quern::cuda {
namespace {

using test::CompiledModel;
using test::ModelCase;

/// Of kModelCases: linears of integers and floats, kv state and recurrent state.
constexpr const char *kSome[] = {"llama_int4", "odd_f32", "qwen3_bf16", "mamba2_int4", "gpt2_int8"};

class Persistent : public testing::TestWithParam<const char *> {
protected:
  const ModelCase &which() const {
    return *std::ranges::find_if(test::kModelCases, [](const ModelCase &one) {
      return std::string_view(one.name) == GetParam();
    });
  }
};

/// Logits of tokens that come one by one, and then the tokens that the device finds itself.
std::pair<std::vector<float>, std::vector<int32_t>> decode(const CompiledModel &model,
                                                           const char *launches) {
  setenv("QUERN_CUDA_LAUNCH", launches, 1);
  const auto engine = model.engine(1);
  unsetenv("QUERN_CUDA_LAUNCH");
  EXPECT_TRUE(engine);
  if (!engine)
    return {};
  std::mt19937 random(3);
  std::vector<int32_t> tokens, found;
  for (int i = 0; i < 66; ++i) // more than a page of kv state
    tokens.push_back(static_cast<int32_t>(random() % model.vocab()));
  const session::SlotId slot = *engine->create_slot();
  std::vector<float> logits = test::feed(*engine, slot, tokens, 1), room(model.vocab());
  int32_t next = 5;
  for (int i = 0; i < 4; ++i) {
    const auto token = engine->step_greedy(slot, next, room);
    EXPECT_TRUE(token.ok()) << token.status();
    next = token.ok() ? *token : 0;
    found.push_back(next);
  }
  return {logits, found};
}

TEST_P(Persistent, StepsAreThoseOfSingleLaunchesBitForBit) {
  const char *variant = "sm_90a";
  if (const std::string why = CompiledModel::whyNotRun(variant, false); !why.empty())
    GTEST_SKIP() << why;
  const auto model = CompiledModel::create(which().model, which().quant, variant,
                                           CompiledModel::Windows::kept, which().kv);
  ASSERT_TRUE(model);
  const auto single = decode(*model, "discrete");
  EXPECT_TRUE(decode(*model, "graph") == single);
  EXPECT_TRUE(decode(*model, "persistent") == single);
}

INSTANTIATE_TEST_SUITE_P(Models, Persistent, testing::ValuesIn(kSome),
                         [](const auto &info) { return std::string(info.param); });

// Tests that there is such a kernel for buckets of one token, whose text is as long for many layers
// as for few, and waits as often in a turn as the schedule does.
TEST(PersistentText, HasALoopOfLayersAndTheSchedulesBarriers) {
  const auto model = CompiledModel::plan(test::kLlama, "int4", "f32", "cuda");
  ASSERT_TRUE(model);
  const auto program = writeProgram(model->module());
  ASSERT_TRUE(program.ok()) << program.status();
  const mlir::SymbolTable symbols(model->module());
  auto decode1 = symbols.lookup<mlir::func::FuncOp>("step.decode1");
  const auto calls = codegen::callsOf(decode1, symbols);
  const auto loops = codegen::loopsOf(decode1, *calls);
  ASSERT_EQ(loops->size(), 1u);
  size_t barriers = 0; // as they are written: of a loop's calls those of one turn
  for (size_t i = 0; i < calls->size(); ++i)
    barriers += (*calls)[i].barrier &&
                (i < (*loops)[0].first + (*loops)[0].period || i >= (*loops)[0].end());
  EXPECT_GT(barriers, 8u);
  size_t whole = 0;
  for (const BucketLaunches &bucket : program->buckets) {
    ASSERT_EQ(bucket.persistent.has_value(), bucket.symbol == "quern_step_decode1");
    if (!bucket.persistent)
      continue;
    ++whole;
    const KernelText &kernel = program->kernels[bucket.persistent->kernel];
    EXPECT_TRUE(kernel.persistent);
    EXPECT_EQ(kernel.name, bucket.symbol);
    EXPECT_THAT(kernel.text, testing::HasSubstr("for (int turn = 0; turn < 4; ++turn) {"));
    EXPECT_THAT(kernel.text, testing::HasSubstr("__constant__ const i64 turns_0[4]["));
    const auto count = [&](const std::string &what) {
      size_t times = 0;
      for (size_t at = kernel.text.find(what); at != std::string::npos;
           at = kernel.text.find(what, at + 1))
        ++times;
      return times;
    };
    EXPECT_EQ(count("barrier.wait();"), barriers);
    EXPECT_EQ(count("  kernels::linear_0_one_prefetch("), 2u);
    EXPECT_EQ(count("  kernels::linear_4_last_prefetch("), 1u);
  }
  EXPECT_EQ(whole, 1u);
}

} // namespace
} // namespace quern::cuda
