// Importing Hugging Face folders: what the module holds, and what is refused and how.
#include "frontends/Import.h"

#include "ir/quern/AttributeNames.h"
#include "ir/quern/QuernDialect.h"
#include "tests/frontends/families/Golden.h"
#include "tests/frontends/families/ModelFolder.h"
#include "tests/support/Mutate.h"

#include "mlir/IR/MLIRContext.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace quern {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

auto problem_at(const std::string &where) { return Field("where", &Problem::where, where); }

class Import : public testing::Test {
protected:
  Import() : golden_(read_golden("llama")), config_(golden_["config"]) {}

  /// Writes the model as the test has changed it.
  void write() {
    folder_.write_config(config_);
    folder_.write_tensors(golden_["tensors"]);
  }
  std::vector<Problem> problems(const ImportOptions &options = {}) {
    write();
    return check_model(folder_.path(), options);
  }
  absl::StatusOr<ImportedModel> import(const ImportOptions &options = {}) {
    return import_model(folder_.path(), options, context_);
  }

  ModelFolder folder_;
  json golden_, config_;
  mlir::MLIRContext context_;
};

template <typename Op> std::vector<Op> all(mlir::ModuleOp module) {
  std::vector<Op> ops;
  module.walk([&](Op op) { ops.push_back(op); });
  return ops;
}

// Tests that ops carry the module names of the model, weights their tensors' places, states their
// shapes.
TEST_F(Import, NamesWeightsAndStates) {
  write();
  auto model = import();
  ASSERT_TRUE(model.ok()) << model.status();
  mlir::ModuleOp module = *model->module;
  EXPECT_EQ(model->family, "llama");
  EXPECT_EQ(model->context, 64);
  EXPECT_EQ(model->hidden, 24);
  EXPECT_EQ(model->layers, 3);
  EXPECT_THAT(model->notes, ElementsAre(HasSubstr("no tokenizer.json")));

  auto linears = all<LinearOp>(module);
  ASSERT_THAT(linears, SizeIs(3 * 7 + 1));
  auto name = mlir::dyn_cast<mlir::NameLoc>(linears[7].getLoc());
  ASSERT_TRUE(name);
  EXPECT_EQ(name.getName().str(), "model.layers.1.self_attn.q_proj");

  auto states = all<DeclareStateOp>(module);
  ASSERT_THAT(states, SizeIs(3));
  EXPECT_EQ(states[2].getSymName(), "model.layers.2.self_attn.kv");
  EXPECT_EQ(states[2].getType(), StateType::get(&context_, StateKind::kv, {2, 4, 4}));

  EXPECT_THAT(all<WeightOp>(module), SizeIs(golden_["tensors"].size()));
  auto q = mlir::SymbolTable(module).lookup<WeightOp>("model.layers.1.self_attn.q_proj.weight");
  ASSERT_TRUE(q);
  EXPECT_EQ(q.getType(),
            WeightType::get(&context_, {24, 24}, mlir::StringAttr::get(&context_, "f32")));
  EXPECT_EQ(q.getFile(), 0u);
  auto files = module->getAttrOfType<mlir::ArrayAttr>(attrs::kFiles);
  EXPECT_EQ(mlir::cast<mlir::StringAttr>(files[0]).str(), folder_.path("model.safetensors"));
}

// Tests that layers behind the last, which guess further tokens, are left out, and no others.
TEST_F(Import, LeavesOutLayersThatGuessFurtherTokens) {
  for (const char *name : {"glm4_moe", "deepseek_v3-dense"}) {
    SCOPED_TRACE(name);
    golden_ = read_golden(name);
    config_ = golden_["config"];
    config_["num_nextn_predict_layers"] = 1;
    const int64_t layers = config_["num_hidden_layers"];
    const json extra = {{"shape", {2}}, {"mean", 1.0}, {"spread", 0.1}};
    const auto tensor = [](int64_t layer) {
      return absl::StrCat("model.layers.", layer, ".enorm.weight");
    };
    golden_["tensors"][tensor(layers)] = extra;
    write();
    auto model = import();
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_THAT(model->notes, testing::Contains(HasSubstr("guesses further tokens")));
    golden_["tensors"][tensor(layers + 1)] = extra;
    EXPECT_THAT(problems(), ElementsAre(problem_at(tensor(layers + 1))));
  }
  // Others have such a part under a name of its own.
  for (const char *name : {"qwen3_next", "nemotron_h", "olmo_hybrid", "ernie4_5_moe"}) {
    SCOPED_TRACE(name);
    golden_ = read_golden(name);
    config_ = golden_["config"];
    const json extra = {{"shape", {2}}, {"mean", 1.0}, {"spread", 0.1}};
    for (const char *tensor : {"mtp.norm.weight", "model.mtp_emb_norm.0.weight"})
      golden_["tensors"][tensor] = extra;
    write();
    auto model = import();
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_THAT(model->notes, testing::Contains(HasSubstr("mtp.* guesses further tokens")));
    golden_["tensors"]["mtp_of_another.weight"] = extra;
    EXPECT_THAT(problems(), ElementsAre(problem_at("mtp_of_another.weight")));
  }
}

// Tests that a tensor has the format of its file's type.
TEST_F(Import, ReadsHalfPrecision) {
  write();
  // The header's length grows with the types' names; their data halves.
  json header = json::object();
  uint64_t at = 0;
  int i = 0;
  for (const auto &[name, tensor] : golden_["tensors"].items()) {
    uint64_t bytes = 2;
    for (uint64_t n : tensor["shape"])
      bytes *= n;
    header[name] = {{"dtype", i++ % 2 ? "BF16" : "F16"},
                    {"shape", tensor["shape"]},
                    {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  std::string text = header.dump();
  uint64_t length = text.size();
  folder_.write("model.safetensors", std::string(reinterpret_cast<const char *>(&length), 8) +
                                         text + std::string(at, '\0'));
  auto model = import();
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<std::string> formats;
  for (WeightOp weight : all<WeightOp>(*model->module))
    formats.push_back(weight.getType().getFormat().str());
  EXPECT_THAT(formats, Contains("f16"));
  EXPECT_THAT(formats, Contains("bf16"));
}

// Tests that a model in several files is the same model.
TEST_F(Import, ReadsShards) {
  folder_.write_config(config_);
  json parts[2], map;
  int i = 0;
  for (const auto &[name, tensor] : golden_["tensors"].items()) {
    parts[i % 2][name] = tensor;
    map[name] = i++ % 2 ? "b.safetensors" : "a.safetensors";
  }
  folder_.write_tensors(parts[0], "a.safetensors");
  folder_.write_tensors(parts[1], "b.safetensors");
  folder_.write("model.safetensors.index.json", json{{"weight_map", map}}.dump());
  auto model = import();
  ASSERT_TRUE(model.ok()) << model.status();
  expect_logits(*model->module, golden_);
}

// Tests that one pass finds everything: of the config, and of the tensors.
TEST_F(Import, ListsAllProblemsAtOnce) {
  config_["hidden_act"] = "laplace";
  config_["novel_trick"] = true;
  config_["rope_parameters"]["rope_type"] = "spiral";
  config_["num_attention_heads"] = 0;
  config_["vocab_size"] = "many";
  config_["quantization_config"] = {{"quant_method", "hqq"}};
  config_["rope_parameters"]["twist"] = 3;
  EXPECT_THAT(problems(),
              UnorderedElementsAre(problem_at("hidden_act"), problem_at("novel_trick"),
                                   problem_at("rope_parameters.rope_type"),
                                   problem_at("num_attention_heads"), problem_at("vocab_size"),
                                   problem_at("quantization_config.quant_method"),
                                   problem_at("rope_parameters.twist")));
  auto model = import();
  ASSERT_FALSE(model.ok());
  EXPECT_THAT(std::string(model.status().message()),
              AllOf(HasSubstr("6 more"), HasSubstr("\nhint: ")));
}

TEST_F(Import, ComparesTensorsWithTheConfig) {
  json &tensors = golden_["tensors"];
  tensors.erase("model.layers.1.mlp.up_proj.weight");
  tensors["model.norm.weight"]["shape"] = {25};
  tensors["model.layers.0.self_attn.q_proj.bias"] = {{"shape", {24}}, {"mean", 0}, {"spread", 1}};
  tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = {
      {"shape", {2}}, {"mean", 0}, {"spread", 1}};
  EXPECT_THAT(problems(),
              UnorderedElementsAre(
                  AllOf(problem_at("model.layers.1.mlp.up_proj.weight"),
                        Field(&Problem::what, HasSubstr("missing"))),
                  AllOf(problem_at("model.norm.weight"),
                        Field(&Problem::what, AllOf(HasSubstr("[25]"), HasSubstr("[24]")))),
                  problem_at("model.layers.0.self_attn.q_proj.bias")));
}

// Tests that null means absent, and that keys of no consequence may be there.
TEST_F(Import, TakesHarmlessKeys) {
  config_["sliding_window"] = nullptr;
  config_["num_key_value_heads"] = 2;
  config_["transformers.js_config"] = {{"dtype", "q4"}};
  config_["pretraining_tp"] = 2;
  config_["task_specific_params"] = {{"a", {{"b", 1}}}};
  EXPECT_THAT(problems(), IsEmpty());
}

TEST_F(Import, RefusesOtherModelsOfTheFamily) {
  config_["architectures"] = {"LlamaForSequenceClassification"};
  EXPECT_THAT(problems(), ElementsAre(problem_at("architectures")));
  config_["model_type"] = "novel";
  EXPECT_THAT(problems(), ElementsAre(AllOf(problem_at("model_type"),
                                            Field(&Problem::hint, HasSubstr("mamba2")))));
}

// Tests that where the files hold a head, it is used, whatever the config says of tying.
TEST_F(Import, UsesAStoredHead) {
  config_["tie_word_embeddings"] = true;
  write();
  auto model = import();
  ASSERT_TRUE(model.ok()) << model.status();
  expect_logits(*model->module, golden_);
}

TEST_F(Import, TakesAContext) {
  write();
  auto model = import({.context = 1000});
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->context, 1000);
  EXPECT_THAT(model->notes, Contains(HasSubstr("beyond the 64 tokens")));
  EXPECT_EQ(model->source_hash, import()->source_hash);
  EXPECT_FALSE(import({.context = 0}).ok());
}

// Tests that scalings which change with the length are refused where they would.
TEST_F(Import, RefusesDynamicRopeBeyondItsLength) {
  config_["rope_parameters"] = {{"rope_type", "dynamic"}, {"factor", 2.0}, {"rope_theta", 1e4}};
  EXPECT_THAT(problems(), IsEmpty());
  EXPECT_THAT(problems({.context = 65}), ElementsAre(Field(&Problem::hint, HasSubstr("-c 64"))));
}

// Tests that one look finds all that is wrong: a number that fits no tensor, a key, tensors, and
// each step of the tokenizer.
TEST_F(Import, FindsAllThatIsWrong) {
  config_["num_key_value_heads"] = 4; // of 6
  config_["hidden_act"] = "wobble";
  config_["secret_sauce"] = 3;
  auto &tensors = golden_["tensors"];
  tensors.erase("model.layers.0.mlp.down_proj.weight");
  tensors["model.layers.1.self_attn.o_proj.weight"]["shape"] = {5, 7};
  tensors["model.extra.weight"] = tensors["model.norm.weight"];
  folder_.write("tokenizer.json", R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
      "normalizer": {"type": "Mystery"}, "pre_tokenizer": {"type": "Wiggle"}})");
  const std::vector<Problem> found = problems();
  for (const char *where : {"model.layers.0.self_attn", "hidden_act", "secret_sauce",
                            "model.layers.0.mlp.down_proj.weight",
                            "model.layers.1.self_attn.o_proj.weight", "model.extra.weight"})
    EXPECT_THAT(found, Contains(problem_at(where)));
  EXPECT_THAT(found,
              Contains(Field(&Problem::what, AllOf(HasSubstr("Mystery"), HasSubstr("Wiggle")))));
}

// Tests that a bare model's tensors are found, and that its names are read as in transformers.
TEST_F(Import, ReadsBareModels) {
  for (const char *name : {"llama", "opt", "falcon", "gpt_neox", "mamba2", "gpt2"}) {
    SCOPED_TRACE(name);
    golden_ = read_golden(name);
    config_ = golden_["config"];
    const json whole = golden_["tensors"];
    json &bare = golden_["tensors"] = json::object();
    bool head = false;
    for (const auto &[tensor, entry] : whole.items()) {
      const bool of_head = tensor.starts_with("lm_head.") || tensor.starts_with("embed_out.");
      head |= of_head;
      bare[of_head ? tensor : tensor.substr(tensor.find('.') + 1)] = entry;
    }
    EXPECT_THAT(problems(), IsEmpty());
    auto model = import();
    ASSERT_TRUE(model.ok()) << model.status();
    if (std::string(name) != "gpt2") // which knows its own names
      EXPECT_THAT(model->notes, Contains(HasSubstr("named as a bare model's")));
    if (!head)
      continue;
    // What the bare model lacks is missing still.
    for (const char *module : {"lm_head.weight", "embed_out.weight"})
      bare.erase(module);
    EXPECT_THAT(problems(), ElementsAre(Field(&Problem::what, HasSubstr("missing"))));
  }
}

TEST_F(Import, NamesWrappers) {
  const json whole = golden_["tensors"];
  for (const char *wrapper : {"_orig_mod.", "module.", "module._orig_mod."}) {
    json &wrapped = golden_["tensors"] = json::object();
    for (const auto &[tensor, entry] : whole.items())
      wrapped[wrapper + tensor] = entry;
    EXPECT_THAT(problems(),
                ElementsAre(AllOf(problem_at(wrapper + std::string("*")),
                                  Field(&Problem::hint, HasSubstr("inside the wrapper")))));
  }
}

TEST_F(Import, SaysHowToSaveDoubles) {
  json &norm = golden_["tensors"]["model.norm.weight"];
  const int64_t size = norm["shape"][0];
  norm = {{"dtype", "I64"}, {"shape", {size}}, {"values", std::vector<int64_t>(size, 1)}};
  EXPECT_THAT(problems(), ElementsAre(Field(&Problem::hint, HasSubstr("another quantization"))));
  std::ifstream stream(folder_.path("model.safetensors"), std::ios::binary);
  std::string file(std::istreambuf_iterator<char>(stream), {});
  file.replace(file.find("I64"), 3, "F64");
  folder_.write("model.safetensors", file);
  EXPECT_THAT(check_model(folder_.path()),
              ElementsAre(AllOf(problem_at("model.norm.weight"),
                                Field(&Problem::hint, HasSubstr("as float32")))));
}

// Where shapes are made up, only names can be missed.
TEST_F(Import, FindsMissingTensorsOfUnknownShape) {
  config_["hidden_size"] = "wide";
  golden_["tensors"].erase("model.layers.0.mlp.down_proj.weight");
  EXPECT_THAT(problems(), ElementsAre(problem_at("hidden_size"),
                                      problem_at("model.layers.0.mlp.down_proj.weight")));
}

// Tests that a number of layers that the files cannot have is one problem, found before there is a
// recipe of so many.
TEST_F(Import, LayersAreNoMoreThanTensors) {
  config_["num_hidden_layers"] = 9729;
  const std::string tensors = std::to_string(golden_["tensors"].size());
  EXPECT_THAT(problems(),
              ElementsAre(AllOf(problem_at("num_hidden_layers"),
                                Field(&Problem::what, HasSubstr(tensors + " tensors")))));
}

TEST_F(Import, TellsModelsApart) {
  write();
  uint64_t hash = import()->source_hash;
  golden_["tensors"]["model.norm.weight"]["mean"] = 1.5;
  write();
  uint64_t other_weights = import()->source_hash;
  config_["rms_norm_eps"] = 1e-4;
  write();
  EXPECT_NE(hash, other_weights);
  EXPECT_NE(other_weights, import()->source_hash);
}

// Tests that a config alone is enough where weights are made up, in the type it names.
TEST_F(Import, MakesWeightsUp) {
  config_["dtype"] = "bfloat16";
  folder_.write_config(config_);
  EXPECT_FALSE(import_model(folder_.path("config.json"), {}, context_).ok());
  for (const std::string &path : {folder_.path("config.json"), folder_.path()}) {
    auto model = import_model(path, {.synthetic = 5}, context_);
    ASSERT_TRUE(model.ok()) << model.status();
    auto q = mlir::SymbolTable(*model->module)
                 .lookup<WeightOp>("model.layers.0.self_attn.q_proj.weight");
    EXPECT_EQ(q.getType().getFormat().str(), "bf16");
    EXPECT_EQ(static_cast<int32_t>(q.getFile()), -1);
    EXPECT_EQ(q.getSeed(), 5u);
    auto attributes = (*model->module)->getAttrOfType<mlir::DictionaryAttr>(attrs::kModel);
    EXPECT_TRUE(attributes.contains(attrs::kModelSynthetic));
  }
}

TEST_F(Import, NamesWhatIsNoModel) {
  EXPECT_THAT(check_model(folder_.path("nothing")),
              ElementsAre(problem_at(folder_.path("nothing"))));
  EXPECT_THAT(check_model(folder_.path()),
              ElementsAre(Field(&Problem::what, HasSubstr("no config.json"))));
  std::filesystem::create_directories(folder_.path("snapshots/abc"));
  std::filesystem::create_directories(folder_.path("snapshots/def"));
  const auto snapshot = [&](const std::string &name) {
    return ElementsAre(AllOf(Field(&Problem::what, HasSubstr("Hugging Face cache")),
                             Field(&Problem::hint, HasSubstr(folder_.path("snapshots/" + name)))));
  };
  EXPECT_THAT(check_model(folder_.path()), snapshot("abc"));
  std::filesystem::create_directories(folder_.path("refs"));
  folder_.write("refs/main", "def");
  EXPECT_THAT(check_model(folder_.path()), snapshot("def"));
  folder_.write("notes.txt", "hello");
  EXPECT_THAT(check_model(folder_.path("notes.txt")), SizeIs(1));
  // A folder's only graph is its model, as its only .gguf is.
  folder_.write("one.onnx", "hello");
  EXPECT_THAT(check_model(folder_.path()), ElementsAre(problem_at(folder_.path("one.onnx"))));
  folder_.write("two.onnx", "hello");
  EXPECT_THAT(check_model(folder_.path()),
              ElementsAre(AllOf(Field(&Problem::what, HasSubstr("one.onnx, two.onnx")),
                                Field(&Problem::hint, HasSubstr(folder_.path("one.onnx"))))));
}

// Tests that sizes no model has are refused at once, before anything is made of them.
TEST_F(Import, RefusesHostileSizes) {
  auto begin = std::chrono::steady_clock::now();
  for (const char *key :
       {"vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size",
        "num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings"})
    for (json value : {json(0), json(-1), json(int64_t{1} << 40), json(uint64_t{1} << 63),
                       json(1e300), json("1"), json::array({1})}) {
      config_ = golden_["config"];
      config_[key] = value;
      folder_.write_config(config_);
      EXPECT_FALSE(check_model(folder_.path(), {.synthetic = 1}).empty()) << key << " " << value;
    }
  config_ = golden_["config"];
  for (const char *key : {"vocab_size", "hidden_size", "intermediate_size"})
    config_[key] = 1 << 22;
  config_["num_hidden_layers"] = 9999;
  folder_.write_config(config_);
  EXPECT_FALSE(check_model(folder_.path(), {.synthetic = 1}).empty());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

// Tests that no damage to a config crashes: it is refused, or it is a model that verifies.
TEST_F(Import, SurvivesDamage) {
  for (const char *name : {"llama-yarn-mscale", "qwen2-windows", "mamba2-bias-limits"}) {
    std::string text = read_golden(name)["config"].dump();
    for (uint32_t i = 0; i < 100; ++i) {
      folder_.write("config.json", testing_support::mutate(text, i));
      auto model = import_model(folder_.path(), {.synthetic = 1}, context_);
      if (!model.ok())
        EXPECT_NE(model.status().code(), absl::StatusCode::kInternal) << model.status();
    }
  }
}

} // namespace
} // namespace quern
