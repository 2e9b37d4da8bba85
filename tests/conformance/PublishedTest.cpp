// Tests that `quern plan` of published models' configs, alone, says what their descriptions come
// to: weights, state a slot and a token, each by its formula. The configs, in `published`, were
// written from these descriptions.
#include "tests/conformance/Programs.h"

#include <algorithm>
#include <cstdint>

namespace quern::conformance {
namespace {

/// Numbers of a model's weights: those that linears and embeddings multiply with or look up keep
/// the type that the files have them in, the few others are float32.
struct Weights {
  uint64_t matrices = 0;
  uint64_t others = 0;

  Weights operator+(const Weights &o) const { return {matrices + o.matrices, others + o.others}; }
  Weights operator*(uint64_t n) const { return {n * matrices, n * others}; }
};

nlohmann::json plan(const std::string &name, const std::string &quant = "keep") {
  return done("quern", {"plan", QUERN_SOURCE_DIR "/tests/conformance/published/" + name + ".json",
                        "--kv", "f16", "--max-tokens", "512", "--quant", quant, "--json"})
      .json();
}

/// What the weights take, and what places that begin at multiples of 64 bytes may add: nothing
/// beside the rest.
void expect_weights(const nlohmann::json &plan, const Weights &weights, double matrix_bytes) {
  const auto bytes = static_cast<uint64_t>(matrix_bytes * static_cast<double>(weights.matrices)) +
                     4 * weights.others;
  EXPECT_GE(plan["weights"], bytes);
  EXPECT_LE(plan["weights"], bytes + 16'384);
}

constexpr uint64_t kF32 = 4, kF16 = 2;

/// A convolution's last inputs, and S, of Mamba-2 and the delta rule.
uint64_t state(uint64_t heads, uint64_t keys, uint64_t values, uint64_t conv, uint64_t kernel) {
  return kF32 * (heads * keys * values + conv * (kernel - 1));
}

/// The weights of a Mamba-2 mixer: in_proj makes z, x, B, C and dt.
Weights mamba2(uint64_t hidden, uint64_t heads, uint64_t head_dim, uint64_t state,
               uint64_t groups) {
  const uint64_t inner = heads * head_dim, conv = inner + 2 * groups * state;
  return {hidden * (inner + conv + heads) + inner * hidden,
          conv * 4 + conv + 3 * heads + inner}; // filter and bias; dt_bias, A and D; norm
}

/// A whole model of these. The head is the embedding.
Weights mamba2_model(uint64_t hidden, uint64_t layers) {
  const uint64_t vocab = 50'288; // 50277, padded to a multiple of 16
  return Weights{vocab * hidden, hidden} +
         (mamba2(hidden, 2 * hidden / 64, 64, 128, 1) + Weights{0, hidden}) * layers;
}

TEST(Published, Mamba2Of2700M) {
  const auto p = plan("mamba2-2.7b");
  const uint64_t hidden = 2560, layers = 64, heads = 2 * hidden / 64, keys = 128;
  // The config says no type, so float32 is taken.
  expect_weights(p, mamba2_model(hidden, layers), kF32);
  EXPECT_EQ(p["state_per_slot"], layers * state(heads, keys, 64, heads * 64 + 2 * keys, 4));
  EXPECT_EQ(p["state_per_token"], 0);
}

/// The weights of a Mamba mixer, without norms.
Weights mamba(uint64_t hidden, uint64_t inner, uint64_t keys, uint64_t rank) {
  return {hidden * 2 * inner + inner * (rank + 2 * keys) + rank * inner + inner * hidden,
          inner * 4 + inner + inner + inner * keys + inner};
}

/// Queries and what they become, and as many keys and values.
Weights attention(uint64_t hidden, uint64_t kv) {
  return {2 * hidden * hidden + 2 * kv * hidden, 0};
}

Weights jamba_mini() {
  const uint64_t hidden = 4096, mlp = 14'336, keys = 16, rank = 256, vocab = 65'536;
  // Of 32 layers attention is in every eighth; experts are in every second.
  const Weights mixer = mamba(hidden, 2 * hidden, keys, rank) + Weights{0, rank + 2 * keys};
  const Weights dense = {3 * hidden * mlp, 0}, experts = dense * 16 + Weights{16 * hidden, 0};
  return Weights{2 * vocab * hidden, hidden} + mixer * 28 + attention(hidden, 8 * 128) * 4 +
         (dense + experts) * 16 + Weights{0, 2 * hidden} * 32;
}

TEST(Published, JambaMini) {
  const auto p = plan("jamba-mini");
  const uint64_t inner = 2 * 4096, keys = 16, kv = 8 * 128;
  expect_weights(p, jamba_mini(), 2);
  EXPECT_EQ(p["state_per_slot"], 28 * state(1, keys, inner, inner, 4));
  EXPECT_EQ(p["state_per_token"], 4 * 2 * kv * kF16);
}

Weights nemotron_h() {
  const uint64_t hidden = 4096, mlp = 21'504, vocab = 131'072;
  // 24 mixers, 24 MLPs without a gate and 4 attentions, one a layer.
  return Weights{2 * vocab * hidden, hidden} + mamba2(hidden, 128, 64, 128, 8) * 24 +
         Weights{2 * hidden * mlp, 0} * 24 + attention(hidden, 8 * 128) * 4 +
         Weights{0, hidden} * 52;
}

TEST(Published, NemotronHOf8B) {
  const auto p = plan("nemotron-h-8b");
  const uint64_t kv = 8 * 128;
  expect_weights(p, nemotron_h(), 2);
  EXPECT_EQ(p["state_per_slot"], 24 * state(128, 128, 64, 128 * 64 + 2 * 8 * 128, 4));
  EXPECT_EQ(p["state_per_token"], 4 * 2 * kv * kF16);
}

// Nine layers share the weights of two blocks: these take the memory of two. Each has keys and
// values of its own.
Weights zamba2() {
  const uint64_t hidden = 2560, wide = 2 * hidden, mlp = 10'240, rank = 128, vocab = 32'000;
  const Weights block = {3 * wide * wide + wide * hidden + 3 * hidden * mlp, wide + hidden};
  const Weights of_each = {hidden * hidden + rank * hidden + 2 * mlp * rank, 0};
  return Weights{vocab * hidden, hidden} +
         (mamba2(hidden, 80, 64, 64, 1) + Weights{0, hidden}) * 54 + block * 2 + of_each * 9;
}

TEST(Published, Zamba2Of2700M) {
  const auto p = plan("zamba2-2.7b");
  const uint64_t wide = 2 * 2560;
  expect_weights(p, zamba2(), 2);
  EXPECT_EQ(p["state_per_slot"], 54 * state(80, 64, 64, 80 * 64 + 2 * 64, 4));
  EXPECT_EQ(p["state_per_token"], 9 * 2 * wide * kF16);
}

Weights deepseek_v3() {
  const uint64_t hidden = 7168, heads = 128, latent = 512, rotary = 64, plain = 128, queries = 1536;
  const uint64_t vocab = 129'280;
  const Weights attention = {queries * hidden + heads * (plain + rotary) * queries +
                                 (latent + rotary) * hidden + heads * 2 * plain * latent +
                                 heads * plain * hidden,
                             queries + latent};
  const Weights dense = {3 * hidden * 18'432, 0}, expert = {3 * hidden * 2048, 0};
  // 256 experts and a shared one, the router and what corrects its scores.
  const Weights experts = expert * 257 + Weights{256 * hidden, 256};
  return Weights{2 * vocab * hidden, hidden} + (attention + Weights{0, 2 * hidden}) * 61 +
         dense * 3 + experts * 58;
}

TEST(Published, DeepSeekV3) {
  const auto p = plan("deepseek-v3");
  const uint64_t latent = 512, rotary = 64;
  expect_weights(p, deepseek_v3(), 2);
  EXPECT_EQ(p["state_per_slot"], 0);
  EXPECT_EQ(p["state_per_token"], 61 * (latent + rotary) * kF16); // not 128 heads' keys and values
}

/// Of GPT-OSS's experts, the numbers that are MXFP4.
constexpr uint64_t kGptOssExperts = uint64_t{24} * 32 * 3 * 2880 * 2880;

/// What is not.
Weights gpt_oss_rest() {
  const uint64_t hidden = 2880, q = 64 * 64, kv = 8 * 64, vocab = 201'088;
  const Weights attention = {hidden * (q + 2 * kv) + q * hidden, q + 2 * kv + hidden + 64};
  const Weights router = {32 * hidden, 32}, biases = {0, 32 * (2 * hidden + hidden)};
  return Weights{2 * vocab * hidden, hidden} +
         (attention + router + biases + Weights{0, 2 * hidden}) * 24;
}

TEST(Published, GptOssOf20B) {
  const auto p = plan("gpt-oss-20b");
  const uint64_t kv = 8 * 64;
  // The config says no type for what is not of MXFP4. Of that, 32 numbers are 32 codes of 4 bits
  // and the exponent of their scale.
  EXPECT_EQ(kGptOssExperts % 32, 0U);
  auto without = p;
  without["weights"] = p["weights"].get<uint64_t>() - kGptOssExperts / 32 * (16 + 1);
  expect_weights(without, gpt_oss_rest(), kF32);
  // Every second layer slides over 128 positions: pages of 64 for a step's tokens and what the
  // first of them sees, and one more, as they may begin anywhere.
  const uint64_t page = 64 * 12 * 2 * kv * kF16;
  EXPECT_EQ(p["state_per_slot"], ((127 + 512 + 63) / 64 + 1) * page);
  EXPECT_EQ(p["state_per_token"], 12 * 2 * kv * kF16);
}

Weights qwen3_next() {
  const uint64_t hidden = 2048, keys = 16 * 128, values = 32 * 128, q = 16 * 256, kv = 2 * 256;
  const uint64_t vocab = 151'936;
  // Queries come with a gate; queries and keys are normed.
  const Weights attention = {hidden * (2 * q + 2 * kv) + q * hidden, 2 * 256};
  const Weights delta = {hidden * (2 * keys + 2 * values + 2 * 32) + values * hidden,
                         (2 * keys + values) * 4 + 2 * 32 + 128};
  // 512 experts and a shared one; its gate, one column, takes a panel of 16.
  const Weights experts = {513 * 3 * hidden * 512 + 512 * hidden + 16 * hidden, 0};
  return Weights{2 * vocab * hidden, hidden} + attention * 12 + delta * 36 +
         (experts + Weights{0, 2 * hidden}) * 48;
}

TEST(Published, Qwen3NextOf80B) {
  const auto p = plan("qwen3-next-80b");
  const uint64_t keys = 16 * 128, values = 32 * 128, kv = 2 * 256;
  expect_weights(p, qwen3_next(), 2);
  EXPECT_EQ(p["state_per_slot"], 36 * state(32, 128, 128, 2 * keys + values, 4));
  EXPECT_EQ(p["state_per_token"], 12 * 2 * kv * kF16);
}

Weights mamba_model() {
  const uint64_t hidden = 2048, vocab = 50'280;
  return Weights{vocab * hidden, hidden} +
         (mamba(hidden, 2 * hidden, 16, 128) + Weights{0, hidden}) * 48;
}

Weights rwkv7() {
  const uint64_t hidden = 2048, vocab = 65'536, layers = 24;
  // Of decay, rate, gate and values; the first layer mixes no values.
  const uint64_t ranks = layers * (96 + 96 + 256) + (layers - 1) * 64;
  // Six mixes and one, three vectors of keys, two biases and one, three norms.
  const uint64_t vectors = layers * (6 + 1 + 3 + 2 + 3 * 2) + layers - 1 + 2 * 2;
  return {2 * vocab * hidden + layers * 12 * hidden * hidden + 2 * ranks * hidden,
          vectors * hidden};
}

/// Experts and their router.
Weights experts(uint64_t hidden, uint64_t number, uint64_t wide) {
  return {number * 3 * wide * hidden + number * hidden, 0};
}

Weights granite_h_tiny() {
  const uint64_t hidden = 1536, vocab = 100'352;
  const Weights shared = {3 * 1024 * hidden, 0};
  return Weights{vocab * hidden, hidden} + mamba2(hidden, 48, 64, 128, 1) * 36 +
         attention(hidden, 4 * 128) * 4 +
         (experts(hidden, 64, 512) + shared + Weights{0, 2 * hidden}) * 40;
}

Weights qwen3_moe() {
  const uint64_t hidden = 2048, q = 32 * 128, kv = 4 * 128, vocab = 151'936;
  const Weights layer = {hidden * (2 * q + 2 * kv), 2 * 128 + 2 * hidden};
  return Weights{2 * vocab * hidden, hidden} + (layer + experts(hidden, 128, 768)) * 48;
}

Weights olmoe() {
  const uint64_t hidden = 2048, vocab = 50'304;
  return Weights{2 * vocab * hidden, hidden} +
         (attention(hidden, hidden) + experts(hidden, 64, 1024) + Weights{0, 4 * hidden}) * 16;
}

/// What a model's weights come to in int4, in bits each.
struct InInt4 {
  const char *model;
  Weights weights;
  double bits = 4.6;
};

class PublishedInInt4 : public testing::TestWithParam<InInt4> {};

// Tests that the whole model is within its bits, and takes what there is room for.
TEST_P(PublishedInInt4, IsWithinItsBits) {
  const auto &[model, weights, most] = GetParam();
  const auto number = static_cast<double>(weights.matrices + weights.others);
  const double bits = 8 * plan(model, "int4")["weights"].get<double>() / number;
  EXPECT_LE(bits, most);
  EXPECT_GE(bits, most - 0.1);
}

INSTANTIATE_TEST_SUITE_P(
    All, PublishedInInt4,
    testing::Values(InInt4{"mamba2-2.7b", mamba2_model(2560, 64)},
                    InInt4{"jamba-mini", jamba_mini()}, InInt4{"nemotron-h-8b", nemotron_h()},
                    InInt4{"zamba2-2.7b", zamba2()}, InInt4{"deepseek-v3", deepseek_v3()},
                    InInt4{"gpt-oss-20b", gpt_oss_rest() + Weights{kGptOssExperts, 0}},
                    InInt4{"qwen3-next-80b", qwen3_next()}, InInt4{"rwkv7-1.5b", rwkv7()},
                    InInt4{"granite-4-h-tiny", granite_h_tiny()},
                    InInt4{"qwen3-30b-a3b", qwen3_moe()}, InInt4{"olmoe-1b-7b", olmoe()},
                    // Its A, 16 numbers a channel in float32, is 0.06 of this.
                    InInt4{"mamba-1.4b", mamba_model(), 4.63},
                    // Its embedding, three tenths of it, is int8.
                    InInt4{"mamba2-130m", mamba2_model(768, 24), 5.82}),
    [](const auto &info) {
      std::string name = info.param.model;
      std::ranges::replace_if(name, [](char c) { return c == '-' || c == '.'; }, '_');
      return name;
    });

} // namespace
} // namespace quern::conformance
