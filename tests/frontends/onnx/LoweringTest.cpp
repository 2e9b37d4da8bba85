#include "frontends/onnx/lowering/Lowering.h"

#include "frontends/onnx/shapes/Rules.h"
#include "tests/frontends/onnx/Lowered.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

namespace quern::onnx {
namespace {

using namespace test;
using reference::Tensor;
using testing::ElementsAre;
using testing::HasSubstr;

/// y = op(a, b).
ModelProto binary(const std::string &op, const DimTexts &a, const DimTexts &b,
                  int type = TensorProto::FLOAT) {
  ModelProto model = make_model();
  GraphProto &graph = *model.mutable_graph();
  add_input(graph, "a", a, type);
  add_input(graph, "b", b, type);
  add_node(graph, op, {"a", "b"}, {"y"});
  add_output(graph, "y", type);
  return model;
}

// Tests that the entry says what callers need: names, sizes with their bounds, element types.
TEST(Lowering, TheEntryIsDescribed) {
  Lowered lowered(binary("Add", {"b", 3}, {3}, TensorProto::UINT8), {{"b", 7}});
  const std::string text = lowered.text();
  EXPECT_THAT(text, HasSubstr("quern.model = {family = \"onnx\"}"));
  EXPECT_THAT(text, HasSubstr("quern.sizes = {b = 7 : i64}"));
  EXPECT_THAT(text, HasSubstr("%arg0: tensor<?x3xi8, #quern.dims<\"b\">> {quern.element = \"u8\", "
                              "quern.name = \"a\"}"));
  EXPECT_THAT(text, HasSubstr("-> (tensor<?x3xi8, #quern.dims<\"b\">> {quern.element = \"u8\", "
                              "quern.name = \"y\"})"));
  EXPECT_THAT(text, HasSubstr("\"Add_1\""));
}

// Tests that a step's own sizes are never a graph's.
TEST(Lowering, StepsNamesAreNotTaken) {
  const std::string text = Lowered(binary("Add", {"T", "T_"}, {"T", "T_"})).text();
  EXPECT_THAT(text, HasSubstr("quern.sizes = {T_ = 512 : i64, T__ = 16 : i64}"));
  EXPECT_THAT(text, HasSubstr("tensor<?x?xf32, #quern.dims<\"T__\", \"T_\">>"));
}

// Tests that sizes which have to be equal are checked where they are not one symbol.
TEST(Lowering, DemandsAreChecked) {
  ModelProto model = binary("Add", {"s"}, {"t"});
  add_input(*model.mutable_graph(), "c", {"s + t"});
  add_node(*model.mutable_graph(), "Add", {"y", "c"}, {"z"});
  add_output(*model.mutable_graph(), "z");
  EXPECT_THAT(Lowered(model).text(), HasSubstr("quern.equal_sizes = [["));
}

TEST(Lowering, BroadcastsOverSizesOfTheCall) {
  Lowered lowered(binary("Sub", {"b", 1, 2}, {"s", 1}));
  const Tensor y =
      lowered.call({lowered.floats({2, 1, 2}, {1, 2, 3, 4}), lowered.floats({3, 1}, {0, 10, 20})});
  EXPECT_THAT(y.shape, ElementsAre(2, 3, 2));
  EXPECT_THAT(y.floats, ElementsAre(1, 2, -9, -8, -19, -18, 3, 4, -7, -6, -17, -16));
}

// Tests that no division of integers is one that a machine traps on, and that one by 0 is told.
TEST(Lowering, IntegerDivisionsAreDefined) {
  const int64_t least = INT32_MIN;
  Lowered divide(binary("Div", {6}, {6}, TensorProto::INT32));
  EXPECT_THAT(divide
                  .call({divide.ints(32, {6}, {7, -7, 7, 5, least, least}),
                         divide.ints(32, {6}, {2, 2, -2, 1, -1, 1})})
                  .ints,
              ElementsAre(3, -3, -3, 5, least, least));
  Lowered modulo(binary("Mod", {6}, {6}, TensorProto::INT32));
  EXPECT_THAT(modulo
                  .call({modulo.ints(32, {6}, {7, -7, 7, 5, least, -6}),
                         modulo.ints(32, {6}, {3, 3, -3, 1, -1, 3})})
                  .ints,
              ElementsAre(1, 2, -2, 0, 0, 0));
  for (const char *op : {"Div", "Mod"}) {
    Lowered by_0(binary(op, {"n"}, {"n"}, TensorProto::INT64));
    EXPECT_THAT(by_0.error({by_0.ints(64, {2}, {7, 7}), by_0.ints(64, {2}, {2, 0})}),
                HasSubstr(std::string("(") + op + "_1): an integer is divided by 0"));
  }
}

TEST(Lowering, PowersOfIntegersAreExact) {
  Lowered power(binary("Pow", {6}, {6}, TensorProto::INT64));
  EXPECT_THAT(power
                  .call({power.ints(64, {6}, {3, -2, 1, -1, 5, 0}),
                         power.ints(64, {6}, {39, 3, -4, -3, -1, 0})})
                  .ints,
              ElementsAre(4052555153018976267, -8, 1, -1, 0, 1));
}

TEST(Lowering, NaNIsCarriedAndNeverEqual) {
  const double nan = std::nan("");
  Lowered most(binary("Max", {3}, {3}));
  const Tensor y = most.call({most.floats({3}, {nan, 1, 2}), most.floats({3}, {1, nan, 3})});
  EXPECT_TRUE(std::isnan(y.floats[0]) && std::isnan(y.floats[1]));
  EXPECT_EQ(y.floats[2], 3);
  ModelProto equal = binary("Equal", {2}, {2});
  equal.mutable_graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      TensorProto::BOOL);
  Lowered same(equal);
  EXPECT_THAT(same.call({same.floats({2}, {nan, 0}), same.floats({2}, {nan, -0.0})}).ints,
              ElementsAre(0, 1));
}

// Tests that indices count from the end where they are negative, and that others are told.
TEST(Lowering, GatherReadsInside) {
  ModelProto model = make_model();
  GraphProto &graph = *model.mutable_graph();
  add_input(graph, "x", {"n", 2});
  add_input(graph, "i", {4}, TensorProto::INT64);
  add_node(graph, "Gather", {"x", "i"}, {"y"});
  add_output(graph, "y");
  Lowered lowered(model);
  const Tensor y = lowered.call(
      {lowered.floats({3, 2}, {0, 1, 2, 3, 4, 5}), lowered.ints(64, {4}, {2, -1, -3, 0})});
  EXPECT_THAT(y.floats, ElementsAre(4, 5, 4, 5, 0, 1, 0, 1));
  for (const int64_t outside : {3, -4})
    EXPECT_THAT(
        lowered.error({lowered.floats({3, 2}, {0, 1, 2, 3, 4, 5}),
                       lowered.ints(64, {4}, {2, -1, outside, 0})}),
        HasSubstr("(Gather_1): index " + std::to_string(outside) + " is not within -3 to 2"));
  EXPECT_THAT(lowered.error({lowered.floats({0, 2}, {}), lowered.ints(64, {4}, {0, 0, 0, 0})}),
              HasSubstr("(Gather_1): index 0 into what has no elements"));
}

// Tests that there may be fewer indices than elements beside the axis, by sizes that a call
// chooses, and that more are told.
TEST(Lowering, GatherElementsOfFewerRows) {
  ModelProto model = make_model();
  GraphProto &graph = *model.mutable_graph();
  add_input(graph, "x", {"n", 3});
  add_input(graph, "i", {"m", 2}, TensorProto::INT64);
  set_int(add_node(graph, "GatherElements", {"x", "i"}, {"y"}), "axis", 1);
  add_output(graph, "y");
  Lowered lowered(model);
  const Tensor x = lowered.floats({2, 3}, {0, 1, 2, 3, 4, 5});
  EXPECT_THAT(lowered.call({x, lowered.ints(64, {1, 2}, {2, 0})}).floats, ElementsAre(2, 0));
  EXPECT_THAT(lowered.call({x, lowered.ints(64, {2, 2}, {2, 0, -1, -3})}).floats,
              ElementsAre(2, 0, 5, 3));
  EXPECT_THAT(lowered.error({x, lowered.ints(64, {3, 2}, {2, 0, 1, 0, 0, 0})}),
              HasSubstr("index 2 is not within -2 to 1"));
}

// Tests that an image whose size a call chooses is scaled by fractions, and that what lies in the
// middle between two places is taken as the mode says, though halves are rarely floats.
TEST(Lowering, ResizeByFractions) {
  const auto resized = [](float scale, std::vector<int64_t> sizes, const char *mode, int64_t n) {
    ModelProto model = make_model(19);
    GraphProto &graph = *model.mutable_graph();
    add_input(graph, "x", {"n"});
    if (sizes.empty()) {
      TensorProto &by = *graph.add_initializer();
      by.set_name("by");
      by.set_data_type(TensorProto::FLOAT);
      by.add_dims(1);
      by.add_float_data(scale);
    } else
      add_integers(graph, "by", sizes);
    NodeProto &node = sizes.empty() ? add_node(graph, "Resize", {"x", "", "by"}, {"y"})
                                    : add_node(graph, "Resize", {"x", "", "", "by"}, {"y"});
    set_string(node, "mode", "nearest");
    set_string(node, "coordinate_transformation_mode", "asymmetric");
    set_string(node, "nearest_mode", mode);
    add_output(graph, "y");
    Lowered lowered(model);
    std::vector<double> places(static_cast<size_t>(n));
    std::iota(places.begin(), places.end(), 0);
    return lowered.call({lowered.floats({n}, places)}).floats;
  };
  EXPECT_THAT(resized(1.5F, {}, "floor", 3), ElementsAre(0, 0, 1, 2));
  EXPECT_THAT(resized(1.5F, {}, "floor", 4), ElementsAre(0, 0, 1, 2, 2, 3));
  EXPECT_THAT(resized(0.7F, {}, "floor", 10), testing::SizeIs(7));
  EXPECT_THAT(resized(0, {4}, "round_prefer_ceil", 7), ElementsAre(0, 2, 4, 5));
  EXPECT_THAT(resized(0, {4}, "round_prefer_floor", 7), ElementsAre(0, 2, 3, 5));
}

// Tests that what a mask chooses is as long as that, in the result's shape and in what is computed
// of it; that where the file says how long it is, it has to be; and that less may be reserved for
// it.
TEST(Lowering, MasksChoose) {
  ModelProto model = make_model();
  GraphProto &graph = *model.mutable_graph();
  add_input(graph, "x", {"a", "b"});
  add_node(graph, "NonZero", {"x"}, {"at"});
  add_node(graph, "Add", {"at", "at"}, {"y"});
  add_output(graph, "y", TensorProto::INT64);
  Lowered lowered(model);
  const auto some = [](Lowered &of) { return of.floats({2, 3}, {0, 1, 0, -2, 0, 3}); };
  const Tensor y = lowered.call({some(lowered)});
  EXPECT_THAT(y.shape, ElementsAre(2, 3));
  EXPECT_THAT(y.ints, ElementsAre(0, 2, 2, 2, 0, 4));
  EXPECT_THAT(lowered.call({lowered.floats({2, 3}, {0, 0, 0, 0, 0, 0})}).shape, ElementsAre(2, 0));
  const std::string text = lowered.text();
  EXPECT_THAT(text, HasSubstr("quern.counted_sizes = {at.1 = \"a*b\"}"));
  EXPECT_THAT(text, HasSubstr("at.1 = 8192 : i64"));
  Lowered less(model, {{"at.1", 2}});
  EXPECT_THAT(less.error({some(less)}),
              HasSubstr("3 elements are more than the 2 that there is room for"));
  auto *shape = graph.mutable_output(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
  shape->add_dim()->set_dim_value(2);
  shape->add_dim()->set_dim_value(4);
  Lowered declared(model);
  EXPECT_THAT(declared.error({some(declared)}), HasSubstr("3 elements, where there have to be 4"));
  EXPECT_THAT(declared.call({declared.floats({2, 2}, {1, 1, 1, 1})}).shape, ElementsAre(2, 4));
}

// Tests that a condition may be shorter than what it chooses from, and longer.
TEST(Lowering, CompressTakesShortConditions) {
  for (const bool axis : {false, true}) {
    ModelProto model = make_model();
    GraphProto &graph = *model.mutable_graph();
    add_input(graph, "x", {2, 3});
    add_input(graph, "c", {"n"}, TensorProto::BOOL);
    NodeProto &node = add_node(graph, "Compress", {"x", "c"}, {"y"});
    if (axis)
      set_int(node, "axis", 1);
    add_output(graph, "y");
    Lowered lowered(model);
    const Tensor x = lowered.floats({2, 3}, {0, 1, 2, 3, 4, 5});
    const Tensor y = lowered.call({x, lowered.ints(1, {2}, {0, 1})});
    EXPECT_THAT(y.floats,
                axis ? testing::ElementsAreArray({1.0, 4.0}) : testing::ElementsAreArray({1.0}));
    EXPECT_EQ(lowered.call({x, lowered.ints(1, {9}, {1, 1, 1, 1, 1, 1, 1, 1, 1})}).floats,
              x.floats);
  }
}

// Tests that a product with a matrix of the file is a linear on rows, and others are not.
TEST(Lowering, ProductsWithWeightsAreLinears) {
  ModelProto model = make_model();
  GraphProto &graph = *model.mutable_graph();
  add_input(graph, "x", {"b", "s", 64});
  add_weight(graph, "w", {64, 32});
  add_node(graph, "MatMul", {"x", "w"}, {"y"});
  add_output(graph, "y");
  const std::string text = Lowered(model).text();
  EXPECT_THAT(text, HasSubstr("quern.weight @w : !quern.weight<64x32, \"f32\">"));
  EXPECT_THAT(text, HasSubstr("quern.weight_transpose"));
  EXPECT_THAT(text, HasSubstr("tensor<?x64xf32, #quern.dims<\"b*s\">>"));
  EXPECT_THAT(text, HasSubstr("quern.linear"));
  EXPECT_THAT(Lowered(binary("MatMul", {"b", 64}, {64, 32})).text(),
              testing::Not(HasSubstr("quern.linear")));
}

// Tests that what computes shapes leaves nothing behind, and that sizes are what bounds make them.
TEST(Lowering, ShapesAreGone) {
  ModelProto model = make_model();
  GraphProto &graph = *model.mutable_graph();
  add_input(graph, "x", {"b", "s", 8});
  add_integers(graph, "tail", {2, 4});
  add_node(graph, "Shape", {"x"}, {"shape"});
  add_integers(graph, "first", {0, 1});
  add_node(graph, "Gather", {"shape", "first"}, {"lead"});
  set_int(add_node(graph, "Concat", {"lead", "tail"}, {"to"}), "axis", 0);
  add_node(graph, "Reshape", {"x", "to"}, {"y"});
  add_output(graph, "y");
  const std::string text = Lowered(model).text();
  EXPECT_THAT(text, HasSubstr("quern.reshape"));
  EXPECT_THAT(text, testing::Not(HasSubstr("linalg")));
  EXPECT_THAT(text, testing::Not(HasSubstr("tensor.extract")));
}

// Tests that what the run alone tells is refused by the node's name, and what is believed is said.
TEST(Lowering, RunTimeShapesAreRefusedOrNoted) {
  ModelProto model = make_model();
  GraphProto &graph = *model.mutable_graph();
  add_input(graph, "x", {6});
  add_input(graph, "to", {2}, TensorProto::INT64);
  add_node(graph, "Reshape", {"x", "to"}, {"y"});
  add_node(graph, "Relu", {"y"}, {"z"});
  add_output(graph, "z");
  EXPECT_EQ(Lowered(model).problems(),
            "Reshape_1: Reshape: its result's shape, [y.0, y.1], depends "
            "on what the model computes\n");
  auto *shape = graph.mutable_output(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
  shape->add_dim()->set_dim_value(2);
  shape->add_dim()->set_dim_value(3);
  *graph.add_value_info() = graph.output(0);
  graph.mutable_value_info(0)->set_name("y");
  Lowered declared(model);
  EXPECT_EQ(declared.problems(), "");
  EXPECT_THAT(declared.notes(), ElementsAre(HasSubstr("taken to be [2, 3], as the file says")));
}

// Tests that no body is as long as a hostile file's list of inputs, and that the sum stays the
// same.
TEST(Lowering, ManyInputsAreFoldedInTurns) {
  ModelProto model = make_model();
  GraphProto &graph = *model.mutable_graph();
  add_input(graph, "x", {2});
  add_node(graph, "Mean", std::vector<std::string>(300, "x"), {"y"});
  add_output(graph, "y");
  Lowered lowered(model);
  const Tensor y = lowered.call({lowered.floats({2}, {1, -3})});
  EXPECT_THAT(y.floats, ElementsAre(1, -3));
  size_t longest = 0;
  lowered.module().walk([&](mlir::linalg::GenericOp generic) {
    longest = std::max(longest, generic.getBody()->getOperations().size());
  });
  EXPECT_LT(longest, 70u);
}

// Tests that every fault is found at once, each under its node's name with what to do.
TEST(Lowering, RefusalsNameNodes) {
  ModelProto model = make_model();
  GraphProto &graph = *model.mutable_graph();
  add_input(graph, "x", {2, 3}, TensorProto::INT8);
  add_node(graph, "Sin", {"x"}, {"u"});
  add_input(graph, "f", {2, 3});
  set_string(add_node(graph, "Pad", {"f", "p"}, {"v"}), "mode", "round");
  add_integers(graph, "p", {0, 0, 1, 1});
  add_node(graph, "And", {"f", "f"}, {"w"});
  for (const char *name : {"u", "v", "w"})
    add_output(graph, name);
  const std::string problems = Lowered(model).problems();
  EXPECT_THAT(problems, HasSubstr("Sin_1: Sin: its first input is of int8, and it takes floats"));
  EXPECT_THAT(problems, HasSubstr("Pad_2: Pad: it pads by mode 'round'"));
  EXPECT_THAT(problems, HasSubstr("And_3: And: its first input is of float32, and it takes bool"));
}

// Tests that an op is lowered only if its shapes can be inferred.
TEST(Lowering, WhatIsLoweredIsInferred) {
  for (const char *op : {"Add", "Attention", "Conv", "Resize", "TopK", "Einsum"}) {
    EXPECT_TRUE(can_lower("", op)) << op;
    EXPECT_TRUE(has_rule("", op)) << op;
  }
  EXPECT_TRUE(can_lower("com.microsoft", "SkipLayerNormalization"));
  EXPECT_FALSE(can_lower("", "SkipLayerNormalization"));
  EXPECT_FALSE(can_lower("some.body", "Add"));
  EXPECT_FALSE(can_lower("", "Loop"));
}

} // namespace
} // namespace quern::onnx
