// Attention over sliding windows, on sequences many times longer than them: generated code on state
// that keeps the window only, against the same code on state that keeps everything.
#include "tests/codegen/models/CompiledModel.h"
#include "tests/codegen/models/Models.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <map>
#include <random>

namespace quern::test {
namespace {

// Windows end inside a page, and are shorter and longer than one.
constexpr const char *kMistral =
    R"({"model_type": "mistral", "architectures": ["MistralForCausalLM"],
  "vocab_size": 101, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2,
  "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 8, "rms_norm_eps": 1e-5,
  "max_position_embeddings": 640, "hidden_act": "silu", "rope_theta": 10000.0,
  "sliding_window": 21, "tie_word_embeddings": false})";

struct Case {
  const char *name;
  const char *config;
  const char *quant;
  bool exact;
};
const Case kCases[] = {
    {"mistral_f32", kMistral, "f32", false},
    {"mistral_int8", kMistral, "int8", true},
    {"gemma2_f32", kGemma2, "f32", false},
    {"gemma2_int4", kGemma2, "int4", true},
};
constexpr size_t kLength = 600;

std::vector<int32_t> random_tokens(unsigned seed, size_t count) {
  std::mt19937 random(seed);
  std::vector<int32_t> tokens(count);
  for (int32_t &token : tokens)
    token = static_cast<int32_t>(random() % 101);
  return tokens;
}

/// The largest difference, in standard deviations of `want`.
double distance(const std::vector<float> &got, const std::vector<float> &want) {
  EXPECT_EQ(got.size(), want.size());
  double sum = 0, squares = 0, worst = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    sum += want[i];
    squares += static_cast<double>(want[i]) * want[i];
    worst = std::max(worst, std::abs(static_cast<double>(got[i]) - want[i]));
  }
  const auto count = static_cast<double>(want.size());
  return worst / std::sqrt(squares / count - sum / count * (sum / count));
}

class Windows : public testing::TestWithParam<Case> {
protected:
  void SetUp() override {
    if (const std::string why = CompiledModel::whyNotRun("x86-64-v3", false); !why.empty())
      GTEST_SKIP() << why;
    const auto &[name, config, quant, exact] = GetParam();
    using State = CompiledModel::Windows;
    // Compiled once for all tests.
    static std::map<std::string, std::unique_ptr<CompiledModel>> compiled[2];
    for (State state : {State::kept, State::ignored}) {
      auto [entry, fresh] = compiled[state == State::kept].try_emplace(name);
      if (fresh)
        entry->second = CompiledModel::create(config, quant, "x86-64-v3", state);
      ASSERT_TRUE(entry->second);
      (state == State::kept ? windowed : keeping) = entry->second.get();
    }
  }
  /// Integer products give the same bits in any steps; float sums differ in order.
  double tolerance() const { return GetParam().exact ? 0 : 1e-4; }
  CompiledModel *windowed = nullptr, *keeping = nullptr;
};

// Tests that what fell out of the window is missed by nobody: the same bits as with everything
// kept, in less memory, however the sequence is cut into steps.
TEST_P(Windows, ForgetNothingThatIsSeen) {
  auto little = windowed->engine(2, kLength), all = keeping->engine(2, kLength);
  EXPECT_LT(little->memory().state, all->memory().state);
  const auto tokens = random_tokens(1, kLength);
  const auto whole = feed(*all, tokens, kLength);
  for (size_t chunk : {size_t{1}, size_t{7}, size_t{33}, size_t{64}, kLength}) {
    const auto got = feed(*little, tokens, chunk);
    EXPECT_TRUE(got == feed(*all, tokens, chunk)) << "chunks of " << chunk;
    EXPECT_LE(distance(got, whole), tolerance()) << "chunks of " << chunk;
  }
}

// Tests that forks, saved and loaded ones too, in one ragged batch, go on as if each had been fed
// alone from its beginning.
TEST_P(Windows, ForksGoApart) {
  auto engine = windowed->engine(2, kLength);
  const auto prefix = random_tokens(2, 300);
  auto first = engine->create_slot();
  ASSERT_TRUE(first.ok());
  feed(*engine, *first, prefix, 50);
  auto second = engine->fork(*first);
  ASSERT_TRUE(second.ok());
  const std::string path = testing::TempDir() + "/windows-forks.state";
  ASSERT_TRUE(engine->save_state(*first, path).ok());
  auto third = engine->load_state(path);
  ASSERT_TRUE(third.ok()) << third.status();
  std::remove(path.c_str());

  const std::vector<std::vector<int32_t>> more = {random_tokens(3, 90), random_tokens(4, 107),
                                                  random_tokens(5, 1)};
  const session::SequenceStep batch[] = {{*first, more[0], session::Rows::all},
                                         {*second, more[1], session::Rows::all},
                                         {*third, more[2], session::Rows::all}};
  std::vector<float> logits((90 + 107 + 1) * engine->vocab());
  auto status = engine->step(batch, logits);
  ASSERT_TRUE(status.ok()) << status;
  auto got = logits.begin();
  for (const auto &tail : more) {
    auto tokens = prefix;
    tokens.insert(tokens.end(), tail.begin(), tail.end());
    const auto alone = feed(*engine, tokens, 64);
    const auto count = static_cast<ptrdiff_t>(tail.size() * engine->vocab());
    EXPECT_LE(distance({got, got + count}, {alone.end() - count, alone.end()}), tolerance());
    got += count;
  }
}

INSTANTIATE_TEST_SUITE_P(Cpu, Windows, testing::ValuesIn(kCases),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
} // namespace quern::test
