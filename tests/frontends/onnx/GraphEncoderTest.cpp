// Tests what stands beside an .onnx file: with a tokenizer its graph gives vectors and scores of
// texts, and without what that takes it is a graph like any other, and says why.
#include "frontends/Import.h"
#include "ir/reference/Interpreter.h"
#include "tests/frontends/onnx/Reading.h"

#include "mlir/IR/MLIRContext.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

namespace quern::onnx {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char *kTokenizer =
    R"({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "a", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {"a": 0, "b": 1, "c": 2, "d": 3}}})";

void set_floats(GraphProto &graph, const std::string &name, const std::vector<int64_t> &shape,
                const std::vector<float> &values) {
  add_weight(graph, name, shape);
  graph.mutable_initializer(graph.initializer_size() - 1)
      ->set_raw_data(std::string(reinterpret_cast<const char *>(values.data()), 4 * values.size()));
}

/// Rows of a table of four tokens, and of types; a row that the mask hides is far off.
ModelProto rows_model(const std::string &output = "last_hidden_state",
                      int ids = TensorProto::INT64) {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  for (const char *name : {"input_ids", "attention_mask", "token_type_ids"})
    add_input(g, name, {"b", "s"}, ids);
  set_floats(g, "table", {4, 2}, {1, 10, 2, 20, 4, 40, 8, -80});
  set_floats(g, "types", {2, 2}, {0, 0, 0.5, 0.25});
  set_floats(g, "one", {1}, {1});
  set_floats(g, "far", {1}, {1000});
  add_node(g, "Gather", {"table", "input_ids"}, {"rows"});
  add_node(g, "Gather", {"types", "token_type_ids"}, {"typed"});
  add_node(g, "Add", {"rows", "typed"}, {"sum"});
  set_int(add_node(g, "Cast", {"attention_mask"}, {"mask"}), "to", TensorProto::FLOAT);
  add_node(g, "Sub", {"one", "mask"}, {"hidden"});
  add_node(g, "Mul", {"hidden", "far"}, {"off"});
  add_integers(g, "last", {-1});
  add_node(g, "Unsqueeze", {"off", "last"}, {"offs"});
  add_node(g, "Add", {"sum", "offs"}, {output});
  add_output(g, output);
  return model;
}

class GraphEncoder : public testing::Test {
protected:
  void SetUp() override {
    folder = fresh_folder();
    std::filesystem::create_directories(folder / "onnx");
    write_file(folder / "tokenizer.json", kTokenizer);
    write_file(folder / "config.json", R"({"id2label": {"0": "no", "1": "yes"}})");
  }
  void write_modules(const std::string &pooling, bool more) {
    write_file(folder / "modules.json",
               std::string(R"([{"type": "sentence_transformers.models.Transformer", "path": ""},
                               {"type": "sentence_transformers.models.Pooling", "path": "pool"})") +
                   (more ? R"(, {"type": "sentence_transformers.models.Dense", "path": "dense"},
                              {"type": "sentence_transformers.models.Normalize", "path": "n"}])"
                         : "]"));
    std::filesystem::create_directories(folder / "pool");
    std::filesystem::create_directories(folder / "dense");
    write_file(folder / "pool" / "config.json", pooling);
    write_file(folder / "dense" / "config.json",
               R"({"in_features": 2, "out_features": 2, "bias": false,
                   "activation_function": "torch.nn.modules.linear.Identity"})");
    // x, y to y, 2 x.
    const float weights[] = {0, 1, 2, 0};
    std::string header =
        R"({"linear.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}})";
    const uint64_t length = header.size();
    std::string bytes(reinterpret_cast<const char *>(&length), 8);
    bytes += header + std::string(reinterpret_cast<const char *>(weights), 16);
    write_file(folder / "dense" / "model.safetensors", bytes);
  }
  ImportedModel import(const ModelProto &model, const std::string &file = "onnx/model.onnx") {
    auto imported = import_model(write_file(folder / file, model.SerializeAsString()), {}, context);
    EXPECT_TRUE(imported.ok()) << imported.status();
    return imported.ok() ? *std::move(imported) : ImportedModel{};
  }
  /// What the entry gives for two sequences of tokens, the last of them of type 1.
  std::vector<double> encoded(const ImportedModel &model) {
    auto interpreter = reference::Interpreter::create(*model.module, {});
    EXPECT_TRUE(interpreter.ok()) << interpreter.status();
    const mlir::Type i64 = mlir::IntegerType::get(&context, 64);
    std::vector<reference::Tensor> inputs = {{i64, {2, 3}, {}, {0, 1, 2, 3, 3, 0}},
                                             {i64, {2, 3}, {}, {0, 0, 0, 0, 0, 1}}};
    auto results = (*interpreter)->call("encode", inputs);
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? results->front().floats : std::vector<double>{};
  }
  static std::string notes_of(const ImportedModel &model) {
    std::string text;
    for (const std::string &note : model.notes)
      text += note + "\n";
    return text;
  }
  std::filesystem::path folder;
  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
};

TEST_F(GraphEncoder, PoolsRowsAsTheFolderSays) {
  const double third = 1.0 / 3, root = std::sqrt(3.0);
  const std::pair<const char *, std::vector<double>> cases[] = {
      {R"({"pooling_mode": "mean"})", {7 * third, 70 * third, 17.5 * third, -149.75 * third}},
      {R"({"pooling_mode": "cls"})", {1, 10, 8, -80}},
      {R"({"pooling_mode": "lasttoken"})", {4, 40, 1.5, 10.25}},
      {R"({"pooling_mode": "max"})", {4, 40, 8, 10.25}},
      {R"({"pooling_mode": "mean_sqrt_len_tokens"})",
       {7 / root, 70 / root, 17.5 / root, -149.75 / root}},
      {R"({"pooling_mode": "weightedmean"})", {17.0 / 6, 170.0 / 6, 28.5 / 6, (-240 + 30.75) / 6}},
      {R"({"pooling_mode": ["cls", "lasttoken"]})", {1, 10, 4, 40, 8, -80, 1.5, 10.25}}};
  for (const auto &[pooling, wanted] : cases) {
    SCOPED_TRACE(pooling);
    write_modules(pooling, false);
    const ImportedModel model = import(rows_model());
    EXPECT_TRUE(model.encodes) << notes_of(model);
    EXPECT_EQ(model.vocab, 4);
    EXPECT_EQ(model.encoder.max_length, 512);
    const std::vector<double> got = encoded(model);
    ASSERT_EQ(got.size(), wanted.size());
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_NEAR(got[i], wanted[i], 1e-5 * std::abs(wanted[i])) << i;
  }
}

TEST_F(GraphEncoder, GoesThroughTheFoldersModules) {
  write_modules(R"({"pooling_mode": "cls"})", true);
  // The entry takes int64 whatever the graph takes.
  const std::vector<double> got =
      encoded(import(rows_model("last_hidden_state", TensorProto::INT32)));
  ASSERT_EQ(got.size(), 4u);
  EXPECT_NEAR(got[0], 10 / std::hypot(10, 2), 1e-6);
  EXPECT_NEAR(got[1], 2 / std::hypot(10, 2), 1e-6);
  EXPECT_NEAR(got[2], -80 / std::hypot(80, 16), 1e-6);
  EXPECT_NEAR(got[3], 16 / std::hypot(80, 16), 1e-6);
}

TEST_F(GraphEncoder, TakesScoresAndVectorsAsTheyAre) {
  for (const char *output : {"logits", "sentence_embedding"}) {
    ModelProto proto = rows_model("rows_of_tokens");
    GraphProto &g = *proto.mutable_graph();
    add_integers(g, "axis", {1});
    set_int(add_node(g, "ReduceSum", {"rows_of_tokens", "axis"}, {output}), "keepdims", 0);
    add_output(g, output);
    const ImportedModel model = import(proto);
    EXPECT_TRUE(model.encodes) << notes_of(model);
    EXPECT_EQ(model.encoder.labels.size(), std::string(output) == "logits" ? 2u : 0u);
    EXPECT_THAT(encoded(model), ElementsAre(7, 70, 17.5, -149.75));
  }
}

TEST_F(GraphEncoder, SaysWhyThereIsNone) {
  const auto why = [&](const ModelProto &proto, const std::string &file = "onnx/model.onnx") {
    const ImportedModel model = import(proto, file);
    EXPECT_FALSE(model.encodes);
    EXPECT_TRUE(model.module);
    return notes_of(model);
  };
  EXPECT_THAT(why(rows_model("logits")), HasSubstr("scores of tokens, not of texts"));
  ModelProto fixed = rows_model();
  for (auto &input : *fixed.mutable_graph()->mutable_input())
    input.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(1)->set_dim_value(7);
  EXPECT_THAT(why(fixed), HasSubstr("export it with dynamic axes"));
  ModelProto more = rows_model();
  add_input(*more.mutable_graph(), "pixels", {"b", "s"});
  EXPECT_THAT(why(more), HasSubstr("its input 'pixels' is none that texts have"));
  write_modules(R"({"pooling_mode": "median"})", false);
  EXPECT_THAT(why(rows_model()), HasSubstr("'median', which is not known"));
  std::filesystem::create_directories(folder / "elsewhere");
  EXPECT_THAT(why(rows_model(), "elsewhere/model.onnx"), HasSubstr("there is no tokenizer"));
}

} // namespace
} // namespace quern::onnx
