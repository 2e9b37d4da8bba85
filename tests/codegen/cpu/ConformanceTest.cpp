// Generated code against the interpreter, and against itself: chunks, batches, threads, variants.
#include "tests/codegen/cpu/CompiledModel.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

namespace quern::test {
namespace {

// Dimensions are odd on purpose: widths that are no multiple of 16 or 32, a vocabulary that is
// prime.
constexpr const char *kLlama = R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"],
  "vocab_size": 331, "hidden_size": 96, "intermediate_size": 160, "num_hidden_layers": 4,
  "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-5,
  "max_position_embeddings": 256, "hidden_act": "silu", "rope_theta": 10000.0,
  "attention_bias": true, "mlp_bias": true, "tie_word_embeddings": true})";
constexpr const char *kOdd = R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"],
  "vocab_size": 101, "hidden_size": 60, "intermediate_size": 70, "num_hidden_layers": 2,
  "num_attention_heads": 5, "num_key_value_heads": 1, "head_dim": 12, "rms_norm_eps": 1e-5,
  "max_position_embeddings": 256, "hidden_act": "silu", "rope_theta": 10000.0,
  "tie_word_embeddings": false})";
constexpr const char *kQwen3 = R"({"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"],
  "vocab_size": 331, "hidden_size": 96, "intermediate_size": 160, "num_hidden_layers": 2,
  "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 24, "rms_norm_eps": 1e-6,
  "max_position_embeddings": 256, "hidden_act": "silu", "rope_theta": 10000.0,
  "tie_word_embeddings": false})";
constexpr const char *kMamba2 = R"({"model_type": "mamba2", "architectures": ["Mamba2ForCausalLM"],
  "vocab_size": 331, "hidden_size": 96, "state_size": 24, "num_hidden_layers": 2, "expand": 2,
  "conv_kernel": 4, "num_heads": 12, "head_dim": 16, "n_groups": 2, "chunk_size": 8,
  "hidden_act": "silu", "tie_word_embeddings": false})";

struct Case {
  const char *name;
  const char *model; // as CompiledModel::create takes it
  const char *quant;
  bool exact; // integer matrix products: bits do not depend on the steps
  const char *kv = "f32";
};
const Case kCases[] = {
    {"llama_f32", kLlama, "f32", false},
    {"llama_int4", kLlama, "int4", true},
    {"llama_kv_bf16", kLlama, "int8", true, "bf16"},
    {"odd_kv_f16", kOdd, "int8", true, "f16"},
    {"llama_kv_int8", kLlama, "int4", true, "int8"},
    {"odd_kv_int8", kOdd, "int8", true, "int8"},
    {"odd_f32", kOdd, "f32", false},
    {"odd_int8", kOdd, "int8", true},
    {"odd_int4_asym", kOdd, "int4,asym", true},
    {"qwen3_bf16", kQwen3, "bf16", false},
    {"qwen3_int8", kQwen3, "int8", true},
    {"mamba2_f32", kMamba2, "f32", false},
    {"mamba2_int4", kMamba2, "int4", true},
    {"gpt2_f32", "gpt2.mlir", "f32", false},
    {"gpt2_keep", "gpt2.mlir", "keep", false},
    {"gpt2_int8", "gpt2.mlir", "int8", true},
    {"bloom_f32", "bloom.mlir", "f32", false},
    {"bloom_int4", "bloom.mlir", "int4", true},
    {"cohere_f32", "cohere.mlir", "f32", false},
    {"cohere_int8", "cohere.mlir", "int8", true},
    {"falcon_f32", "falcon.mlir", "f32", false},
    {"falcon_int4", "falcon.mlir", "int4", true},
    {"olmo_f32", "olmo.mlir", "f32", false},
    {"olmo_int8", "olmo.mlir", "int8", true},
    {"residual_f32", "residual.mlir", "f32", false},
    {"residual_int4", "residual.mlir", "int4", true},
};

std::vector<int32_t> randomTokens(int seed, int count, int64_t vocab) {
  std::mt19937 random(seed);
  std::vector<int32_t> tokens;
  for (int i = 0; i < count; ++i)
    tokens.push_back(static_cast<int32_t>(random() % vocab));
  return tokens;
}

std::vector<double> interpret(reference::Interpreter &interpreter,
                              const std::vector<int32_t> &tokens) {
  reference::ReferenceState state;
  reference::Batch batch;
  batch.sequences.push_back({0, 0, tokens});
  for (size_t i = 0; i < tokens.size(); ++i)
    batch.rows.push_back(static_cast<int32_t>(i));
  auto output = interpreter.step(batch, state);
  EXPECT_TRUE(output.ok()) << output.status();
  return output.ok() ? output->values : std::vector<double>();
}

/// The largest difference, in standard deviations of `want`.
template <class A> double distance(const A &got, const std::vector<double> &want) {
  EXPECT_EQ(got.size(), want.size());
  if (got.size() != want.size())
    return INFINITY;
  double mean = 0, square = 0, worst = 0;
  for (double value : want)
    mean += value / want.size();
  for (size_t i = 0; i < want.size(); ++i) {
    square += (want[i] - mean) * (want[i] - mean) / want.size();
    double difference = std::fabs(got[i] - want[i]);
    if (!(difference <= worst))
      worst = difference;
  }
  return worst / std::sqrt(square);
}

class Conformance : public testing::TestWithParam<std::tuple<const char *, Case>> {
protected:
  void SetUp() override {
    auto [variant, which] = GetParam();
    // Compiled once for all tests.
    static std::map<std::string, std::unique_ptr<CompiledModel>> compiled;
    auto [entry, fresh] = compiled.try_emplace(std::string(variant) + which.name);
    if (fresh)
      entry->second = CompiledModel::create(which.model, which.quant, variant,
                                            CompiledModel::Windows::kept, which.kv);
    model = entry->second.get();
    ASSERT_TRUE(model);
  }
  /// Not every machine has every ISA: there the code is generated all the same.
  bool generatedOnly() const { return !model->runs(); }
  CompiledModel *model = nullptr;
};

// Tests that generated code computes what the interpreter says the planned module means. Float sums
// differ in order only, which 1e-4 allows for. Where rows are rounded to int8 such a difference can
// flip a code, by one step of 1/127 of its group's largest: that moves a few logits of these small
// models by up to 0.05.
TEST_P(Conformance, MatchesTheInterpreter) {
  if (generatedOnly())
    return;
  auto which = std::get<1>(GetParam());
  auto engine = model->engine(2);
  auto tokens = randomTokens(1, 41, model->vocab());
  auto logits = feed(*engine, tokens, 64);
  EXPECT_LT(distance(logits, interpret(*model->planned(), tokens)), which.exact ? 0.1 : 1e-4);
  if (std::string(which.quant) == "f32")
    EXPECT_LT(distance(logits, interpret(*model->imported(), tokens)), 1e-4);
}

// Tests that how a sequence is cut into steps, and the threads that run them, leave its logits
// alone: bitwise with integer products, and across threads always.
TEST_P(Conformance, StepsAndThreadsDoNotMatter) {
  if (generatedOnly())
    return;
  auto which = std::get<1>(GetParam());
  auto one = model->engine(1), two = model->engine(2);
  auto tokens = randomTokens(2, 100, model->vocab());
  auto whole = feed(*one, tokens, 64);
  EXPECT_EQ(whole, feed(*two, tokens, 64));
  for (size_t chunk : {1, 3, 7, 16, 33}) {
    auto got = feed(*two, tokens, chunk);
    if (which.exact)
      EXPECT_EQ(got, whole) << "chunks of " << chunk;
    else
      EXPECT_LT(distance(got, std::vector<double>(whole.begin(), whole.end())), 1e-4)
          << "chunks of " << chunk;
  }
}

// Tests that a sequence's logits are the same alone and in a ragged batch, from a fork too.
TEST_P(Conformance, BatchesDoNotMatter) {
  if (generatedOnly())
    return;
  auto which = std::get<1>(GetParam());
  auto engine = model->engine(2);
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
    std::vector<float> got(logits.begin() + at, logits.begin() + at + want.size());
    at += want.size();
    if (which.exact)
      EXPECT_EQ(got, want);
    else
      EXPECT_LT(distance(got, std::vector<double>(want.begin(), want.end())), 1e-4);
  }
}

// Tests the borders of attention's blocks of keys and, for single tokens, of the rounds that
// workers share: what a token sees is summed the same whether it comes alone or with others.
TEST(LongSequence, BlocksOfKeysDoNotMatter) {
  std::string config = kLlama;
  config.replace(config.find("\"max_position_embeddings\": 256"), 30,
                 "\"max_position_embeddings\": 8192");
  auto model = CompiledModel::create(config, "int8", "x86-64-v3");
  ASSERT_TRUE(model);
  if (!model->runs())
    return;
  const auto tokens = randomTokens(5, 4112, model->vocab());
  const auto engine = model->engine(2, 8192);
  const auto vocab = static_cast<size_t>(engine->vocab());
  const auto whole = feed(*engine, tokens, 64);
  for (const int threads : {1, 3}) {
    const auto other = model->engine(threads, 8192);
    const auto slot = *other->create_slot();
    size_t at = 0;
    // One by one at the ends of the first two blocks and of the first round of sixteen.
    for (const auto &[until, chunk] :
         {std::pair<size_t, size_t>{250, 50}, {262, 1}, {510, 62}, {514, 1}, {4090, 64}, {4112, 1}})
      while (at < until) {
        const size_t count = std::min(chunk, until - at);
        std::vector<float> logits(vocab);
        const session::SequenceStep step{slot, std::span(tokens).subspan(at, count),
                                         session::Rows::last};
        ASSERT_TRUE(other->step({&step, 1}, logits).ok());
        at += count;
        ASSERT_TRUE(std::equal(logits.begin(), logits.end(), &whole[(at - 1) * vocab]))
            << "position " << at - 1 << ", " << threads << " threads";
      }
  }
}

std::string caseName(const testing::TestParamInfo<Conformance::ParamType> &info) {
  std::string variant = std::get<0>(info.param);
  return std::string(std::get<1>(info.param).name) + "_" + variant.substr(variant.rfind('-') + 1);
}
INSTANTIATE_TEST_SUITE_P(Cpu, Conformance,
                         testing::Combine(testing::Values("x86-64-v3", "x86-64-v4"),
                                          testing::ValuesIn(kCases)),
                         caseName);

/// amx is x86-64-v4 but for products of integer weights: those are tried, in each architecture that
/// is imported here, and where products quantize what they compute besides.
std::vector<Case> integerCases() {
  std::vector<Case> cases;
  for (const Case &which : kCases) {
    const std::string_view model = which.model;
    if (which.exact && (!model.ends_with(".mlir") || model == "residual.mlir"))
      cases.push_back(which);
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Amx, Conformance,
                         testing::Combine(testing::Values("amx"),
                                          testing::ValuesIn(integerCases())),
                         caseName);

} // namespace
} // namespace quern::test
