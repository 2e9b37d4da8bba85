// Importing GGUF: the goldens' models, converted as llama.cpp's converters would, give the same
// logits.
#include "frontends/Import.h"
#include "frontends/families/Families.h"
#include "ir/quern/QuernDialect.h"
#include "tests/frontends/families/GgufConverter.h"
#include "tests/frontends/families/GgufRwkv.h"
#include "tests/frontends/families/Golden.h"
#include "tests/frontends/families/ModelFolder.h"
#include "tests/frontends/gguf/GgufWriter.h"
#include "tests/support/Mutate.h"

#include "mlir/IR/MLIRContext.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

namespace quern {
namespace {

using gguf::GgufWriter;
using nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAreArray;

class GgufImport : public testing::Test {
protected:
  using More = std::function<void(GgufWriter &)>; ///< adds keys and tensors

  /// A golden's model under the name of an architecture, that of its model_type if empty.
  void expect_same(const std::string &name, const std::string &architecture = "",
                   const More &more = {}) {
    SCOPED_TRACE(name);
    json golden = read_golden(name);
    write(golden, architecture, more);
    EXPECT_THAT(check_model(folder_.path("m.gguf")), IsEmpty());
    mlir::MLIRContext context;
    auto model = import_model(folder_.path("m.gguf"), {}, context);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(model->vocab, 23);
    const json &type = golden["config"]["model_type"];
    if (architecture.empty() && type != "mistral" && type != "mixtral")
      EXPECT_EQ(model->family, type.get<std::string>());
    expect_logits(*model->module, golden);
  }
  std::vector<Problem> problems(const More &more = {}, const std::string &name = "llama",
                                const std::string &architecture = "") {
    write(read_golden(name), architecture, more);
    return check_model(folder_.path("m.gguf"));
  }
  void write(const json &golden, const std::string &architecture, const More &more) {
    GgufWriter writer = to_gguf(golden, architecture);
    if (more)
      more(writer);
    folder_.write("m.gguf", writer.bytes());
  }
  ModelFolder folder_;
};

// Goldens whose models have a GGUF form in which llama.cpp computes the same.
constexpr const char *kConverted[] = {"llama",
                                      "llama-tied-bias",
                                      "llama-llama3",
                                      "llama-old-keys",
                                      "llama-dynamic",
                                      "llama-yarn",
                                      "mistral-no-window",
                                      "qwen2",
                                      "qwen3",
                                      "gemma",
                                      "gemma2-scaled-by-width",
                                      "gemma3-old-keys",
                                      "phi",
                                      "phi3-longrope",
                                      "phi3-longrope-long",
                                      "gpt2",
                                      "gpt_neox",
                                      "gpt_neox-sequential",
                                      "bloom",
                                      "mpt",
                                      "mpt-clip-scaled-by-width",
                                      "falcon",
                                      "falcon-new-decoder-no-bias",
                                      "falcon-new-decoder-one-norm",
                                      "stablelm",
                                      "stablelm-parallel-norms",
                                      "olmo",
                                      "olmo-clip",
                                      "olmo2",
                                      "olmo3",
                                      "olmo3-yarn",
                                      "smollm3-four-layers",
                                      "granite",
                                      "cohere",
                                      "cohere-norms",
                                      "cohere2",
                                      "starcoder2-no-window",
                                      "starcoder2-no-bias",
                                      "glm",
                                      "glm4",
                                      "nemotron",
                                      "exaone4-no-windows",
                                      "ernie4_5",
                                      "ernie4_5-bias",
                                      "hunyuan_v1_dense",
                                      "hunyuan_v1_dense-alpha",
                                      "mamba",
                                      "falcon_mamba-one-eps",
                                      "mamba2",
                                      "mixtral",
                                      "qwen2_moe",
                                      "qwen3_moe-norm",
                                      "olmoe",
                                      "granitemoe",
                                      "glm4_moe",
                                      "glm4_moe-groups",
                                      "dbrx",
                                      "minimax_m2",
                                      "gpt_oss-truncate",
                                      "jamba",
                                      "falcon_h1",
                                      "falcon_h1-multipliers-no-bias",
                                      "granitemoehybrid",
                                      "granitemoehybrid-rope",
                                      "granitemoehybrid-experts",
                                      "nemotron_h",
                                      "nemotron_h-latent-no-bias",
                                      "lfm2",
                                      "qwen3_next",
                                      "qwen3_5_text",
                                      "kimi_linear-as-wide",
                                      "deepseek_v2-dense",
                                      "deepseek_v2-yarn",
                                      "deepseek_v3-dense",
                                      "deepseek_v3-groups",
                                      "ernie4_5_moe",
                                      "hunyuan_v1_moe"};

class GgufGolden : public GgufImport, public testing::WithParamInterface<const char *> {};

TEST_P(GgufGolden, GivesTransformersLogits) { expect_same(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Converted, GgufGolden, testing::ValuesIn(kConverted),
                         [](const testing::TestParamInfo<const char *> &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(GgufGoldens, CoverEveryArchitecture) {
  std::set<std::string> covered = {"mistral3", "nemotron_h", "lfm2moe",        "qwen35moe", "rwkv6",
                                   "rwkv7", // below, and EncoderGoldenTest.cpp
                                   "bert",     "nomic-bert", "gemma-embedding"};
  for (const char *name : kConverted)
    covered.insert(gguf_architecture(read_golden(name)["config"]["model_type"]));
  EXPECT_THAT(std::vector<std::string>(absl::StrSplit(gguf_family_names(), ", ")),
              UnorderedElementsAreArray(covered));
}

// Ministral 3 is Llama with YaRN's keys, and queries scaled beyond the original context.
TEST_F(GgufImport, ReadsMinistral3) {
  expect_same("llama-yarn-mscale-one", "mistral3");
  const auto temperature = [](GgufWriter &w) {
    add_f32(w, "mistral3.attention.temperature_scale", 0.1);
  };
  EXPECT_THAT(problems(temperature, "llama-yarn", "mistral3"),
              ElementsAre(Field(&Problem::where, "mistral3.attention.temperature_scale")));
  EXPECT_THAT(check_model(folder_.path("m.gguf"), {.context = 16}), IsEmpty());
}

// The mixes of RWKV's layers are one tensor in GGUF, and what RWKV-6 adds to the stream is scaled
// down with it.
TEST_F(GgufImport, ReadsRwkv) {
  for (const char *name : {"rwkv6", "names/rwkv7-package"}) {
    SCOPED_TRACE(name);
    const json golden = read_golden(name);
    folder_.write("m.gguf", rwkv_to_gguf(golden).bytes());
    EXPECT_THAT(check_model(folder_.path("m.gguf")), IsEmpty());
    mlir::MLIRContext context;
    auto model = import_model(folder_.path("m.gguf"), {}, context);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(model->family, golden["config"]["model_type"].get<std::string>());
    expect_logits(*model->module, golden);
  }
}

// EXAONE 4's 32B model, which llama.cpp knows by its 64 layers, has windows.
TEST_F(GgufImport, WindowsExaone4By64Layers) {
  for (const uint64_t layers : {4, 64}) {
    json golden = read_golden("exaone4");
    golden["config"]["num_hidden_layers"] = layers;
    golden["config"]["layer_types"] = json::array();
    json tensors;
    for (uint64_t i = 0; i < layers; ++i) {
      golden["config"]["layer_types"].push_back(i % 4 == 3 ? "full_attention"
                                                           : "sliding_attention");
      for (const auto &[name, tensor] : golden["tensors"].items())
        tensors[absl::StrReplaceAll(name, {{".0.", absl::StrCat(".", i, ".")}})] = tensor;
    }
    golden["tensors"] = tensors;
    write(golden, "", {});
    mlir::MLIRContext context;
    auto model = import_model(folder_.path("m.gguf"), {}, context);
    ASSERT_TRUE(model.ok()) << model.status();
    uint64_t windows = 0, rotated = 0;
    model->module->walk([&](AttentionOp op) { windows += op.getWindow() != 0; });
    model->module->walk([&](RopeOp) { ++rotated; });
    EXPECT_EQ(windows, layers == 64 ? 48 : 0);
    EXPECT_EQ(rotated, layers == 64 ? 2 * 48 : 2 * 4);
  }
}

// Projections may be stored fused in any architecture; llama.cpp's converter does so if asked to.
TEST_F(GgufImport, ReadsFusedProjections) {
  json golden = read_golden("qwen2");
  folder_.write("m.gguf", to_gguf(golden, "", {.fuse_qkv = true}).bytes());
  mlir::MLIRContext context;
  auto model = import_model(folder_.path("m.gguf"), {}, context);
  ASSERT_TRUE(model.ok()) << model.status();
  expect_logits(*model->module, golden);
}

// Nemotron-H is two architectures, of which one has experts.
TEST_F(GgufImport, ReadsNemotronHWithoutExperts) { expect_same("nemotron_h-dense", "nemotron_h"); }

// What the other forms of a file leave as it is: rows of queries, keys, values and gates that lie
// together, latents that are expanded by one tensor, and dimensions of 1 that are dropped.
TEST_F(GgufImport, ReadsFilesOfOtherConverters) {
  const std::pair<const char *, GgufForm> cases[] = {
      {"qwen3_next", {.fused_qkvz = true}},
      {"deepseek_v2-yarn", {.unsplit_latent = true}},
      {"kimi_linear-as-wide", {.drop_ones = true}},
      {"granitemoehybrid", {.drop_ones = true}},
  };
  for (const auto &[name, form] : cases) {
    SCOPED_TRACE(name);
    json golden = read_golden(name);
    folder_.write("m.gguf", to_gguf(golden, "", form).bytes());
    EXPECT_THAT(check_model(folder_.path("m.gguf")), IsEmpty());
    mlir::MLIRContext context;
    auto model = import_model(folder_.path("m.gguf"), {}, context);
    ASSERT_TRUE(model.ok()) << model.status();
    expect_logits(*model->module, golden);
  }
}

// Groups of DeepSeek-V2's experts count their best one, which llama.cpp does not do: it is said.
TEST_F(GgufImport, SaysHowDeepSeekV2ChoosesGroups) {
  write(read_golden("deepseek_v2-groups"), "", {});
  mlir::MLIRContext context;
  auto model = import_model(folder_.path("m.gguf"), {}, context);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_THAT(model->notes, Contains(HasSubstr("llama.cpp counts the two best")));
  expect_logits(*model->module, read_golden("deepseek_v2-groups"));
}

// Architectures that are others' with experts, here in no layer.
TEST_F(GgufImport, ReadsArchitecturesWithExperts) {
  for (const auto &[name, architecture] :
       {std::pair("lfm2", "lfm2moe"), std::pair("qwen3_5_text", "qwen35moe")}) {
    const std::string in = absl::StrCat(architecture, ".");
    expect_same(name, architecture, [&](GgufWriter &w) {
      w.u32(in + "expert_count", 4)
          .u32(in + "expert_used_count", 2)
          .u32(in + "expert_group_used_count", 2)
          .u32(in + "expert_gating_func", 2)
          .u32(in + "leading_dense_block_count", 3);
    });
  }
}

// Without expert_feed_forward_length, the width of experts is what their tensors have.
TEST_F(GgufImport, TakesTheWidthOfExpertsFromTheirTensors) {
  json golden = read_golden("qwen2_moe");
  ASSERT_NE(golden["config"]["moe_intermediate_size"], golden["config"]["intermediate_size"]);
  folder_.write("m.gguf", to_gguf(golden, "", {.no_expert_width = true}).bytes());
  EXPECT_THAT(check_model(folder_.path("m.gguf")), IsEmpty());
  mlir::MLIRContext context;
  auto model = import_model(folder_.path("m.gguf"), {}, context);
  ASSERT_TRUE(model.ok()) << model.status();
  expect_logits(*model->module, golden);
}

// Layers behind the last, which guess further tokens, are counted as layers and left out.
TEST_F(GgufImport, LeavesOutLayersThatGuessFurtherTokens) {
  json golden = read_golden("glm4_moe-groups");
  ASSERT_EQ(golden["config"]["num_hidden_layers"], 2);
  golden["config"]["num_hidden_layers"] = 3;
  const More further = [](GgufWriter &w) {
    w.u32("glm4moe.nextn_predict_layers", 1)
        .tensor("blk.2.nextn.enorm.weight", {2}, 0, std::string(8, '\0'));
  };
  write(golden, "", further);
  mlir::MLIRContext context;
  auto model = import_model(folder_.path("m.gguf"), {}, context);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_THAT(model->notes, Contains(HasSubstr("blk.2.* guesses further tokens")));
  expect_logits(*model->module, golden);
  write(golden, "", [&](GgufWriter &w) {
    further(w);
    w.tensor("blk.3.nextn.enorm.weight", {2}, 0, std::string(8, '\0'));
  });
  EXPECT_THAT(check_model(folder_.path("m.gguf")),
              ElementsAre(Field(&Problem::where, "blk.3.nextn.enorm.weight")));
}

// What is usually one number may be a list of one a layer. Lists of the same number are that
// number.
TEST_F(GgufImport, ReadsListsOfOneNumber) {
  for (const char *name : {"llama", "qwen2", "gemma2-scaled-by-width", "phi3-longrope"}) {
    SCOPED_TRACE(name);
    json golden = read_golden(name);
    folder_.write("m.gguf", to_gguf(golden, "", {.lists = true}).bytes());
    EXPECT_THAT(check_model(folder_.path("m.gguf")), IsEmpty());
    mlir::MLIRContext context;
    auto model = import_model(folder_.path("m.gguf"), {}, context);
    ASSERT_TRUE(model.ok()) << model.status();
    expect_logits(*model->module, golden);
  }
}

// Layers may differ in their kv heads and in their MLP's width.
TEST_F(GgufImport, ReadsLayersThatDiffer) {
  for (const bool fuse_qkv : {false, true}) {
    json golden = read_golden("llama");
    folder_.write("m.gguf",
                  to_gguf(golden, "", {.fuse_qkv = fuse_qkv, .wide_layer = true}).bytes());
    EXPECT_THAT(check_model(folder_.path("m.gguf")), IsEmpty());
    mlir::MLIRContext context;
    auto model = import_model(folder_.path("m.gguf"), {}, context);
    ASSERT_TRUE(model.ok()) << model.status();
    std::set<int64_t> kv_heads;
    model->module->walk(
        [&](DeclareStateOp state) { kv_heads.insert(state.getType().getShape()[0]); });
    EXPECT_THAT(kv_heads, ElementsAre(2, 6));
    expect_logits(*model->module, golden);
  }
}

// What differs by layer and cannot is refused in those words, as are lists of other lengths.
TEST_F(GgufImport, NamesWhatDiffersByLayer) {
  const auto differs = testing::AllOf(Field(&Problem::where, "granite.embedding_scale"),
                                      Field(&Problem::what, HasSubstr("differs by layer: 1, 2, 1")),
                                      Field(&Problem::hint, HasSubstr("the same in all layers")));
  json golden = read_golden("granite");
  ASSERT_EQ(golden["config"]["num_hidden_layers"], 3);
  golden["config"].erase("embedding_multiplier");
  write(golden, "", [](GgufWriter &w) { w.array<float>("granite.embedding_scale", 6, {1, 2, 1}); });
  EXPECT_THAT(check_model(folder_.path("m.gguf")), ElementsAre(differs));
  write(golden, "", [](GgufWriter &w) { w.array<float>("granite.embedding_scale", 6, {1, 1}); });
  EXPECT_THAT(check_model(folder_.path("m.gguf")),
              ElementsAre(Field(&Problem::what, HasSubstr("2 entries for 3 layers"))));
}

// Numbers may be of another type where they are the same number.
TEST_F(GgufImport, ReadsNumbersOfOtherTypes) {
  EXPECT_THAT(problems([](GgufWriter &w) {
                w.key("llama.vocab_size", 6, GgufWriter::raw(23.0f));
                w.key("llama.expert_count", 11, GgufWriter::raw<int64_t>(0));
                w.key("llama.attention.causal", 4, GgufWriter::raw<uint32_t>(1));
              }),
              IsEmpty());
  EXPECT_THAT(problems([](GgufWriter &w) { w.key("llama.vocab_size", 6, GgufWriter::raw(23.5f)); }),
              ElementsAre(Field(&Problem::what, HasSubstr("no whole number"))));
}

// What is not llama.cpp's is not ours: windows where its graph has none, and YaRN's keys where it
// reads none.
TEST_F(GgufImport, PassesOverWhatLlamaCppDoesNotRead) {
  expect_same("llama-yarn", "", [](GgufWriter &w) {
    w.u32("llama.attention.sliding_window", 4);
    add_f32(w, "llama.rope.scaling.yarn_beta_fast", 7);
  });
  expect_same("granite", "", [](GgufWriter &w) {
    w.key("granite.rope.scaling.finetuned", 7, std::string(1, '\1'));
  });
}

TEST_F(GgufImport, ListsProblems) {
  EXPECT_THAT(problems(), IsEmpty());
  EXPECT_THAT(problems([](GgufWriter &w) { w.u32("llama.expert_used_count", 2); }),
              ElementsAre(Field(&Problem::where, "llama.expert_used_count")));
  // A mixture of experts that the file does not hold.
  EXPECT_THAT(problems([](GgufWriter &w) {
                w.u32("llama.expert_count", 8).u32("llama.expert_used_count", 2);
              }),
              Contains(Field(&Problem::where, "blk.0.ffn_gate_exps.weight")));
  EXPECT_THAT(problems(
                  [](GgufWriter &w) {
                    w.key("qwen2moe.expert_gating_func", 4, GgufWriter::raw<uint32_t>(4));
                  },
                  "qwen2_moe"),
              ElementsAre(Field(&Problem::where, "qwen2moe.expert_gating_func")));
  EXPECT_THAT(problems([](GgufWriter &w) { w.u32("llama.hidden_trick", 8); }),
              ElementsAre(Field(&Problem::where, "llama.hidden_trick")));
  EXPECT_THAT(problems([](GgufWriter &w) { w.tensor("blk.0.extra.weight", {2}, 0, "12345678"); }),
              ElementsAre(Field(&Problem::where, "blk.0.extra.weight")));
  EXPECT_THAT(problems([](GgufWriter &w) { w.tensor("rope_freqs.weight", {1}, 0, "1234"); }),
              ElementsAre(Field(&Problem::where, "rope_freqs.weight")));
  EXPECT_THAT(problems([](GgufWriter &w) { w.string("tokenizer.ggml.model", "magic"); }),
              ElementsAre(Field(&Problem::where, "tokenizer")));
}

// Tests that a file may say that it has no vocabulary, as llama.cpp spells it.
TEST_F(GgufImport, TakesFilesWithoutVocabulary) {
  for (const char *word : {"none", "no_vocab"}) {
    EXPECT_THAT(problems([&](GgufWriter &w) { w.string("tokenizer.ggml.model", word); }),
                IsEmpty());
    mlir::MLIRContext context;
    auto model = import_model(folder_.path("m.gguf"), {}, context);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_TRUE(model->tokenizer.empty());
    EXPECT_THAT(model->notes, ElementsAre(HasSubstr("no tokenizer")));
  }
}

// Tests that the rows of the embedding are the vocabulary, whatever vocab_size says of the model
// that this one began as.
TEST_F(GgufImport, TakesTheEmbeddingsRows) {
  for (const char *name : {"llama", "mamba2"}) {
    const std::string key = std::string(name) + ".vocab_size";
    write(read_golden(name), "", [&](GgufWriter &w) { w.u32(key, 22); });
    mlir::MLIRContext context;
    auto model = import_model(folder_.path("m.gguf"), {}, context);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(model->vocab, 23);
    EXPECT_THAT(model->notes, testing::Contains(AllOf(HasSubstr("vocab_size says 22"),
                                                      HasSubstr("token_embd has 23"))));
    write(read_golden(name), "", [&](GgufWriter &w) { w.u32(key, 23); });
    model = import_model(folder_.path("m.gguf"), {}, context);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_THAT(model->notes, testing::Not(testing::Contains(HasSubstr("vocab_size"))));
  }
}

TEST_F(GgufImport, RefusesWhatIsNoModel) {
  auto refused = [&](const GgufWriter &writer, const std::string &where) {
    folder_.write("m.gguf", writer.bytes());
    EXPECT_THAT(check_model(folder_.path("m.gguf")), ElementsAre(Field(&Problem::where, where)));
  };
  refused(GgufWriter(), "general.architecture");
  refused(GgufWriter().string("general.architecture", "whale"), "general.architecture");
  refused(GgufWriter().string("general.architecture", "llama").string("general.type", "adapter"),
          "general.type");
  // llama.cpp's vocabularies, which are files like any other.
  GgufWriter vocabulary;
  vocabulary.string("general.architecture", "llama").u32("llama.block_count", 2);
  folder_.write("m.gguf", vocabulary.bytes());
  EXPECT_THAT(check_model(folder_.path("m.gguf")),
              ElementsAre(Field(&Problem::what, HasSubstr("holds no weights"))));
  vocabulary.strings("tokenizer.ggml.tokens", {"a", "b"});
  folder_.write("m.gguf", vocabulary.bytes());
  EXPECT_THAT(check_model(folder_.path("m.gguf")),
              ElementsAre(Field(&Problem::what, HasSubstr("a vocabulary alone, no weights"))));
  folder_.write("m.gguf", "GGUF");
  EXPECT_THAT(check_model(folder_.path("m.gguf")), testing::SizeIs(1));
}

// Tests that a type Quern does not read is named with its tensor.
TEST_F(GgufImport, NamesUnreadTypes) {
  json golden = read_golden("llama");
  golden["tensors"].erase("model.norm.weight");
  write(golden, "",
        [](GgufWriter &w) { w.tensor("output_norm.weight", {24}, 26, std::string(96, '\0')); });
  EXPECT_THAT(check_model(folder_.path("m.gguf")),
              ElementsAre(testing::AllOf(Field(&Problem::where, "output_norm.weight"),
                                         Field(&Problem::what, HasSubstr("I32")))));
}

// Tests that keys of the tokenizer and of the file are not said to change nothing.
TEST_F(GgufImport, PassesOverNothingThatIsReadElsewhere) {
  write(read_golden("llama"), "", [](GgufWriter &w) { w.string("tokenizer.ggml.model", "none"); });
  for (const char *key : {"tokenizer.ggml.model", "general.architecture"})
    EXPECT_THAT(check_model(folder_.path("m.gguf"), {.ignored_keys = {key}}),
                ElementsAre(testing::AllOf(Field(&Problem::where, "--ignore-keys"),
                                           Field(&Problem::what, HasSubstr("Quern reads")))))
        << key;
}

// Tests that no damage to a file crashes: it is refused, or it is a model that verifies.
TEST_F(GgufImport, SurvivesDamage) {
  const auto damage = [&](const std::string &bytes, size_t part, uint32_t times) {
    // Damage the head, where the file says what it is; the weights may be anything.
    const std::string head = bytes.substr(0, bytes.size() / part), rest = bytes.substr(head.size());
    mlir::MLIRContext context;
    for (uint32_t i = 0; i < times; ++i) {
      folder_.write("m.gguf", testing_support::mutate(head, i) + rest);
      auto model = import_model(folder_.path("m.gguf"), {}, context);
      if (!model.ok())
        EXPECT_NE(model.status().code(), absl::StatusCode::kInternal) << model.status();
    }
  };
  damage(to_gguf(read_golden("llama"))
             .string("llama.rope.scaling.type", "yarn")
             .u32("llama.rope.scaling.factor", 4)
             .tensor("rope_freqs.weight", {2}, 0, std::string(8, '?'))
             .bytes(),
         8, 300);
  for (const char *name : {"nemotron_h", "qwen3_next", "kimi_linear-as-wide", "deepseek_v2-yarn"}) {
    SCOPED_TRACE(name);
    damage(to_gguf(read_golden(name)).bytes(), 16, 60);
  }
}

// Tests that weights of Nemotron-H's experts are divided by their sum where the file says so alone.
TEST_F(GgufImport, DividesExpertsWeightsOfNemotronHIfTold) {
  json golden = read_golden("nemotron_h");
  const auto routes = [&] {
    write(golden, "nemotron_h_moe", {});
    mlir::MLIRContext context;
    const auto model = import_model(folder_.path("m.gguf"), {}, context);
    EXPECT_TRUE(model.ok()) << model.status();
    std::vector<int64_t> normalize;
    if (model.ok())
      (*model->module)->walk([&](RouteOp op) {
        normalize.push_back(static_cast<int64_t>(op.getNormalize()));
      });
    return normalize;
  };
  EXPECT_THAT(routes(), ElementsAre(1));
  golden["config"]["norm_topk_prob"] = false;
  EXPECT_THAT(routes(), ElementsAre(0));
  golden["config"].erase("norm_topk_prob"); // as the key of a file that has none
  EXPECT_THAT(routes(), ElementsAre(0));
}

} // namespace
} // namespace quern
