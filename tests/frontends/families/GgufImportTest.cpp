// Importing GGUF: the goldens' models, converted as llama.cpp's converters would, give the same
// logits.
#include "frontends/Import.h"
#include "ir/quern/QuernDialect.h"
#include "tests/frontends/families/Golden.h"
#include "tests/frontends/families/ModelFolder.h"
#include "tests/frontends/gguf/GgufWriter.h"
#include "tests/support/Mutate.h"

#include "mlir/IR/MLIRContext.h"

#include <absl/strings/str_replace.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace quern {
namespace {

using gguf::GgufWriter;
using nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

/// Hugging Face's name of a tensor in GGUF.
std::string gguf_name(const std::string &name) {
  return absl::StrReplaceAll(name, {{"model.layers.", "blk."},
                                    {"model.embed_tokens", "token_embd"},
                                    {"model.norm", "output_norm"},
                                    {"lm_head", "output"},
                                    {"self_attn.q_proj", "attn_q"},
                                    {"self_attn.k_proj", "attn_k"},
                                    {"self_attn.v_proj", "attn_v"},
                                    {"self_attn.o_proj", "attn_output"},
                                    {"self_attn.q_norm", "attn_q_norm"},
                                    {"self_attn.k_norm", "attn_k_norm"},
                                    {"input_layernorm", "attn_norm"},
                                    {"post_attention_layernorm", "ffn_norm"},
                                    {"mlp.gate_proj", "ffn_gate"},
                                    {"mlp.up_proj", "ffn_up"},
                                    {"mlp.down_proj", "ffn_down"}});
}

/// Puts the rows of each head from halves into neighbouring pairs, as converters do for llama.
std::vector<float> pair_rows(const std::vector<float> &values, int64_t rows, int64_t heads) {
  const int64_t cols = static_cast<int64_t>(values.size()) / rows, dim = rows / heads;
  std::vector<float> paired(values.size());
  for (int64_t row = 0; row < rows; ++row) {
    int64_t in_head = row % dim;
    int64_t from = row - in_head + in_head % 2 * (dim / 2) + in_head / 2;
    std::copy_n(values.begin() + from * cols, cols, paired.begin() + row * cols);
  }
  return paired;
}

GgufWriter &f32(GgufWriter &writer, const std::string &key, double value) {
  return writer.key(key, 6, GgufWriter::raw(static_cast<float>(value)));
}

/// A golden as a GGUF file; `more` adds keys and tensors.
GgufWriter convert(const json &golden, const std::function<void(GgufWriter &)> &more = {}) {
  const json &config = golden["config"];
  std::string arch = config["model_type"];
  GgufWriter writer;
  writer.string("general.architecture", arch).string("general.type", "model");
  auto u32 = [&](const char *key, const char *from) {
    writer.u32(arch + "." + key, config[from].get<uint32_t>());
  };
  u32("block_count", "num_hidden_layers");
  u32("context_length", "max_position_embeddings");
  u32("embedding_length", "hidden_size");
  u32("feed_forward_length", "intermediate_size");
  u32("attention.head_count", "num_attention_heads");
  u32("attention.head_count_kv", "num_key_value_heads");
  if (config.contains("head_dim")) {
    u32("attention.key_length", "head_dim");
    u32("attention.value_length", "head_dim");
    u32("rope.dimension_count", "head_dim");
  }
  f32(writer, arch + ".attention.layer_norm_rms_epsilon", config["rms_norm_eps"]);
  f32(writer, arch + ".rope.freq_base", 10000);
  for (const auto &[name, tensor] : golden["tensors"].items()) {
    std::vector<uint64_t> shape = tensor["shape"];
    uint64_t count = 1;
    for (uint64_t n : shape)
      count *= n;
    std::vector<float> values(count);
    weights::generate({.seed = 1,
                       .name = name,
                       .scale = tensor["spread"].get<float>(),
                       .offset = tensor["mean"].get<float>()},
                      0, static_cast<int64_t>(count), values.data());
    for (const char *kind : {"q_proj", "k_proj"})
      if (arch == "llama" && name.find(kind) != std::string::npos)
        values = pair_rows(values, static_cast<int64_t>(shape[0]),
                           config[*kind == 'q' ? "num_attention_heads" : "num_key_value_heads"]);
    std::reverse(shape.begin(), shape.end());
    writer.tensor(gguf_name(name), shape, 0,
                  std::string(reinterpret_cast<const char *>(values.data()), count * 4));
  }
  if (more)
    more(writer);
  return writer;
}

class GgufImport : public testing::Test {
protected:
  void expect_same(const std::string &name, const std::function<void(GgufWriter &)> &more = {}) {
    SCOPED_TRACE(name);
    json golden = read_golden(name);
    folder_.write("m.gguf", convert(golden, more).bytes());
    mlir::MLIRContext context;
    auto model = importModel(folder_.path("m.gguf"), {}, context);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(model->vocab, 23);
    expect_logits(*model->module, golden);
  }
  std::vector<Problem> problems(const std::function<void(GgufWriter &)> &more = {}) {
    folder_.write("m.gguf", convert(read_golden("llama"), more).bytes());
    return checkModel(folder_.path("m.gguf"));
  }
  ModelFolder folder_;
};

TEST_F(GgufImport, GivesTransformersLogits) {
  expect_same("llama");
  expect_same("llama-tied-bias");
  expect_same("qwen2");
  expect_same("qwen3");
}

TEST_F(GgufImport, ScalesRope) {
  expect_same("llama-old-keys", [](GgufWriter &w) {
    w.string("llama.rope.scaling.type", "linear");
    f32(w, "llama.rope.scaling.factor", 2.5);
  });
  expect_same("llama-yarn", [](GgufWriter &w) {
    w.string("llama.rope.scaling.type", "yarn");
    f32(w, "llama.rope.scaling.factor", 4);
    w.u32("llama.rope.scaling.original_context_length", 16);
  });
  // Converters write Llama 3.1's scaling as a tensor of factors.
  expect_same("llama-llama3", [](GgufWriter &w) {
    std::string factors;
    for (double i : {0, 1}) {
      double turns = 16 * std::pow(10000, -i / 2) / (2 * M_PI);
      double keep = std::clamp((turns - 1) / 3, 0.0, 1.0);
      factors += GgufWriter::raw(static_cast<float>(1 / ((1 - keep) / 8 + keep)));
    }
    w.tensor("rope_freqs.weight", {2}, 0, factors);
  });
}

TEST_F(GgufImport, ListsProblems) {
  EXPECT_THAT(problems(), IsEmpty());
  EXPECT_THAT(problems([](GgufWriter &w) { w.u32("llama.expert_count", 8); }),
              ElementsAre(Field(&Problem::where, "llama.expert_count")));
  EXPECT_THAT(problems([](GgufWriter &w) { w.u32("llama.hidden_trick", 8); }),
              ElementsAre(Field(&Problem::where, "llama.hidden_trick")));
  EXPECT_THAT(problems([](GgufWriter &w) { w.tensor("blk.0.extra.weight", {2}, 0, "12345678"); }),
              ElementsAre(Field(&Problem::where, "blk.0.extra.weight")));
  EXPECT_THAT(problems([](GgufWriter &w) { w.tensor("rope_freqs.weight", {1}, 0, "1234"); }),
              ElementsAre(Field(&Problem::where, "rope_freqs.weight")));
  EXPECT_THAT(problems([](GgufWriter &w) { w.string("tokenizer.ggml.model", "magic"); }),
              ElementsAre(Field(&Problem::where, "tokenizer")));
}

TEST_F(GgufImport, RefusesWhatIsNoModel) {
  auto refused = [&](const GgufWriter &writer, const std::string &where) {
    folder_.write("m.gguf", writer.bytes());
    EXPECT_THAT(checkModel(folder_.path("m.gguf")), ElementsAre(Field(&Problem::where, where)));
  };
  refused(GgufWriter(), "general.architecture");
  refused(GgufWriter().string("general.architecture", "whale"), "general.architecture");
  refused(GgufWriter().string("general.architecture", "llama").string("general.type", "adapter"),
          "general.type");
  folder_.write("m.gguf", "GGUF");
  EXPECT_THAT(checkModel(folder_.path("m.gguf")), testing::SizeIs(1));
}

// Tests that a type Quern does not read is named with its tensor.
TEST_F(GgufImport, NamesUnreadTypes) {
  json golden = read_golden("llama");
  golden["tensors"].erase("model.norm.weight");
  folder_.write("m.gguf", convert(golden, [](GgufWriter &w) {
                            w.tensor("output_norm.weight", {24}, 26, std::string(96, '\0'));
                          }).bytes());
  EXPECT_THAT(checkModel(folder_.path("m.gguf")),
              ElementsAre(testing::AllOf(Field(&Problem::where, "output_norm.weight"),
                                         Field(&Problem::what, HasSubstr("I32")))));
}

// Tests that no damage to a file crashes: it is refused, or it is a model that verifies.
TEST_F(GgufImport, SurvivesDamage) {
  std::string bytes = convert(read_golden("llama"), [](GgufWriter &w) {
                        w.string("llama.rope.scaling.type", "yarn");
                        f32(w, "llama.rope.scaling.factor", 4);
                        w.tensor("rope_freqs.weight", {2}, 0, std::string(8, '?'));
                      }).bytes();
  // Damage the head, where the file says what it is; the weights may be anything.
  std::string head = bytes.substr(0, bytes.size() / 8), rest = bytes.substr(head.size());
  mlir::MLIRContext context;
  for (uint32_t i = 0; i < 300; ++i) {
    folder_.write("m.gguf", testing_support::mutate(head, i) + rest);
    auto model = importModel(folder_.path("m.gguf"), {}, context);
    if (!model.ok())
      EXPECT_NE(model.status().code(), absl::StatusCode::kInternal) << model.status();
  }
}

} // namespace
} // namespace quern
