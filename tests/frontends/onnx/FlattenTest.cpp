#include "frontends/onnx/flatten/Flatten.h"

#include "tests/frontends/onnx/Lowered.h"

#include <gmock/gmock.h>

namespace quern::onnx {
namespace {

using namespace test;
using reference::Tensor;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

void set_shape(::onnx::ValueInfoProto &value, const std::vector<int64_t> &shape) {
  auto *to = value.mutable_type()->mutable_tensor_type()->mutable_shape();
  for (const int64_t size : shape)
    to->add_dim()->set_dim_value(size);
}

/// y = x + 1 where c, else x * x.
ModelProto choice(bool known, const char *other = "Mul") {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {2});
  if (known)
    add_weight(g, "zero", {});
  else
    add_input(g, "c", {}, TensorProto::BOOL);
  if (known)
    set_int(add_node(g, "Cast", {"zero"}, {"c"}), "to", TensorProto::BOOL);
  NodeProto &node = add_node(g, "If", {"c"}, {"y"});
  GraphProto &yes = set_graph(node, "then_branch");
  add_node(yes, "Exp", {"x"}, {"grown"});
  add_output(yes, "grown");
  GraphProto &no = set_graph(node, "else_branch");
  add_node(no, other, {"x", "x"}, {"squared"});
  add_output(no, "squared");
  add_output(g, "y");
  return model;
}

// Tests that numbers whose sizes do not fit are said, and not read, in a branch of which it is not
// known whether it is taken.
TEST(Flatten, BranchesSayWhatDoesNotFit) {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "c", {}, TensorProto::BOOL);
  add_weight(g, "x", {2});
  NodeProto &node = add_node(g, "If", {"c"}, {"y"});
  for (const char *name : {"then_branch", "else_branch"}) {
    GraphProto &branch = set_graph(node, name);
    for (const auto &[tensor, size] : {std::pair("three", 3), std::pair("none", 0)}) {
      TensorProto &numbers = *branch.add_initializer();
      numbers.set_name(tensor);
      numbers.set_data_type(TensorProto::INT64);
      numbers.add_dims(size);
      for (int i = 0; i < size; ++i)
        numbers.add_int64_data(i);
    }
    add_node(branch, "Add", {"three", "none"}, {"sum"});
    add_node(branch, "Exp", {"x"}, {"grown"});
    add_output(branch, "grown");
  }
  add_output(g, "y");
  Problems problems;
  Model sound = read_sound(model);
  flatten(sound, problems);
  EXPECT_THAT(text_of(problems), HasSubstr("have the sizes 3 and 0"));
}

TEST(Flatten, AKnownBranchStandsForItsIf) {
  Lowered lowered(choice(true));
  EXPECT_THAT(lowered.text(), Not(HasSubstr("math.exp")));
  EXPECT_THAT(lowered.call({lowered.floats({2}, {3, 4})}).floats, ElementsAre(9, 16));
}

TEST(Flatten, BranchesThatARunTakesAreChosenFrom) {
  Lowered lowered(choice(false));
  const Tensor x = lowered.floats({2}, {0, 4});
  EXPECT_THAT(lowered.call({x, lowered.ints(1, {}, {1})}).floats[0], 1);
  EXPECT_THAT(lowered.call({x, lowered.ints(1, {}, {0})}).floats, ElementsAre(0, 16));
}

// Tests that branches of unlike shapes are left, and that it is said why.
TEST(Flatten, BranchesOfUnlikeShapesAreLeft) {
  const ModelProto proto = choice(false, "MatMul");
  Model model = read_sound(proto);
  Problems problems;
  const Inference inference = flatten(model, problems);
  ASSERT_EQ(model.graph.nodes.size(), 1u);
  const auto why = WhyNotFlat(model, inference)(model.graph.nodes[0]);
  ASSERT_TRUE(why.has_value());
  EXPECT_THAT(why->what, HasSubstr("only a run tells which of its branches is taken, and they "
                                   "give [2] and []"));
}

/// Sums of x's squares, 2 turns in each of at most `turns`, with what is summed after each turn.
/// The loop ends when the sum is not less than the limit.
ModelProto summing(bool counted, bool stacked) {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {});
  add_input(g, "limit", {});
  if (counted)
    add_integers(g, "turns", {4}, true);
  else
    add_input(g, "turns", {}, TensorProto::INT64);
  add_node(g, "Less", {"x", "limit"}, {"begin"});
  NodeProto &node =
      add_node(g, "Loop", {"turns", counted ? "begin" : "", "x"},
               stacked ? std::vector<std::string>{"y", "all"} : std::vector<std::string>{"y"});
  GraphProto &body = set_graph(node, "body");
  add_input(body, "turn", {}, TensorProto::INT64);
  add_input(body, "go", {}, TensorProto::BOOL);
  add_input(body, "sum", {});
  set_int(add_node(body, "Cast", {"turn"}, {"t"}), "to", TensorProto::FLOAT);
  add_node(body, "Add", {"sum", "t"}, {"more"});
  if (counted)
    add_node(body, "Less", {"more", "limit"}, {"next"});
  else
    add_node(body, "Identity", {"go"}, {"next"});
  add_node(body, "Identity", {"more"}, {"seen"});
  add_output(body, "next", TensorProto::BOOL);
  add_output(body, "more");
  if (stacked)
    add_output(body, "seen");
  add_output(g, stacked ? "all" : "y");
  return model;
}

// Tests that a loop which may end before its last turn keeps what it had.
TEST(Flatten, LoopsEndWhereTheirConditionDoes) {
  Lowered lowered(summing(true, false));
  const auto sum = [&](double x, double limit) {
    return lowered.call({lowered.floats({}, {x}), lowered.floats({}, {limit})}).floats[0];
  };
  EXPECT_EQ(sum(1, 100), 7); // 1 + 0 + 1 + 2 + 3
  EXPECT_EQ(sum(1, 4), 4);   // 1 + 0 + 1 + 2
  EXPECT_EQ(sum(1, 2), 2);
  EXPECT_EQ(sum(1, 1), 1); // no turn
}

// Tests that the size of stacked results, where the file says it, is how often a loop turns.
TEST(Flatten, LoopsTurnAsOftenAsTheirResultsSay) {
  ModelProto proto = summing(false, true);
  set_shape(*proto.mutable_graph()->mutable_output(0), {3});
  Lowered lowered(proto);
  EXPECT_THAT(
      lowered.call({lowered.floats({}, {1}), lowered.floats({}, {0}), lowered.ints(64, {}, {3})})
          .floats,
      ElementsAre(1, 2, 4));
}

TEST(Flatten, LoopsOfUnknownLengthAreLeft) {
  for (const bool stacked : {false, true}) {
    Model model = read_sound(summing(false, stacked));
    Problems problems;
    const Inference inference = flatten(model, problems);
    const auto loop = std::ranges::find(model.graph.nodes, "Loop", &Node::op);
    ASSERT_NE(loop, model.graph.nodes.end());
    EXPECT_THAT(WhyNotFlat(model, inference)(*loop)->what,
                HasSubstr("only a run tells how often it turns"));
  }
}

// Tests loops in loops, each copy with values of its own, and shapes that change from turn to turn.
TEST(Flatten, LoopsLieInLoops) {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {1});
  add_integers(g, "two", {2}, true);
  NodeProto &outer = add_node(g, "Loop", {"two", "", "x"}, {"y"});
  const auto fill = [](GraphProto &body, const std::string &level, const std::string &carried) {
    add_input(body, "turn" + level, {}, TensorProto::INT64);
    add_input(body, "go" + level, {}, TensorProto::BOOL);
    auto *input = body.add_input();
    input->set_name(carried);
    input->mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::FLOAT);
  };
  GraphProto &body = set_graph(outer, "body");
  fill(body, "1", "a");
  NodeProto &inner = add_node(body, "Loop", {"two", "", "a"}, {"b"});
  add_output(body, "go1", TensorProto::BOOL);
  add_output(body, "b");
  GraphProto &deep = set_graph(inner, "body");
  fill(deep, "2", "c");
  set_int(add_node(deep, "Concat", {"c", "x"}, {"d"}), "axis", 0);
  add_output(deep, "go2", TensorProto::BOOL);
  add_output(deep, "d");
  add_output(g, "y");
  Lowered lowered(model);
  EXPECT_THAT(lowered.call({lowered.floats({1}, {7})}).floats, ElementsAre(7, 7, 7, 7, 7));
}

// Tests that sequences are gone through along their axes and backwards.
TEST(Flatten, ScansGoBackwardsAlongAnyAxis) {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "start", {2});
  add_input(g, "x", {2, 3});
  NodeProto &node = add_node(g, "Scan", {"start", "x"}, {"last", "y"});
  set_int(node, "num_scan_inputs", 1);
  set_ints(node, "scan_input_axes", {-1});
  set_ints(node, "scan_input_directions", {1});
  set_ints(node, "scan_output_axes", {1});
  set_ints(node, "scan_output_directions", {1});
  GraphProto &body = set_graph(node, "body");
  add_input(body, "sum", {2});
  add_input(body, "next", {2});
  add_node(body, "Add", {"sum", "next"}, {"more"});
  add_node(body, "Neg", {"more"}, {"seen"});
  add_output(body, "more");
  add_output(body, "seen");
  add_output(g, "y");
  Lowered lowered(model);
  const Tensor y =
      lowered.call({lowered.floats({2}, {0, 10}), lowered.floats({2, 3}, {1, 2, 4, 5, 6, 7})});
  EXPECT_THAT(y.shape, ElementsAre(2, 3));
  EXPECT_THAT(y.floats, ElementsAre(-7, -6, -4, -28, -23, -17));
}

TEST(Flatten, ScansOfALengthThatACallChoosesAreLeft) {
  ModelProto proto = make_model();
  GraphProto &g = *proto.mutable_graph();
  add_input(g, "x", {"n", 2});
  NodeProto &node = add_node(g, "Scan", {"x"}, {"y"});
  set_int(node, "num_scan_inputs", 1);
  GraphProto &body = set_graph(node, "body");
  add_input(body, "next", {2});
  add_node(body, "Neg", {"next"}, {"seen"});
  add_output(body, "seen");
  add_output(g, "y");
  Model model = read_sound(proto);
  Problems problems;
  const Inference inference = flatten(model, problems);
  EXPECT_THAT(WhyNotFlat(model, inference)(model.graph.nodes[0])->what,
              HasSubstr("how long its sequences are, n, is chosen by a call"));
}

// Tests that a size which an input says is the one that the file says of the result, where nothing
// in between has a shape without it.
TEST(Flatten, SizesOfARunFollowFromResults) {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {3});
  add_input(g, "s", {1}, TensorProto::INT64);
  add_integers(g, "zero", {0});
  add_node(g, "Shape", {"x"}, {"now"});
  add_node(g, "Max", {"now", "s"}, {"padded"});
  add_node(g, "Sub", {"padded", "now"}, {"more"});
  set_int(add_node(g, "Concat", {"zero", "more"}, {"pads"}), "axis", 0);
  add_node(g, "Pad", {"x", "pads"}, {"wide"});
  add_node(g, "Slice", {"wide", "zero", "s"}, {"y"});
  add_output(g, "y");
  Problems problems;
  Model open = read_sound(model);
  EXPECT_EQ(shape_text(flatten(open, problems).fact(find_value(open, "wide")).shape), "[wide.0]");
  set_shape(*g.mutable_output(0), {5});
  Lowered lowered(model);
  EXPECT_THAT(lowered.call({lowered.floats({3}, {1, 2, 3}), lowered.ints(64, {1}, {5})}).floats,
              ElementsAre(1, 2, 3, 0, 0));
}

TEST(Flatten, OptionalsAreWhatIsInThem) {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {2});
  add_node(g, "Optional", {"x"}, {"o"});
  add_node(g, "OptionalHasElement", {"o"}, {"has"});
  add_node(g, "OptionalGetElement", {"o"}, {"got"});
  add_node(g, "Neg", {"x"}, {"other"});
  add_node(g, "Where", {"has", "got", "other"}, {"y"});
  add_output(g, "y");
  Lowered lowered(model);
  EXPECT_THAT(lowered.call({lowered.floats({2}, {3, 4})}).floats, ElementsAre(3, 4));
}

} // namespace
} // namespace quern::onnx
