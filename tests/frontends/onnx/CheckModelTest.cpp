#include "frontends/onnx/CheckModel.h"

#include "tests/frontends/onnx/Reading.h"

#include <gmock/gmock.h>

namespace quern::onnx {
namespace {

using namespace test;
using testing::HasSubstr;

std::string said(const ModelProto &model, std::vector<std::string> *notes = nullptr) {
  Problems problems;
  const auto found = check_model(
      write_file(fresh_folder() / "m.onnx", model.SerializeAsString()), {},
      [](std::string_view, std::string_view op) { return op == "Relu"; }, problems);
  if (notes != nullptr)
    *notes = found->notes;
  std::string text = text_of(problems);
  for (const Problem &problem : problems.list())
    EXPECT_NE(problem.hint, "") << problem.what;
  return text;
}

// Tests that ops are named once each, with their nodes, and that those which compute shapes are
// not.
TEST(CheckModel, OpsAreCounted) {
  std::vector<std::string> notes;
  const std::string text = said(sample_models()[0].second, &notes);
  EXPECT_THAT(text, HasSubstr("MatMul_1 and 2 more: MatMul: Quern makes no code for this op "
                              "(MatMul_1, MatMul_11, MatMul_13)\n"));
  EXPECT_THAT(text, HasSubstr("Reshape_8: Reshape: Quern makes no code for this op\n"));
  EXPECT_THAT(text, testing::Not(HasSubstr("Concat")));
  EXPECT_THAT(notes, testing::ElementsAre(
                         "test wrote it: 13 nodes, of which 7 compute what is not known before",
                         "b is at most 16 unless --dim b=MAX says otherwise",
                         "s is at most 512 unless --dim s=MAX says otherwise"));
}

TEST(CheckModel, EverythingIsSaidAtOnce) {
  ModelProto model = make_model();
  GraphProto &g = *model.mutable_graph();
  add_input(g, "x", {2, 3});
  add_input(g, "t", {"n"}, TensorProto::STRING);
  add_node(g, "MatMul", {"x", "x"}, {"y"});
  add_node(g, "Made", {"x"}, {"z"}).set_domain("some.body");
  add_node(g, "Mad", {"x"}, {"u"});
  for (const char *name : {"y", "z", "u"})
    add_output(g, name);
  const std::string text = said(model);
  EXPECT_THAT(text, HasSubstr("MatMul_1: MatMul: the last dimension"));
  EXPECT_THAT(text, HasSubstr("t: is of string"));
  EXPECT_THAT(text, HasSubstr("Made_2: some.body.Made: Quern makes no code"));
  EXPECT_THAT(text, HasSubstr("Mad_3: Mad: Quern makes no code"));
}

// Tests that nothing is said of what can be lowered.
TEST(CheckModel, SoundModelsHaveNoProblems) {
  ModelProto model = make_model();
  add_input(*model.mutable_graph(), "x", {"n"});
  add_node(*model.mutable_graph(), "Relu", {"x"}, {"y"});
  add_output(*model.mutable_graph(), "y");
  EXPECT_EQ(said(model), "");
}

} // namespace
} // namespace quern::onnx
