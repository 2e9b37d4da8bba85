// Models with each fusion off alone, and with all off, against the model with all on.
#include "compiler/pipeline/Phase.h"
#include "tests/codegen/models/CompiledModel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace quern::test {
namespace {

// Norms of heads, a gated activation, tied embeddings that are scaled.
constexpr const char *kGemma3 =
    R"({"model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"],
  "vocab_size": 211, "hidden_size": 96, "intermediate_size": 160, "num_hidden_layers": 2,
  "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-6,
  "max_position_embeddings": 256, "sliding_window": 8, "sliding_window_pattern": 1,
  "query_pre_attn_scalar": 16, "hidden_activation": "gelu_pytorch_tanh", "rope_theta": 10000.0,
  "rope_local_base_freq": 10000.0, "tie_word_embeddings": true})";
constexpr const char *kMamba2 = R"({"model_type": "mamba2", "architectures": ["Mamba2ForCausalLM"],
  "vocab_size": 211, "hidden_size": 96, "state_size": 24, "num_hidden_layers": 2, "expand": 2,
  "conv_kernel": 4, "num_heads": 12, "head_dim": 16, "n_groups": 2, "chunk_size": 8,
  "hidden_act": "silu", "tie_word_embeddings": false})";

struct Model {
  const char *name;
  const char *config;
  const char *quant;
  std::vector<const char *> fusions; // those that find something to do in it
};
const Model kModels[] = {
    {"gemma3_int4",
     kGemma3,
     "int4",
     {"merge-sibling-linears", "fuse-linear-epilogues", "fuse-attention-prologues",
      "fuse-embeddings", "fuse-rows", "quantize-activations"}},
    {"mamba2_f32",
     kMamba2,
     "f32",
     {"fuse-linear-epilogues", "fuse-convolutions", "fuse-recurrences", "fuse-rows"}},
};

struct Case {
  const Model *model;
  std::string without;
};
std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Model &model : kModels) {
    for (const char *fusion : model.fusions)
      all.push_back({&model, fusion});
    all.push_back({&model, "all"});
  }
  return all;
}

std::string text(const CompiledModel &model) {
  std::string text;
  llvm::raw_string_ostream(text) << model.module();
  return text;
}

/// Logits of a prompt and of five tokens after it, one a step.
std::vector<float> run(const CompiledModel &model) {
  constexpr size_t kPrompt = 37, kTokens = 42;
  std::vector<int32_t> tokens(kTokens);
  for (size_t i = 0; i < kTokens; ++i)
    tokens[i] = static_cast<int32_t>((i * i * 7 + i * 3 + 1) % static_cast<size_t>(model.vocab()));
  auto engine = model.engine(2);
  auto slot = engine->create_slot();
  EXPECT_TRUE(slot.ok()) << slot.status();
  const std::span all(tokens);
  auto logits = feed(*engine, *slot, all.first(kPrompt), kPrompt);
  const auto more = feed(*engine, *slot, all.subspan(kPrompt), 1);
  logits.insert(logits.end(), more.begin(), more.end());
  return logits;
}

class Ablation : public testing::TestWithParam<Case> {};

// Tests that a fusion is a matter of speed alone. What it joins is computed by the same functions
// in the same order, from registers or from memory, so that not a bit differs.
TEST_P(Ablation, ComputesTheSame) {
  if (const std::string why = CompiledModel::whyNotRun("x86-64-v3", false); !why.empty())
    GTEST_SKIP() << why;
  const auto &[model, without] = GetParam();
  // Compiled once for all tests.
  static std::map<std::string, std::unique_ptr<CompiledModel>> compiled;
  auto &full = compiled[model->name];
  const auto create = [&, &model = model](const std::string &off) {
    return CompiledModel::create(model->config, model->quant, "x86-64-v3",
                                 CompiledModel::Windows::kept, "f32", off);
  };
  if (!full)
    full = create("");
  const auto partly = create(without);
  ASSERT_TRUE(full && partly);
  EXPECT_NE(text(*partly), text(*full)) << "nothing was switched off";
  EXPECT_EQ(run(*partly), run(*full));
}

// Tests that every fusion is switched off in one of the models. All anchors that there are have
// passes of their own, so that fuse-anchors finds none (tests/passes/fuse/fuse-anchors.mlir); raise
// is of general programs, and what it finds rounds in another order (tests/passes/raise).
TEST(AblationCases, LeaveNoFusionOut) {
  std::set<std::string> tried = {"fuse-anchors", "raise"};
  for (const Case &one : cases())
    tried.insert(one.without);
  for (llvm::StringRef fusion : fusions())
    EXPECT_TRUE(tried.contains(fusion.str())) << fusion.str();
}

std::string caseName(const testing::TestParamInfo<Case> &info) {
  std::string name = std::string(info.param.model->name) + "_" + info.param.without;
  std::ranges::replace(name, '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Cpu, Ablation, testing::ValuesIn(cases()), caseName);

} // namespace
} // namespace quern::test
