// The CPU's conformance table on the device ptx: generated CUDA code against the interpreter, and
// against itself in chunks and batches, on both architectures; state between devices.
#include "ir/quern/QuernDialect.h"
#include "tests/codegen/models/CompiledModel.h"
#include "tests/codegen/models/Models.h"
#include "tests/codegen/models/Sequences.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

namespace quern::test {
namespace {

/// Variants, and the device that runs each at its best.
constexpr const char *kVariants = "sm_80,sm_90a";
struct Device {
  const char *name, *variant;
};
constexpr Device kA100{"a100", "sm_80"}, kH100{"h100", "sm_90a"};

class Conformance : public testing::TestWithParam<std::tuple<Device, ModelCase>> {
protected:
  void SetUp() override {
    const auto &[device, which] = GetParam();
    if (const std::string why = CompiledModel::whyNotRun(device.variant, false); !why.empty())
      GTEST_SKIP() << why;
    // Read whenever a device is opened, and none is: engines end with their tests.
    setenv("QUERN_PTX_DEVICE", device.name, 1);
    model = compiled(which);
    ASSERT_TRUE(model);
  }
  void TearDown() override { unsetenv("QUERN_PTX_DEVICE"); }

  /// Compiled once for all tests, for both.
  static CompiledModel *compiled(const ModelCase &which) {
    static std::map<std::string, std::unique_ptr<CompiledModel>> all;
    auto [entry, fresh] = all.try_emplace(which.name);
    if (fresh)
      entry->second = CompiledModel::create(which.model, which.quant, kVariants,
                                            CompiledModel::Windows::kept, which.kv);
    return entry->second.get();
  }
  /// What logits may differ by in standard deviations where kernels of other forms computed them.
  double tolerance() const { return std::get<1>(GetParam()).exact ? 0.1 : 1e-4; }

  /// Whether recurrences are computed in chunks of tokens.
  bool inChunks() const {
    bool found = false;
    model->module().walk([&](LinearRecurrenceOp scan) {
      found |= scan.getDecayKind() == DecayKind::head || scan.getDecayKind() == DecayKind::key;
    });
    return found && !std::get<1>(GetParam()).exact;
  }

  CompiledModel *model = nullptr;
};

// Tests that generated code computes what the interpreter says the planned module means. Float sums
// differ in order only, which 1e-4 allows for. Where rows are rounded to int8 such a difference can
// flip a code, by one step of 1/127 of its group's largest: that moves a few logits of these small
// models by up to 0.05.
TEST_P(Conformance, MatchesTheInterpreter) {
  const auto &which = std::get<1>(GetParam());
  const auto engine = model->engine(1);
  ASSERT_TRUE(engine);
  EXPECT_EQ(engine->variant(), std::get<0>(GetParam()).variant);
  const auto tokens = randomTokens(1, 41, model->vocab());
  const auto logits = feed(*engine, tokens, 64);
  EXPECT_LT(distance(logits, interpret(*model->planned(), tokens)), tolerance());
  if (std::string(which.quant) == "f32")
    EXPECT_LT(distance(logits, interpret(*model->imported(), tokens)), 1e-4);
}

// Tests that how a sequence is cut into steps leaves its logits alone: bitwise as long as the same
// bucket runs them, and else but for the order of float sums. Beside float weights recurrences are
// computed in chunks where a step brings enough tokens: that is another order of float sums.
TEST_P(Conformance, StepsDoNotMatter) {
  const auto engine = model->engine(1);
  ASSERT_TRUE(engine);
  const auto tokens = randomTokens(2, 70, model->vocab());
  const auto whole = feed(*engine, tokens, 35); // twice
  for (size_t chunk : {7, 64}) {
    const auto other = feed(*engine, tokens, chunk);
    if (inChunks())
      EXPECT_LT(distance(other, doubles(whole)), tolerance()) << "chunks of " << chunk;
    else
      EXPECT_EQ(other, whole) << "chunks of " << chunk;
  }
  for (size_t chunk : {1, 3})
    EXPECT_LT(distance(feed(*engine, tokens, chunk), doubles(whole)), tolerance())
        << "chunks of " << chunk;
}

// Tests that a sequence's logits are the same in a ragged batch as alone, bitwise where both are
// the prefill bucket's.
TEST_P(Conformance, BatchesDoNotMatter) {
  const auto engine = model->engine(1);
  ASSERT_TRUE(engine);
  std::vector<std::vector<int32_t>> sequences;
  std::vector<std::vector<float>> alone;
  for (int length : {20, 1, 9}) {
    sequences.push_back(randomTokens(length, length, model->vocab()));
    alone.push_back(feed(*engine, sequences.back(), 64));
  }
  std::vector<session::SequenceStep> steps;
  for (const auto &tokens : sequences)
    steps.push_back({*engine->create_slot(), tokens, session::Rows::all});
  std::vector<float> logits(30 * engine->vocab());
  auto status = engine->step(steps, logits);
  ASSERT_TRUE(status.ok()) << status;
  size_t at = 0;
  for (const auto &want : alone) {
    const std::vector<float> got(logits.begin() + at, logits.begin() + at + want.size());
    at += want.size();
    if (want.size() > engine->vocab())
      EXPECT_EQ(got, want);
    else
      EXPECT_LT(distance(got, doubles(want)), tolerance());
  }
}

// Tests that a token's logits are the same bits in batches of 2 to 4 sequences that decode.
TEST_P(Conformance, DecodingBatchesDoNotMatter) {
  const auto engine = model->engine(1);
  ASSERT_TRUE(engine);
  const int lengths[] = {9, 5, 12, 7};
  std::vector<float> of_two;
  for (size_t count : {2, 3, 4}) {
    std::vector<std::vector<int32_t>> prompts;
    std::vector<session::SequenceStep> steps;
    for (size_t i = 0; i < count; ++i) {
      prompts.push_back(randomTokens(lengths[i], lengths[i], model->vocab()));
      const auto slot = engine->create_slot();
      ASSERT_TRUE(slot.ok()) << slot.status();
      feed(*engine, *slot, prompts.back(), 64);
      steps.push_back({*slot, std::span(prompts.back()).first(1), session::Rows::last});
    }
    std::vector<float> logits(count * engine->vocab());
    auto status = engine->step(steps, logits);
    ASSERT_TRUE(status.ok()) << status;
    logits.resize(2 * engine->vocab());
    if (of_two.empty())
      of_two = logits;
    EXPECT_EQ(logits, of_two) << count << " sequences";
    for (const session::SequenceStep &step : steps)
      ASSERT_TRUE(engine->free_slot(step.slot).ok());
  }
}

// Tests that the largest logit found on the device is the one that the logits have.
TEST_P(Conformance, GreedyTokensAreTheLogits) {
  const auto engine = model->engine(1);
  ASSERT_TRUE(engine);
  const auto greedy = *engine->create_slot(), plain = *engine->create_slot();
  int32_t token = 3;
  std::vector<float> logits(engine->vocab()), room(engine->vocab());
  for (int i = 0; i < 8; ++i) {
    const session::SequenceStep step{plain, std::span(&token, 1), session::Rows::last};
    ASSERT_TRUE(engine->step({&step, 1}, logits).ok());
    const auto found = engine->step_greedy(greedy, token, room);
    ASSERT_TRUE(found.ok()) << found.status();
    token = static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    ASSERT_EQ(*found, token) << "step " << i;
  }
}

std::string caseName(const testing::TestParamInfo<Conformance::ParamType> &info) {
  return std::string(std::get<1>(info.param).name) + "_" + std::get<0>(info.param).variant;
}
INSTANTIATE_TEST_SUITE_P(Cuda, Conformance,
                         testing::Combine(testing::Values(kH100, kA100),
                                          testing::ValuesIn(kModelCases)),
                         caseName);

using Devices = testing::TestWithParam<ModelCase>;

// Tests that a sequence begun on one device goes on on the other, both ways.
TEST_P(Devices, ShareStates) {
  if (const std::string why = CompiledModel::whyNotRun(kH100.variant, false); !why.empty())
    GTEST_SKIP() << why;
  if (const std::string why = CompiledModel::whyNotRun("x86-64-v3", false); !why.empty())
    GTEST_SKIP() << why;
  const ModelCase &which = GetParam();
  const auto model =
      CompiledModel::create(which.model, which.quant, std::string("x86-64-v3,") + kH100.variant,
                            CompiledModel::Windows::kept, which.kv);
  ASSERT_TRUE(model);
  const auto tokens = randomTokens(4, 40, model->vocab());
  const std::span all(tokens);
  for (const auto &[first, second] : {std::pair("cpu", "ptx"), std::pair("ptx", "cpu")}) {
    const auto begins = model->engine(1, 256, first), goes_on = model->engine(1, 256, second);
    ASSERT_TRUE(begins && goes_on);
    const auto want = feed(*goes_on, tokens, 20);
    const auto slot = *begins->create_slot();
    feed(*begins, slot, all.first(20), 20);
    const std::string path = testing::TempDir() + "/" + which.name + "." + first;
    ASSERT_TRUE(begins->save_state(slot, path).ok());
    const auto loaded = goes_on->load_state(path);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    const auto got = feed(*goes_on, *loaded, all.subspan(20), 20);
    const std::vector<float> rest(want.end() - static_cast<ptrdiff_t>(got.size()), want.end());
    EXPECT_LT(distance(got, doubles(rest)), which.exact ? 0.1 : 1e-4) << first << " to " << second;
    std::remove(path.c_str());
  }
}

INSTANTIATE_TEST_SUITE_P(Cuda, Devices,
                         testing::Values(ModelCase{"llama_f32", kLlama, "f32", false},
                                         ModelCase{"odd_kv_int8", kOdd, "int8", true, "int8"},
                                         ModelCase{"mamba2_int4", kMamba2, "int4", true}),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
} // namespace quern::test
