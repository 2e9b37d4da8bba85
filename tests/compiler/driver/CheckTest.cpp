// Tests that `quern check` finds in one look what importing refuses and what later phases do.
#include "compiler/driver/Examine.h"
#include "tests/frontends/families/GgufConverter.h"
#include "tests/frontends/families/GoldenFiles.h"
#include "tests/frontends/families/ModelFolder.h"
#include "tests/frontends/onnx/OnnxModels.h"
#include "tests/support/Mutate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace quern::driver {
namespace {

using gguf::GgufWriter;
using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

class Check : public testing::Test {
protected:
  Examination found(const std::string &path = "") {
    const Examination found = examine(path.empty() ? folder_.path() : path, flags_, targets_);
    std::set<std::pair<std::string, std::string>> seen;
    for (const Problem &problem : found.problems) {
      EXPECT_FALSE(problem.hint.empty()) << problem.where << ": " << problem.what;
      EXPECT_TRUE(seen.emplace(problem.where, problem.what).second) << problem.where << " twice";
    }
    return found;
  }
  static auto at(const std::string &where, const std::string &what) {
    return AllOf(Field(&Problem::where, where), Field(&Problem::what, HasSubstr(what)));
  }
  /// A model that is described as goldens are.
  static json small() {
    json golden = {{"config",
                    {{"model_type", "llama"},
                     {"architectures", {"LlamaForCausalLM"}},
                     {"vocab_size", 23},
                     {"hidden_size", 16},
                     {"intermediate_size", 32},
                     {"num_hidden_layers", 3},
                     {"num_attention_heads", 4},
                     {"num_key_value_heads", 2},
                     {"max_position_embeddings", 64},
                     {"rms_norm_eps", 1e-5},
                     {"dtype", "float32"}}}};
    const auto add = [&](const std::string &name, std::vector<int> shape) {
      golden["tensors"][name] = {{"shape", shape}, {"mean", 0.1}, {"spread", 0.1}};
    };
    for (const char *name : {"model.embed_tokens.weight", "lm_head.weight"})
      add(name, {23, 16});
    add("model.norm.weight", {16});
    for (const char *i : {"0", "1", "2"}) {
      const std::string layer = std::string("model.layers.") + i + ".";
      add(layer + "input_layernorm.weight", {16});
      add(layer + "post_attention_layernorm.weight", {16});
      add(layer + "self_attn.q_proj.weight", {16, 16});
      add(layer + "self_attn.k_proj.weight", {8, 16});
      add(layer + "self_attn.v_proj.weight", {8, 16});
      add(layer + "self_attn.o_proj.weight", {16, 16});
      add(layer + "mlp.gate_proj.weight", {32, 16});
      add(layer + "mlp.up_proj.weight", {32, 16});
      add(layer + "mlp.down_proj.weight", {16, 32});
    }
    return golden;
  }
  /// The same as GGUF. Biases of queries, keys and values are one tensor, in layers 0 and 1 in
  /// blocks of 32, which cannot be taken apart: only the quantize phase knows.
  static GgufWriter with_biases_in_blocks(const json &golden) {
    GgufWriter writer = to_gguf(golden, "", {.fuse_qkv = true});
    writer.tensor("blk.0.attn_qkv.bias", {32}, 8, std::string(34, 'x'));
    writer.tensor("blk.1.attn_qkv.bias", {32}, 8, std::string(34, 'x'));
    writer.tensor("blk.2.attn_qkv.bias", {32}, 0, std::string(128, '\0'));
    return writer;
  }
  static auto in_blocks(const std::string &layer) {
    return AllOf(Field(&Problem::where, HasSubstr("blk." + layer + ".attn_qkv")),
                 Field(&Problem::what,
                       HasSubstr("weight 'blk." + layer +
                                 ".attn_qkv.bias' is stored as \"q8_0\", whose blocks cannot be "
                                 "taken apart")),
                 Field(&Problem::hint, HasSubstr("convert the model to f32")));
  }

  ModelFolder folder_;
  ModelFlags flags_;
  TargetFlags targets_;
};

TEST_F(Check, FindsNothingWhereNothingIs) {
  for (const char *name : {"llama", "mamba2", "llama-gptq", "gpt2-gptq", "llama-ct-int8"}) {
    const json golden = read_golden(name);
    folder_.write_config(golden["config"]);
    folder_.write_tensors(golden["tensors"]);
    EXPECT_THAT(found().problems, IsEmpty()) << name;
    EXPECT_THAT(found().notes, Not(IsEmpty())) << name;
  }
}

// Seven things are wrong, two of which only a later phase refuses.
TEST_F(Check, FindsSevenThings) {
  json golden = small();
  golden["tensors"].erase("model.layers.2.mlp.down_proj.weight");
  folder_.write("m.gguf", with_biases_in_blocks(golden)
                              .u32("llama.hidden_trick", 8)
                              .u32("llama.expert_used_count", 2)
                              .string("tokenizer.ggml.model", "magic")
                              .tensor("blk.0.extra.weight", {2}, 0, "12345678")
                              .bytes());
  EXPECT_THAT(found().problems,
              UnorderedElementsAre(
                  at("llama.hidden_trick", "does not know"), at("llama.expert_used_count", ""),
                  at("tokenizer", "magic"), at("blk.2.ffn_down.weight", "missing"),
                  at("blk.0.extra.weight", "no such tensor"), in_blocks("0"), in_blocks("1")));
}

// Where importing refuses something the phases run on weights that are made up: that blocks of the
// file's formats cannot be is no problem of the model's.
TEST_F(Check, SaysNothingOfWeightsThatStandForBlocks) {
  json golden = small();
  golden["tensors"].erase("model.layers.0.mlp.down_proj.weight");
  folder_.write("m.gguf",
                to_gguf(golden, "", {})
                    .tensor("blk.0.ffn_down.weight", {32, 16}, 8, std::string(16 * 34, 'x'))
                    .u32("llama.hidden_trick", 8)
                    .bytes());
  EXPECT_THAT(found().problems, ElementsAre(at("llama.hidden_trick", "does not know")));
}

// Later phases see a model whose numbers contradict each other, too.
TEST_F(Check, GoesOnPastNumbersThatAreWrong) {
  json golden = small();
  golden["config"]["num_key_value_heads"] = 3;
  folder_.write("m.gguf", with_biases_in_blocks(golden).bytes());
  const Examination all = found();
  EXPECT_THAT(all.problems, Contains(at("blk.0.attn", "4 attention heads cannot share 3")));
  golden["config"]["num_key_value_heads"] = 2;
  golden["config"]["rms_norm_eps"] = 17;
  folder_.write("m.gguf", with_biases_in_blocks(golden).bytes());
  EXPECT_THAT(found().problems,
              UnorderedElementsAre(at("llama.attention.layer_norm_rms_epsilon", "17"),
                                   in_blocks("0"), in_blocks("1")));
}

// What targets refuse is listed with what is wrong with the folder's files.
TEST_F(Check, AsksEveryTarget) {
  const json golden = small();
  folder_.write_config(golden["config"]);
  folder_.write_tensors(golden["tensors"]);
  folder_.write("tokenizer.json", "version https://git-lfs.github.com/spec/v1\n");
  targets_.target = "cpu,cuda";
  flags_.context = 100;
  setenv("QUERN_NVRTC", "/nonexistent", /*overwrite=*/1);
  const Examination all = found();
  unsetenv("QUERN_NVRTC");
  EXPECT_THAT(all.problems,
              UnorderedElementsAre(at(folder_.path("tokenizer.json"), "Git LFS pointer"),
                                   at("--target cuda", "NVRTC")));
  EXPECT_THAT(all.notes, Contains(HasSubstr("beyond the 64 tokens")));
}

// No damage to a model crashes what looks at the rest of it: what is found has names and hints.
TEST_F(Check, SurvivesDamage) {
  const std::string bytes = with_biases_in_blocks(small()).bytes();
  const std::string head = bytes.substr(0, bytes.size() / 8), rest = bytes.substr(head.size());
  for (uint32_t i = 0; i < 100; ++i) {
    folder_.write("m.gguf", testing_support::mutate(head, i) + rest);
    found(folder_.path("m.gguf"));
  }
  flags_.synthetic = "1";
  for (const char *name : {"gpt2", "bloom", "gemma3", "mamba2", "phi3-longrope"}) {
    const json config = read_golden(name)["config"];
    uint32_t i = 0;
    for (const auto &[key, value] : config.items())
      if (value.is_number_integer())
        for (const int64_t wrong : {0, 1, 7, 1000}) {
          json changed = config;
          changed[key] = wrong;
          if (key.find("layer") != key.npos && wrong > 7)
            continue; // so many layers take time and show nothing else
          folder_.write_config(changed);
          found(folder_.path("config.json"));
          ++i;
        }
    EXPECT_GT(i, 20u) << name;
  }
}

onnx::test::ModelProto elementwise(const onnx::test::DimTexts &shape, const char *op) {
  onnx::test::ModelProto model = onnx::test::make_model();
  onnx::test::GraphProto &graph = *model.mutable_graph();
  onnx::test::add_input(graph, "x", shape);
  onnx::test::add_node(graph, op, {"x", "x"}, {"y"});
  onnx::test::add_output(graph, "y");
  return model;
}

// What a phase refuses of a graph is said once, with what to do: the look at what comes after it
// finds the same again, which is no fault of Quern's.
TEST_F(Check, SaysOnceWhatNoMachineHolds) {
  folder_.write("m.onnx", elementwise({1 << 24, 1 << 23}, "Add").SerializeAsString());
  Examination fixed = found(folder_.path("m.onnx"));
  EXPECT_THAT(fixed.problems, ElementsAre(at("Add_1", "is larger than 64 TiB")));
  EXPECT_THAT(fixed.problems[0].hint, HasSubstr("take a model whose tensors fit"));
  folder_.write("m.onnx", elementwise({"n", int64_t{1} << 43}, "Add").SerializeAsString());
  Examination bounded = found(folder_.path("m.onnx"));
  EXPECT_THAT(bounded.problems, ElementsAre(at("Add_1", "at the greatest sizes, n = 16")));
  EXPECT_THAT(bounded.problems[0].hint, HasSubstr("--dim NAME=MAX"));
}

// What check says of damaged graphs is what stops a compile of them, and nothing is where nothing
// does.
TEST_F(Check, SaysOfGraphsWhatACompileSays) {
  const std::string bytes = elementwise({"n", 3}, "Mul").SerializeAsString();
  size_t sound = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    ++damaged[i];
    folder_.write("m.onnx", damaged);
    const Examination all = found(folder_.path("m.onnx"));
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    std::string text;
    mlir::ScopedDiagnosticHandler handler(
        &context, [&](mlir::Diagnostic &diagnostic) { text += diagnostic.str(); });
    auto model = import_model(folder_.path("m.onnx"), flags_.import_options(), context);
    if (!model.ok())
      text = std::string(model.status().message());
    const bool ok = model.ok() && mlir::succeeded(runTo(*model->module, Phase::order,
                                                        pipeline_for(*model, flags_)));
    ASSERT_EQ(ok, all.problems.empty()) << "byte " << i << ": " << text;
    if (!ok)
      EXPECT_THAT(text, HasSubstr(all.problems[0].what)) << "byte " << i;
    sound += ok;
  }
  EXPECT_GT(sound, 5u);
  EXPECT_LT(sound, bytes.size() / 2);
}

// A plan that the runtime would refuse is refused here.
TEST_F(Check, KnowsTheRuntimesLimits) {
  json config = read_golden("mamba2")["config"];
  config["num_heads"] = 1 << 16;
  config["head_dim"] = 1 << 14;
  config["state_size"] = 1 << 14;
  config["hidden_size"] = 1024;
  config["expand"] = 1 << 20;
  folder_.write_config(config);
  flags_.synthetic = "1";
  EXPECT_THAT(found().problems,
              ElementsAre(at("mamba2", "beyond what quern-run takes: manifest: slot_bytes")));
}

// Tests that an encoder, whose entry says what its texts are given, passes as it compiles.
TEST_F(Check, PassesEncoders) {
  folder_.write_config({{"model_type", "bert"},
                        {"architectures", {"BertModel"}},
                        {"vocab_size", 31},
                        {"hidden_size", 16},
                        {"intermediate_size", 32},
                        {"num_hidden_layers", 2},
                        {"num_attention_heads", 2},
                        {"max_position_embeddings", 64}});
  flags_.synthetic = "1";
  EXPECT_THAT(found().problems, IsEmpty());
}

// Tests that an ONNX graph is looked at as a whole: what is not there, and what is asked; all of
// its ops are code.
TEST_F(Check, LooksAtOnnxGraphs) {
  const std::string graph = QUERN_SOURCE_DIR "/tests/frontends/onnx/data/bert-script.onnx";
  flags_.dims = {"sequence=99"};
  const std::vector<Problem> problems = found(graph).problems;
  EXPECT_THAT(problems, Contains(Field(&Problem::what, HasSubstr("weights.bin"))));
  EXPECT_THAT(problems, Contains(at("--dim sequence=99", "the model itself ends at 32")));
  EXPECT_THAT(problems, Not(Contains(Field(&Problem::what, HasSubstr("makes no code")))));
  folder_.write_config(small()["config"]);
  EXPECT_THAT(found().problems, Contains(at("--dim", "it is for ONNX graphs")));
  flags_.dims = {"sequence=9", "batch=2", "sequence=10"};
  EXPECT_THAT(flags_.check().message(), HasSubstr("--dim sequence is given twice"));
}

} // namespace
} // namespace quern::driver
