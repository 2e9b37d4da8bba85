#include "frontends/onnx/shapes/Inference.h"

#include "frontends/onnx/shapes/LiveNodes.h"
#include "frontends/onnx/shapes/SizeBounds.h"
#include "tests/frontends/onnx/Reading.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace quern::onnx {
namespace {

namespace fs = std::filesystem;
using namespace test;
using testing::HasSubstr;

/// A model with what is inferred of it.
struct Inferred {
  Model model;
  Inference shapes;
  std::string problems;

  std::string shape(const std::string &value) const {
    return shape_text(shapes.fact(find_value(model, value)).shape);
  }
  std::string elements(const std::string &value) const {
    const auto integers = shapes.fact(find_value(model, value)).integers();
    return integers ? shape_text(*integers) : "unknown";
  }
};

Inferred inferred(const ModelProto &proto) {
  Inferred result;
  result.model = read_sound(proto);
  Problems problems;
  result.shapes = infer(result.model, problems);
  result.problems = text_of(problems);
  return result;
}

ModelProto two_inputs(const DimTexts &a, const DimTexts &b, const std::string &op) {
  ModelProto model = make_model();
  add_input(*model.mutable_graph(), "a", a);
  add_input(*model.mutable_graph(), "b", b);
  add_node(*model.mutable_graph(), op, {"a", "b"}, {"y"});
  add_output(*model.mutable_graph(), "y");
  return model;
}

TEST(Inference, ShapesTakenApartArePutTogether) {
  const Inferred attention = inferred(sample_models()[0].second);
  EXPECT_EQ(attention.problems, "");
  EXPECT_EQ(attention.elements("to"), "[b, s, 2, -1]");
  EXPECT_EQ(attention.shape("split"), "[b, s, 2, 4]");
  EXPECT_EQ(attention.shape("scores"), "[b, 2, s, s]");
  EXPECT_EQ(attention.shape("y"), "[b, 2, s, 4]");
  // Nothing of the shapes is left: two products, the weight's, Reshape, two Transposes, Softmax.
  const std::vector<bool> live = live_nodes(attention.model, attention.shapes);
  EXPECT_EQ(std::ranges::count(live, true), 7);
}

TEST(Inference, WindowsAndCuts) {
  const Inferred image = inferred(sample_models()[3].second);
  EXPECT_EQ(image.shape("f"), "[n, 4, ceildiv(h, 2), ceildiv(w, 2)]");
  EXPECT_EQ(image.shape("z"), "[4, z.1]"); // how many are not zero a run tells
  EXPECT_EQ(image.shapes.run_time_sizes.size(), 1u);
  EXPECT_EQ(image.shape("padded"), "[n, 4, ceildiv(h, 2) + 2, ceildiv(w, 2) + 2]");
  EXPECT_EQ(image.shape("slice"), "[n, 4, min(3, ceildiv(h, 2) + 2), ceildiv(w, 2)]");
  EXPECT_EQ(image.shape("s1"), "[ceildiv(n, 2), 4, min(3, ceildiv(h, 2) + 2), ceildiv(w, 2)]");
  EXPECT_EQ(image.problems, "");
}

TEST(Inference, LoopsChangeWhatTheyCarry) {
  const Inferred control = inferred(sample_models()[1].second);
  EXPECT_EQ(control.shape("y"), "[n, 4]");
  EXPECT_EQ(control.shape("last"), "[last.0, 4]");
  EXPECT_EQ(control.shape("all"), "[all.0, n, 4]"); // whether it goes on, a run tells
  EXPECT_EQ(control.shape("state"), "[n, 4]");
  EXPECT_EQ(control.shape("scanned"), "[all.0, n, 4]");
}

// Tests that unlike names are one size where an op adds them, and that this is checked when called.
TEST(Inference, UnlikeNamesBind) {
  const Inferred sum = inferred(two_inputs({"s18", 4}, {"s43", 4}, "Add"));
  EXPECT_EQ(sum.problems, "");
  EXPECT_EQ(sum.shape("y"), "[s18, 4]");
  EXPECT_EQ(sum.shape("b"), "[s18, 4]");
  ASSERT_EQ(sum.shapes.checks.size(), 1u);
  EXPECT_EQ(sum.shapes.checks[0].a.text() + " = " + sum.shapes.checks[0].b.text(), "s43 = s18");
  EXPECT_EQ(sum.shapes.checks[0].node, "Add_1");
  EXPECT_EQ(sum.shapes.rounds, 2);
}

TEST(Inference, NamesThatSayNothingBindNothing) {
  for (const char *name : {"?", "unk__0", "", "-1"}) {
    const Inferred product = inferred(two_inputs({name, name}, {name, 5}, "MatMul"));
    EXPECT_EQ(product.shape("y"), "[a.0, 5]") << name;
    EXPECT_EQ(product.shape("a"), "[a.0, a.1]") << name;
  }
  EXPECT_EQ(inferred(two_inputs({"n", "n"}, {"n", 5}, "MatMul")).shape("y"), "[n, 5]");
}

// Tests that a dimension's name is a sum of others only where these are the model's.
TEST(Inference, NamesMayBeSums) {
  EXPECT_EQ(inferred(two_inputs({"past", "s"}, {"past + s", 5}, "Gather")).shape("b"),
            "[past + s, 5]");
  EXPECT_EQ(inferred(two_inputs({"batch-size", 3}, {3, 5}, "MatMul")).shape("y"),
            "[\"batch-size\", 5]");
}

TEST(Inference, ShapesThatDisagreeAreNamed) {
  EXPECT_EQ(
      inferred(two_inputs({2, 3}, {4, 5}, "MatMul")).problems,
      "MatMul_1: MatMul: the last dimension of its first input and the one before the last of "
      "its second have the sizes 3 and 4\n");
  EXPECT_THAT(inferred(two_inputs({"n", 3}, {"n", 4}, "Add")).problems,
              HasSubstr("have the sizes 3 and 4"));
  ModelProto types = two_inputs({2}, {2}, "Add");
  types.mutable_graph()->mutable_input(1)->mutable_type()->mutable_tensor_type()->set_elem_type(
      TensorProto::INT64);
  EXPECT_THAT(inferred(types).problems, HasSubstr("elements of float32 and int64"));
  ModelProto few = two_inputs({2}, {2}, "Add");
  few.mutable_graph()->mutable_node(0)->mutable_input()->RemoveLast();
  EXPECT_THAT(inferred(few).problems, HasSubstr("too few inputs"));
}

// Tests that a table of positions bounds the tokens that index it: sizes beyond it were wrong.
TEST(Inference, TablesBoundSizes) {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {"b", "s", 8});
  add_weight(g, "table", {1, 512, 8});
  add_node(g, "Shape", {"x"}, {"shape"});
  add_integers(g, "one", {1});
  add_integers(g, "zero", {0});
  add_node(g, "Gather", {"shape", "one"}, {"s"});
  add_node(g, "Slice", {"table", "zero", "s", "one"}, {"rows"});
  add_node(g, "Add", {"x", "rows"}, {"y"});
  add_output(g, "y");
  const Inferred result = inferred(model);
  EXPECT_EQ(result.shape("rows"), "[1, min(512, s), 8]");
  EXPECT_EQ(result.shape("y"), "[b, s, 8]");
  Problems problems;
  const auto bounds = size_bounds(result.model, result.shapes, {{"b", 3}}, problems);
  EXPECT_EQ(text_of(problems), "");
  ASSERT_EQ(bounds.size(), 2u);
  EXPECT_EQ(bounds[0].most, 3);
  EXPECT_EQ(bounds[1].most, 512);
  EXPECT_EQ(bounds[1].origin, BoundOrigin::Model);
  size_bounds(result.model, result.shapes, {{"s", 513}, {"t", 2}}, problems);
  EXPECT_EQ(text_of(problems), "--dim s=513: the model itself ends at 512\n"
                               "--dim t=2: the model's inputs have no such dimension\n");
}

// Tests that what a run feeds has the size that the file declares of the result.
TEST(Inference, RunTimeSizesAreAsDeclared) {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {2, 3});
  add_input(g, "to", {1}, TensorProto::INT64);
  add_node(g, "Reshape", {"x", "to"}, {"r"});
  add_node(g, "Neg", {"r"}, {"y"});
  add_output(g, "y");
  EXPECT_EQ(inferred(model).shape("y"), "[r.0]");
  g.mutable_output(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->add_dim()
      ->set_dim_value(6);
  EXPECT_EQ(inferred(model).shape("y"), "[6]");
}

TEST(Inference, EveryStandardOpHasARule) {
  std::ifstream file(QUERN_SOURCE_DIR "/tests/frontends/onnx/data/standard_ops.txt");
  int ops = 0;
  for (std::string op; std::getline(file, op); ++ops)
    if (op != "Constant") // a value, when the file is read
      EXPECT_TRUE(has_rule("", op)) << op;
  EXPECT_EQ(ops, 203);
  for (const char *op :
       {"SkipLayerNormalization", "SkipSimplifiedLayerNormalization",
        "SimplifiedLayerNormalization", "RotaryEmbedding", "MultiHeadAttention", "FastGelu",
        "BiasGelu", "QuickGelu", "EmbedLayerNormalization", "Attention", "MatMulNBits"})
    EXPECT_TRUE(has_rule("com.microsoft", op)) << op;
  EXPECT_FALSE(has_rule("com.microsoft", "Gemm"));
}

// Tests exports of whole models: every value's shape, and every small integer tensor, as ONNX
// Runtime computed them (make_goldens.py).
TEST(Inference, ExportsHaveTheShapesThatRanHere) {
  const fs::path data = QUERN_SOURCE_DIR "/tests/frontends/onnx/data";
  const auto golden = nlohmann::json::parse(std::ifstream(data / "shapes.json"));
  EXPECT_EQ(golden.size(), 4u);
  const fs::path folder = fresh_folder();
  write_file(folder / "weights.bin", std::string(1 << 20, '\0'));
  for (const auto &[name, cases] : golden.items()) {
    fs::copy_file(data / (name + ".onnx"), folder / (name + ".onnx"));
    Problems problems;
    const auto model = read_model((folder / (name + ".onnx")).string(), problems);
    const Inference shapes = infer(*model, problems);
    EXPECT_EQ(text_of(problems), "") << name;
    EXPECT_TRUE(shapes.run_time_sizes.empty()) << name;
    for (const auto &run : cases) {
      const auto sizes = run["sizes"].get<std::map<std::string, int64_t>>();
      const auto values_of = [&](const std::vector<Dim> &dims) {
        std::vector<int64_t> values;
        for (const Dim &dim : dims)
          values.push_back(symbols::evaluate(dim, sizes).value_or(-99));
        return values;
      };
      for (const auto &[value, shape] : run["shapes"].items()) {
        const Fact &fact = shapes.fact(find_value(*model, value));
        ASSERT_TRUE(fact.shape) << name << " " << value;
        EXPECT_EQ(values_of(*fact.shape), shape.get<std::vector<int64_t>>())
            << name << " " << value;
      }
      for (const auto &[value, elements] : run["values"].items())
        if (const auto dims = shapes.fact(find_value(*model, value)).integers())
          EXPECT_EQ(values_of(*dims), elements.get<std::vector<int64_t>>()) << name << " " << value;
    }
    // No integer arithmetic of sizes is left to run.
    const std::vector<bool> live = live_nodes(*model, shapes);
    for (size_t i = 0; i < live.size(); ++i)
      EXPECT_FALSE(live[i] && (model->graph.nodes[i].op == "Shape" ||
                               model->graph.nodes[i].op == "ConstantOfShape"))
          << name << " " << model->graph.nodes[i].name;
  }
}

} // namespace
} // namespace quern::onnx
