// Tests that a compiled model computes what transformers computes: the goldens of
// tests/frontends/goldens, from a folder on the disk to logits in a file.
#include "tests/conformance/Programs.h"
#include "tests/frontends/families/GoldenFiles.h"
#include "tests/frontends/families/ModelFolder.h"

#include <cmath>
#include <iterator>

namespace quern::conformance {
namespace {

class Families : public testing::TestWithParam<std::string> {};

TEST_P(Families, ComputeWhatTransformersComputes) {
  const auto golden = read_golden(GetParam());
  const ModelFolder model;
  model.write_config(golden["config"]);
  model.write_tensors(golden["tensors"]);
  const std::string artifact = model.path("m.quern");
  done("quern",
       {"compile", model.path(), "-o", artifact, "-q", "--quant", "f32", "--variant", "native"});
  const auto plan = done("quern", {"inspect", artifact, "--json"}).json()["plan"];
  EXPECT_LE(plan["arena"].get<double>(), 1.01 * plan["arena_bound"].get<double>());

  const auto tokens = golden["tokens"].get<std::vector<int32_t>>();
  std::vector<double> wanted;
  for (const auto &row : golden["logits"])
    for (const double x : row)
      wanted.push_back(x);
  double sum = 0;
  double squares = 0;
  for (const double x : wanted) {
    sum += x;
    squares += x * x;
  }
  const auto n = static_cast<double>(wanted.size());
  const double deviation = std::sqrt(squares / n - sum / n * (sum / n));
  // float32 against float64: what the interpreter in float32 shows too, with room for the order of
  // sums.
  auto expect_near = [&](const std::vector<float> &got, const char *how) {
    ASSERT_EQ(got.size(), wanted.size()) << how;
    double worst = 0;
    for (size_t i = 0; i < wanted.size(); ++i)
      worst = std::max(worst, std::abs(static_cast<double>(got[i]) - wanted[i]));
    EXPECT_LT(worst, 1e-3 * deviation) << how;
  };
  expect_near(logits(artifact, tokens).values, "whole");
  expect_near(logits(artifact, tokens, {"--chunk", "1"}).values, "one token a step");
  expect_near(logits(artifact, tokens, {"--chunk", "5"}).values, "five tokens a step");

  const auto half = static_cast<std::ptrdiff_t>(tokens.size() / 2);
  const std::string state = model.path("half.state");
  std::vector<float> both =
      logits(artifact, {tokens.begin(), tokens.begin() + half}, {"--save-state", state}).values;
  const std::vector<float> rest =
      logits(artifact, {tokens.begin() + half, tokens.end()}, {"--load-state", state}).values;
  both.insert(both.end(), rest.begin(), rest.end());
  expect_near(both, "saved and loaded");
}

/// Goldens whose code is another's: families_test, which interprets them all, holds what is made of
/// what their files say.
constexpr const char *kSameCode[] = {
    // other words for the same model
    "deepseek_v3-null-groups", "gemma3-old-keys", "llama-old-keys", "mamba_ssm", "mamba_ssm-2",
    "mamba_ssm-3", "nemotron_h-old-names", "zamba2-untied",
    // other numbers: frequencies, scales, bounds
    "deepseek_v2-yarn", "deepseek_v3-dense-yarn", "falcon_mamba-one-eps", "gemma2-scaled-by-width",
    "gpt_oss-truncate", "hunyuan_v1_dense-alpha", "llama-dynamic", "llama-yarn-attention",
    "llama-yarn-mscale", "llama-yarn-mscale-one", "mpt-clip-scaled-by-width", "olmo3-yarn",
    "phi3-longrope-long",
    // parts that other goldens have in other company: biases, layers that are left out, sizes
    "ernie4_5_moe-bias", "falcon_h1-multipliers-no-bias", "falcon-new-decoder-no-bias",
    "hgrn2-convolved", "kimi_linear-as-wide", "lfm2_moe-plain", "nemotron_h-dense",
    "nemotron_h-latent-no-bias", "opt-no-bias", "qwen2_moe-dense-layer", "qwen3_next-dense-layer",
    "recurrent_gemma-wide-heads", "smollm3-four-layers", "starcoder2-no-bias",
    "stripedhyena-groups"};

std::vector<std::string> compiled_goldens() {
  std::vector<std::string> names = golden_names();
  for (const char *name : kSameCode)
    std::erase(names, name);
  return names;
}

TEST(Goldens, LeftOutAreThere) {
  EXPECT_EQ(golden_names().size(), compiled_goldens().size() + std::size(kSameCode));
}

INSTANTIATE_TEST_SUITE_P(All, Families, testing::ValuesIn(compiled_goldens()),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

} // namespace
} // namespace quern::conformance
