// Tests what is said of quantized checkpoints that are damaged, or quantized as Quern does not
// read: every problem by name, none twice.
#include "frontends/Import.h"
#include "ir/quern/QuernDialect.h"
#include "tests/frontends/families/GoldenFiles.h"
#include "tests/frontends/families/ModelFolder.h"

#include "mlir/IR/MLIRContext.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace quern {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

constexpr char kQ[] = "model.layers.0.self_attn.q_proj.";

class QuantizedImport : public testing::Test {
protected:
  void load(const char *golden) { golden_ = read_golden(golden); }
  json &settings() { return golden_["config"]["quantization_config"]; }
  json &tensor(const std::string &suffix, const char *module = kQ) {
    return golden_["tensors"][module + suffix];
  }
  void erase(const std::string &suffix) { golden_["tensors"].erase(kQ + suffix); }

  std::vector<Problem> problems(const ImportOptions &options = {}) {
    folder_.write_config(golden_["config"]);
    folder_.write_tensors(golden_["tensors"]);
    return check_model(folder_.path(), options);
  }
  std::vector<std::string> notes() {
    EXPECT_THAT(problems(), IsEmpty());
    mlir::MLIRContext context;
    const auto model = import_model(folder_.path(), {}, context);
    EXPECT_TRUE(model.ok()) << model.status();
    return model.ok() ? model->notes : std::vector<std::string>();
  }
  static auto at(const std::string &where, const std::string &what = "") {
    return AllOf(Field(&Problem::where, where), Field(&Problem::what, HasSubstr(what)));
  }

  json golden_;
  ModelFolder folder_;
};

TEST_F(QuantizedImport, NamesWhatItDoesNotRead) {
  for (const char *method : {"hqq", "aqlm", "eetq", "quanto", "fbgemm_fp8", "torchao"}) {
    load("llama-gptq");
    settings()["quant_method"] = method;
    EXPECT_THAT(
        problems(),
        ElementsAre(AllOf(at("quantization_config.quant_method", method),
                          Field(&Problem::hint, AllOf(HasSubstr("gptq"), HasSubstr("--quant"))))))
        << method;
  }
  settings().erase("quant_method");
  EXPECT_THAT(problems(), ElementsAre(at("quantization_config.quant_method", "does not say")));
}

TEST_F(QuantizedImport, NamesSettingsItDoesNotRead) {
  const auto expect = [&](const char *golden, const char *key, const json &value,
                          const std::string &where) {
    load(golden);
    settings()[json::json_pointer(key)] = value;
    EXPECT_THAT(problems(), ElementsAre(at("quantization_config." + where))) << key;
  };
  expect("llama-gptq", "/checkpoint_format", "marlin", "checkpoint_format");
  expect("llama-gptq", "/bits", 16, "bits");
  expect("llama-gptq", "/group_size", 0, "group_size");
  expect("llama-gptq", "/pack_dtype", "int64", "pack_dtype");
  expect("llama-gptq", "/dynamic", {{"-:.*mlp.*", json::object()}}, "dynamic");
  expect("llama-gptq", "/novel_trick", true, "novel_trick");
  expect("llama-awq", "/version", "gemv", "version");
  expect("llama-awq", "/bits", 8, "bits");
  expect("llama-awq", "/zero_point", false, "zero_point");
  expect("llama-bnb", "/load_in_8bit", true, "load_in_8bit");
  expect("llama-fp8", "/activation_scheme", "static", "activation_scheme");
  expect("llama-fp8", "/fmt", "e5m2", "fmt");
  expect("llama-fp8", "/weight_block_size", {0, 4}, "weight_block_size");
  expect("llama-ct-int8", "/format", "marlin-24", "format");
  expect("llama-ct-int8", "/transform_config", {{"config_groups", {{"R1", 1}}}},
         "transform_config");
  expect("llama-ct-int8", "/sparsity_config", {{"format", "sparse-24-bitmask"}}, "sparsity_config");
  const std::string group = "/config_groups/group_0", dotted = "config_groups.group_0";
  expect("llama-ct-int8", (group + "/input_activations").c_str(), {{"num_bits", 8}},
         dotted + ".input_activations");
  expect("llama-ct-int8", (group + "/weights/type").c_str(), "fraction", dotted + ".weights.type");
  expect("llama-ct-int8", (group + "/weights/strategy").c_str(), "tensor_group",
         dotted + ".weights.strategy");
  expect("llama-ct-int8", (group + "/targets").c_str(), {"re:("}, dotted + ".targets");
  expect("llama-ct-int8", (group + "/weights/novel_trick").c_str(), 1,
         dotted + ".weights.novel_trick");
}

TEST_F(QuantizedImport, NamesMissingAndMisshapenTensors) {
  load("llama-gptq");
  erase("scales");
  tensor("qzeros", "model.layers.1.mlp.up_proj.")["shape"] = {2, 11};
  tensor("g_idx", "model.layers.0.mlp.down_proj.") = {
      {"dtype", "I32"}, {"shape", {3}}, {"values", {0, 0, 0}}};
  tensor("scales", "model.layers.1.mlp.gate_proj.")["dtype"] = "F64";
  tensor("scales", "model.layers.1.mlp.gate_proj.")["values"] = json::array();
  tensor("scales", "model.layers.1.mlp.gate_proj.")["shape"] = {0, 96};
  golden_["tensors"].erase("model.norm.weight"); // and what else is wrong is still said
  EXPECT_THAT(problems(),
              UnorderedElementsAre(
                  at(kQ + std::string("scales"), "missing"),
                  at("model.layers.1.mlp.up_proj.qzeros", "[2, 11], and should be [2, 12]"),
                  at("model.layers.0.mlp.down_proj.g_idx", "[3], and should be [96]"),
                  at("model.layers.1.mlp.gate_proj.scales", "[0, 96], and should be [2, 96]"),
                  at("model.layers.1.mlp.gate_proj.scales", "F64, and should be F16"),
                  at("model.norm.weight", "missing")));
}

TEST_F(QuantizedImport, RefusesGroupsThatThereAreNoneOf) {
  load("llama-gptq-act-order");
  tensor("g_idx")["values"][7] = 2;
  EXPECT_THAT(problems(),
              ElementsAre(at(kQ + std::string("weight"), "input 7 is said to be in group 2")));
  tensor("g_idx")["values"][7] = -5;
  EXPECT_THAT(problems(), ElementsAre(at(kQ + std::string("weight"), "group -5")));
}

TEST_F(QuantizedImport, RefusesAWeightThatIsThereTwice) {
  load("llama-awq");
  tensor("weight") = {{"shape", {64, 64}}, {"mean", 0}, {"spread", 1}};
  EXPECT_THAT(problems(), ElementsAre(at(kQ + std::string("weight"), "twice")));
}

TEST_F(QuantizedImport, RefusesBitsOfAnotherModel) {
  load("llama-gptq");
  settings()["bits"] = 8;
  const auto found = problems();
  ASSERT_FALSE(found.empty());
  EXPECT_THAT(found.front().what, HasSubstr("and should be"));
}

TEST_F(QuantizedImport, ReadsTheStateOfBitsAndBytesWithCare) {
  const std::string state = "weight.quant_state.bitsandbytes__nf4";
  for (const char *text :
       {"", "[]", "{", "{\"shape\":[64,64]}", "{\"blocksize\":64,\"shape\":[64]}",
        "{\"blocksize\":0,\"shape\":[64,64]}", "{\"blocksize\":64,\"shape\":[-1,64]}",
        "{\"blocksize\":64,\"shape\":[1099511627776,1099511627776],\"nested_blocksize\":256,"
        "\"nested_offset\":0.1}",
        "{\"blocksize\":64,\"shape\":[64,64],\"nested_blocksize\":256,\"nested_offset\":\"x\"}"}) {
    load("llama-bnb");
    tensor(state)["text"] = text;
    tensor(state)["shape"] = {std::string(text).size()};
    EXPECT_THAT(problems(), Not(IsEmpty())) << text;
  }
  load("llama-bnb");
  erase("weight.absmax");
  EXPECT_THAT(problems(), ElementsAre(at(kQ + std::string("weight.absmax"), "missing")));
}

TEST_F(QuantizedImport, ReadsTheShapesOfCompressedTensorsWithCare) {
  for (const json &values : {json{64}, json{64, 0}, json{64, -3}, json{64, 128},
                             json{int64_t{1} << 62, 64}, json{1, 2, 3}}) {
    load("llama-ct-int4");
    tensor("weight_shape") = {{"dtype", "I64"}, {"shape", {values.size()}}, {"values", values}};
    EXPECT_THAT(problems(), Not(IsEmpty())) << values;
  }
}

TEST_F(QuantizedImport, TakesIgnoredModulesAtTheirWord) {
  load("llama-ct-int4");
  settings()["ignore"] = {"re:.*layers\\.0\\.self_attn\\.q_proj", "lm_head"};
  const std::vector<Problem> found = problems();
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found.front().where, "model.layers.0.self_attn.q_proj");
}

TEST_F(QuantizedImport, MadeUpWeightsAreNotQuantized) {
  load("llama-gptq");
  EXPECT_THAT(problems({.synthetic = 1}), IsEmpty());
}

// Tests that zero points that are not what `sym` says are noted, with the other format's name where
// they are stored as in that; and that none of what libraries write is.
TEST_F(QuantizedImport, NotesZeroPointsThatAreNotSymmetric) {
  for (const std::string &name : golden_names())
    if (name.find("-gptq") != name.npos) {
      load(name.c_str());
      EXPECT_THAT(notes(), Not(Contains(HasSubstr("quantization_config.sym")))) << name;
    }
  for (const auto &[golden, bits] :
       {std::pair{"llama-gptq", 4}, {"llama-gptq-8bit", 8}, {"llama-gptq-3bit", 3}}) {
    SCOPED_TRACE(golden);
    load(golden);
    json &zeros = tensor("qzeros");
    settings()["sym"] = true;
    settings().erase("checkpoint_format");
    const auto fill = [&](json &qzeros, uint32_t code) {
      json values;
      for (int64_t group = 0; group < qzeros["shape"][0]; ++group)
        for (int64_t word = 0, bit = 0; word < qzeros["shape"][1]; ++word) {
          uint32_t value = 0;
          for (int i = 0; i < 32; ++i, ++bit)
            value |= (code >> (bit % bits) & 1) << i;
          values.push_back(static_cast<int32_t>(value));
        }
      qzeros = {{"dtype", "I32"}, {"shape", qzeros["shape"]}, {"values", values}};
    };
    const uint32_t half = 1u << (bits - 1);
    for (auto &[name, entry] : golden_["tensors"].items())
      if (name.ends_with(".qzeros"))
        fill(entry, half - 1);
    EXPECT_THAT(notes(), Not(Contains(HasSubstr("quantization_config.sym"))));
    fill(zeros, half);
    const std::string says = "quantization_config.sym says that every zero point is " +
                             std::to_string(half) +
                             ", and 1 of 14 quantized weights have others "
                             "(model.layers.0.self_attn.q_proj has " +
                             std::to_string(half + 1) + ")";
    EXPECT_THAT(notes(), Contains(AllOf(HasSubstr(says), HasSubstr("gptq_v2"))));
    fill(zeros, half - 2);
    EXPECT_THAT(notes(), Contains(AllOf(HasSubstr("q_proj has " + std::to_string(half - 1)),
                                        Not(HasSubstr("gptq_v2")))));
    settings()["sym"] = false;
    EXPECT_THAT(notes(), Not(Contains(HasSubstr("quantization_config.sym"))));
  }
}

// Tests that AutoGPTQ's biases of zeros are passed over, and no others.
TEST_F(QuantizedImport, PassesOverBiasesOfZeros) {
  load("llama-gptq");
  tensor("bias") = {{"dtype", "F16"}, {"shape", {64}}, {"mean", 0}, {"spread", 0}};
  EXPECT_THAT(notes(),
              Contains(AllOf(HasSubstr("1 tensor is passed over (" + (kQ + std::string("bias"))),
                             HasSubstr("biases of zeros"))));
  tensor("bias")["mean"] = 0.5;
  EXPECT_THAT(problems(), ElementsAre(at(kQ + std::string("bias"), "no such tensor")));
  // Where the model has a bias, its zeros are values as others.
  load("gpt2-gptq");
  golden_["tensors"]["transformer.h.0.attn.c_attn.bias"]["mean"] = 0;
  golden_["tensors"]["transformer.h.0.attn.c_attn.bias"]["spread"] = 0;
  EXPECT_THAT(notes(), Not(Contains(HasSubstr("passed over"))));
}

// Tests that what is for a quantized cache is passed over, scheme and scales.
TEST_F(QuantizedImport, PassesOverTheCachesScales) {
  load("llama-ct-int8");
  settings()["kv_cache_scheme"] = {{"num_bits", 8}, {"type", "float"}, {"strategy", "tensor"}};
  for (const char *scale : {"k_scale", "v_scale", "k_proj.output_scale"})
    golden_["tensors"][std::string("model.layers.0.self_attn.") + scale] = {
        {"dtype", "F32"}, {"shape", {1}}, {"values", {1.0}}};
  EXPECT_THAT(notes(),
              AllOf(Contains(HasSubstr("quantization_config.kv_cache_scheme is passed over")),
                    Contains(HasSubstr("3 tensors are passed over"))));
  golden_["tensors"]["model.layers.0.self_attn.novel_scale"] = {
      {"dtype", "F32"}, {"shape", {1}}, {"values", {1.0}}};
  EXPECT_THAT(problems(), ElementsAre(at("model.layers.0.self_attn.novel_scale")));
}

// Tests that the files that AutoGPTQ and AutoAWQ wrote their settings into stand for
// quantization_config, and that tensors without either are told for what they are.
TEST_F(QuantizedImport, ReadsSettingsBesideTheConfig) {
  load("llama-gptq");
  json settings = this->settings();
  settings.erase("quant_method");
  golden_["config"].erase("quantization_config");
  EXPECT_THAT(problems(), ElementsAre(AllOf(
                              at("model.layers.0.mlp.down_proj.qweight", "no quantization_config"),
                              Field(&Problem::hint, HasSubstr("quantize_config.json")))));
  folder_.write("quantize_config.json", settings.dump());
  EXPECT_THAT(notes(), Contains(HasSubstr("quantize_config.json is read")));
  settings["bits"] = 16;
  folder_.write("quantize_config.json", settings.dump());
  EXPECT_THAT(problems(), ElementsAre(at("quantization_config.bits")));
  folder_.write("quantize_config.json", "[");
  EXPECT_THAT(problems(), Contains(at(folder_.path("quantize_config.json"))));
  std::filesystem::remove(folder_.path("quantize_config.json"));
  load("llama-awq");
  golden_["config"].erase("quantization_config");
  folder_.write("quant_config.json",
                R"({"zero_point": true, "q_group_size": 32, "w_bit": 4, "version": "GEMM"})");
  EXPECT_THAT(notes(), Contains(HasSubstr("quant_config.json is read")));
  // Left over beside a model that is not quantized, it says nothing.
  const json golden = read_golden("llama");
  golden_ = golden;
  EXPECT_THAT(notes(), Not(Contains(HasSubstr("quant_config.json is read"))));
}

/// Formats by weight.
std::map<std::string, std::string> formats_of(const std::string &path, const ImportOptions &options,
                                              std::vector<std::string> &notes) {
  mlir::MLIRContext context;
  auto model = import_model(path, options, context);
  EXPECT_TRUE(model.ok()) << model.status();
  std::map<std::string, std::string> formats;
  if (!model.ok())
    return formats;
  model->module->walk([&](WeightOp weight) {
    std::string shape;
    for (const int64_t n : weight.getType().getShape())
      shape += " " + std::to_string(n);
    formats[weight.getSymName().str()] = weight.getType().getFormat().str() + shape;
  });
  notes = model->notes;
  return formats;
}

// Tests that a config alone gives each weight the format that its files give it, and says what it
// takes to be so.
TEST_F(QuantizedImport, ConfigsTellTheFormats) {
  for (const std::string &name : golden_names()) {
    load(name.c_str());
    if (!golden_["config"].contains("quantization_config"))
      continue;
    SCOPED_TRACE(name);
    make_uniform(golden_);
    ASSERT_THAT(problems(), IsEmpty());
    std::vector<std::string> notes;
    const auto want = formats_of(folder_.path(), {}, notes);
    const auto got =
        formats_of(folder_.path("config.json"), {.synthetic = 0, .formats_only = true}, notes);
    EXPECT_EQ(got, want);
    EXPECT_THAT(notes, testing::Contains(
                           AllOf(HasSubstr("of the config alone"), HasSubstr("it takes it that"))));
  }
}

// Tests that compressed-tensors' microscaling fp4 is mxfp4 as it is, in the files and by the
// config.
TEST_F(QuantizedImport, MicroscalingFp4OfCompressedTensorsIsMxfp4) {
  load("llama-ct-int4");
  settings()["format"] = "mxfp4-pack-quantized";
  json &groups = settings()["config_groups"];
  groups.erase("group_1");
  groups["group_0"]["weights"]["type"] = "float";
  groups["group_0"]["weights"]["scale_dtype"] = "torch.uint8";
  json tensors;
  for (const auto &[name, tensor] : golden_["tensors"].items()) {
    const std::string module = name.substr(0, name.rfind('.') + 1);
    if (!name.ends_with(".weight_packed")) {
      if (!golden_["tensors"].contains(module + "weight_packed"))
        tensors[name] = tensor;
      continue;
    }
    const json &shape = golden_["tensors"][module + "weight_shape"]["values"];
    const int64_t outputs = shape[0], inputs = shape[1];
    const json bytes = {{"dtype", "U8"}, {"bits", 8}, {"and", 255}, {"or", 0}};
    tensors[name] = bytes;
    tensors[name]["shape"] = {outputs, inputs / 2};
    json &scale = tensors[module + "weight_scale"] = bytes;
    scale["shape"] = {outputs, inputs / 32};
    scale["and"] = 3; // exponents of -3 to 0
    scale["or"] = 124;
  }
  golden_["tensors"] = tensors;
  ASSERT_THAT(problems(), IsEmpty());
  std::vector<std::string> notes;
  const std::string q = std::string(kQ) + "weight";
  EXPECT_EQ(formats_of(folder_.path(), {}, notes)[q], "mxfp4 64 64");
  EXPECT_THAT(notes, Contains(AllOf(HasSubstr("packed as mxfp4"), HasSubstr("(1.00 times)"))));
  EXPECT_EQ(
      formats_of(folder_.path("config.json"), {.synthetic = 0, .formats_only = true}, notes)[q],
      "mxfp4 64 64");
  groups["group_0"]["weights"]["group_size"] = 16;
  EXPECT_THAT(
      problems(),
      Contains(at("quantization_config.config_groups.group_0.weights.group_size", "groups of 32")));
}

// Tests what a config says of modules that are left as they are.
TEST_F(QuantizedImport, ConfigsTellWhatIsLeftOut) {
  const auto format = [&](const std::string &weight) {
    folder_.write_config(golden_["config"]);
    std::vector<std::string> notes;
    return formats_of(folder_.path("config.json"), {.synthetic = 0, .formats_only = true},
                      notes)[weight];
  };
  const std::string q = std::string(kQ) + "weight";
  load("llama-awq");
  golden_["config"]["dtype"] = "float16";
  EXPECT_EQ(format(q), "int4:g32:asym:f32 64 64");
  settings()["modules_to_not_convert"] = {"q_proj"};
  EXPECT_EQ(format(q), "f16 64 64");
  load("llama-gptq");
  EXPECT_EQ(format("lm_head.weight"), "f32 23 64");
  settings()["desc_act"] = true;
  EXPECT_EQ(format(q), "f32 64 64");
  settings()["group_size"] = -1; // of one group there is one order
  EXPECT_THAT(format(q), testing::StartsWith("int4:row:sym"));
  load("llama-gptq");
  settings()["modules_in_block_to_quantize"] = {{"self_attn.q_proj"}, {"self_attn.o_proj"}};
  EXPECT_THAT(format(q), testing::StartsWith("int4:g32:sym"));
  EXPECT_EQ(format("model.layers.0.mlp.up_proj.weight"), "f32 96 64");
  load("llama-ct-int4");
  settings()["ignore"] = json::array();
  EXPECT_EQ(format("lm_head.weight"), "int4:g32:sym:f32 23 64");
  // Where no module is called embed_tokens an embedding is none of the linears all the same.
  const json quantized = settings();
  golden_["config"] = {{"model_type", "gpt_neox"}, {"architectures", {"GPTNeoXForCausalLM"}},
                       {"hidden_size", 64},        {"intermediate_size", 96},
                       {"num_hidden_layers", 1},   {"num_attention_heads", 4},
                       {"vocab_size", 32},         {"max_position_embeddings", 64},
                       {"rotary_pct", 0.25},       {"hidden_act", "gelu"},
                       {"dtype", "float32"},       {"quantization_config", quantized}};
  EXPECT_EQ(format("gpt_neox.embed_in.weight"), "f32 32 64");
  EXPECT_EQ(format("gpt_neox.layers.0.mlp.dense_h_to_4h.weight"), "int4:g32:sym:f32 96 64");
  load("llama-bnb");
  golden_["config"]["dtype"] = "bfloat16";
  settings()["llm_int8_skip_modules"] = {"self_attn"};
  EXPECT_EQ(format(q), "bf16 64 64");
  EXPECT_EQ(format("model.layers.0.mlp.up_proj.weight"), "f32 96 64");
}

TEST_F(QuantizedImport, NotesWhatIsExpanded) {
  for (const auto &[golden, expanded] :
       {std::pair{"llama-gptq", false}, {"llama-gptq-act-order", true}, {"llama-bnb", true}}) {
    load(golden);
    ASSERT_THAT(problems(), IsEmpty());
    mlir::MLIRContext context;
    const auto model = import_model(folder_.path(), {}, context);
    ASSERT_TRUE(model.ok()) << model.status();
    bool noted = false;
    for (const std::string &note : model->notes)
      noted |= note.starts_with("14 weights of ") && note.find(" packed as f32 (") != note.npos;
    EXPECT_EQ(noted, expanded) << golden;
  }
}

} // namespace
} // namespace quern
