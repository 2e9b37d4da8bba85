// What the interpreter gives for imported encoders against transformers, by
// tests/frontends/goldens/encoders: all sequences of a golden in one step.
#include "frontends/Import.h"
#include "ir/reference/Interpreter.h"
#include "tests/frontends/families/GgufEncoders.h"
#include "tests/frontends/families/GoldenFiles.h"
#include "tests/frontends/families/ModelFolder.h"

#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace quern {
namespace {

class EncoderGolden : public testing::TestWithParam<std::string> {};

/// The golden's sequences in one step are what it says; or that of length 1.
void expect_rows(mlir::ModuleOp module, const nlohmann::json &golden, bool of_length_1) {
  auto interpreter = reference::Interpreter::create(module, {.float64 = true});
  ASSERT_TRUE(interpreter.ok()) << interpreter.status();
  reference::Batch batch;
  for (size_t i = 0; i < golden["sequences"].size(); ++i)
    batch.sequences.push_back({.slot = static_cast<int64_t>(i),
                               .tokens = golden["sequences"][i].get<std::vector<int32_t>>(),
                               .types = golden["types"][i].get<std::vector<int32_t>>()});
  reference::ReferenceState state;
  const auto outputs = (*interpreter)->run("encode", batch, state);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  const reference::Output &rows = outputs->front();
  auto wanted = golden["rows"].get<std::vector<std::vector<double>>>();
  ASSERT_EQ(rows.rows, static_cast<int64_t>(wanted.size()));
  ASSERT_EQ(rows.cols, static_cast<int64_t>(wanted.front().size()));
  double squares = 0, worst = 0;
  for (size_t r = 0; r < wanted.size(); ++r) {
    double length = 0;
    for (const double x : wanted[r])
      length += x * x;
    for (size_t c = 0; c < wanted[r].size(); ++c) {
      const double want = of_length_1 ? wanted[r][c] / std::sqrt(length) : wanted[r][c];
      squares += want * want;
      worst = std::max(worst,
                       std::abs(rows.at(static_cast<int64_t>(r), static_cast<int64_t>(c)) - want));
    }
  }
  const double size =
      std::sqrt(squares / static_cast<double>(wanted.size() * wanted.front().size()));
  EXPECT_LT(worst, 1e-4 * size);
}

TEST_P(EncoderGolden, GivesTheSameRows) {
  const nlohmann::json golden = read_golden(GetParam());
  ModelFolder folder;
  folder.write_config(golden["config"]);
  folder.write_tensors(golden["tensors"]);
  if (golden.value("causal", false)) { // a language model but for what stands beside it
    folder.write("modules.json",
                 R"([{"type": "sentence_transformers.models.Transformer", "path": ""},
                                     {"type": "sentence_transformers.models.Pooling", "path": "p"}])");
    std::filesystem::create_directories(folder.path("p"));
    folder.write("p/config.json", R"({"pooling_mode": "mean"})");
  }
  for (const Problem &problem : check_model(folder.path()))
    ADD_FAILURE() << problem.where << ": " << problem.what;
  mlir::MLIRContext context;
  absl::StatusOr<ImportedModel> model = import_model(folder.path(), {}, context);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->family, golden["config"]["model_type"].get<std::string>());
  ASSERT_TRUE(model->encodes);
  expect_rows(*model->module, golden, /*of_length_1=*/false);
  EXPECT_EQ(model->encoder.labels.size(),
            GetParam().ends_with("-scores") ? golden["rows"][0].size() : 0);
}

TEST(EncoderGguf, GivesTheSameRows) {
  for (const char *name : {"bert", "nomic_bert", "gemma3_text"}) {
    SCOPED_TRACE(name);
    const nlohmann::json golden = read_golden(std::string("encoders/") + name);
    ModelFolder folder;
    folder.write("m.gguf", encoder_to_gguf(golden).bytes());
    for (const Problem &problem : check_model(folder.path("m.gguf")))
      ADD_FAILURE() << problem.where << ": " << problem.what;
    mlir::MLIRContext context;
    absl::StatusOr<ImportedModel> model = import_model(folder.path("m.gguf"), {}, context);
    ASSERT_TRUE(model.ok()) << model.status();
    expect_rows(*model->module, golden, /*of_length_1=*/true);
  }
}

// Tests that EmbeddingGemma's Dense modules, which converters put into the file, are gone through.
TEST(EncoderGguf, GoesThroughDenseModules) {
  nlohmann::json golden = read_golden("encoders/gemma3_text");
  gguf::GgufWriter writer = encoder_to_gguf(golden);
  const auto weights = [](int64_t rows, int64_t cols) {
    std::vector<float> values;
    for (int64_t i = 0; i < rows * cols; ++i)
      values.push_back(static_cast<float>((i * i + 3 * i) % 17 - 8) / 16);
    return values;
  };
  for (const auto &[name, rows, cols] :
       {std::tuple{"dense_2", int64_t{40}, int64_t{24}}, {"dense_3", int64_t{24}, int64_t{40}}}) {
    const std::vector<float> w = weights(rows, cols);
    writer.tensor(std::string(name) + ".weight",
                  {static_cast<uint64_t>(cols), static_cast<uint64_t>(rows)}, /*F32*/ 0,
                  std::string(reinterpret_cast<const char *>(w.data()), 4 * w.size()));
    for (nlohmann::json &row : golden["rows"]) {
      std::vector<double> out(static_cast<size_t>(rows), 0);
      for (size_t i = 0; i < w.size(); ++i)
        out[i / static_cast<size_t>(cols)] +=
            double(w[i]) * row[i % static_cast<size_t>(cols)].get<double>();
      row = out;
    }
  }
  ModelFolder folder;
  folder.write("m.gguf", writer.bytes());
  mlir::MLIRContext context;
  absl::StatusOr<ImportedModel> model = import_model(folder.path("m.gguf"), {}, context);
  ASSERT_TRUE(model.ok()) << model.status();
  expect_rows(*model->module, golden, /*of_length_1=*/true);
}

std::string name_of(const testing::TestParamInfo<std::string> &info) {
  std::string name = info.param.substr(info.param.find('/') + 1);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Transformers, EncoderGolden, testing::ValuesIn(golden_names("encoders/")),
                         name_of);

/// What sentence-transformers keeps beside a model decides what becomes of its rows.
class SentenceModules : public testing::Test {
protected:
  void SetUp() override {
    golden = read_golden("encoders/bert");
    folder.write_config(golden["config"]);
    folder.write_tensors(golden["tensors"]);
  }
  void write(const std::string &path, const nlohmann::json &json) {
    std::filesystem::create_directories(std::filesystem::path(folder.path(path)).parent_path());
    folder.write(path, json.dump());
  }
  void write_modules(std::vector<std::pair<std::string, std::string>> modules) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto &[type, path] : modules)
      list.push_back({{"path", path}, {"type", "sentence_transformers.models." + type}});
    write("modules.json", list);
  }
  nlohmann::json golden;
  ModelFolder folder;
};

TEST_F(SentenceModules, PoolProjectAndNormalize) {
  write_modules({{"Transformer", ""},
                 {"Pooling", "1_Pooling"},
                 {"Dense", "2_Dense"},
                 {"Normalize", "3_Normalize"}});
  write("1_Pooling/config.json",
        {{"pooling_mode_cls_token", true}, {"pooling_mode_mean_tokens", true}});
  write("2_Dense/config.json", {{"in_features", 48},
                                {"out_features", 5},
                                {"bias", true},
                                {"activation_function", "torch.nn.modules.activation.Tanh"}});
  folder.write_tensors({{"linear.weight", {{"shape", {5, 48}}, {"mean", 0}, {"spread", 0.2}}},
                        {"linear.bias", {{"shape", {5}}, {"mean", 0}, {"spread", 0.2}}}},
                       "2_Dense/model.safetensors");
  write("config_sentence_transformers.json",
        {{"prompts", {{"query", "ask: "}, {"document", ""}}}, {"default_prompt_name", "query"}});
  write("sentence_bert_config.json", {{"max_seq_length", 20}});
  mlir::MLIRContext context;
  absl::StatusOr<ImportedModel> model = import_model(folder.path(), {}, context);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->encoder.max_length, 20);
  EXPECT_EQ(model->encoder.default_prompt, "query");
  ASSERT_EQ(model->encoder.prompts.size(), 2u);
  auto interpreter = reference::Interpreter::create(*model->module, {.float64 = true});
  ASSERT_TRUE(interpreter.ok()) << interpreter.status();
  reference::ReferenceState state;
  const auto outputs =
      (*interpreter)->run("encode", {.sequences = {{.tokens = {3, 4, 5}}}, .rows = {}}, state);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  ASSERT_EQ(outputs->front().cols, 5);
  double squares = 0;
  for (const double x : outputs->front().values)
    squares += x * x;
  EXPECT_NEAR(squares, 1, 1e-6);
}

TEST_F(SentenceModules, SayWhatIsNotKnown) {
  write_modules({{"Transformer", ""}, {"Pooling", "1_Pooling"}, {"LSTM", "2_LSTM"}});
  write("1_Pooling/config.json", {{"pooling_mode", "median"}, {"include_prompt", false}});
  std::string text;
  for (const Problem &problem : check_model(folder.path()))
    text += problem.where + ": " + problem.what + "\n";
  for (const char *part : {"'LSTM' is not known", "'median', which is not known", "include_prompt"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

} // namespace
} // namespace quern
