// Ops on whole tensors: parts, shapes, what sizes and weights are as tensors.
#include "tests/ir/reference/CallModule.h"

namespace quern::reference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SliceTest, ExtractsWhatFits) {
  CallModule module(main_text(
      R"((%x: tensor<4x5xi32>, %s: tensor<?xi8, #quern.dims<"a">>, %o: tensor<index>) -> tensor<?x2xi32, #quern.dims<"a">>)",
      R"(%n = quern.size "a"
  %first = tensor.extract %o[] : tensor<index>
  %y = tensor.extract_slice %x[%first, 1] [%n, 2] [2, 3] : tensor<4x5xi32> to tensor<?x2xi32, #quern.dims<"a">>
  return %y : tensor<?x2xi32, #quern.dims<"a">>)"));
  std::vector<int64_t> numbers(20);
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = static_cast<int64_t>(i);
  const Tensor x = module.ints("i32", {4, 5}, numbers);
  const auto of = [&](int64_t size, int64_t offset) {
    return std::vector<Tensor>{
        x, module.ints("i8", {size}, std::vector<int64_t>(static_cast<size_t>(size))),
        module.ints("index", {}, {offset})};
  };
  EXPECT_THAT(module.result(of(2, 1)).ints, ElementsAre(6, 9, 16, 19));
  EXPECT_THAT(module.result(of(1, 3)).ints, ElementsAre(16, 19));
  EXPECT_THAT(module.result(of(0, 4)).shape, ElementsAre(0, 2));
  EXPECT_THAT(
      module.error(of(2, 2)),
      HasSubstr("tensor.extract_slice: 2 elements from 2 by 2 in dimension 0 of a tensor of "
                "shape [4, 5]"));
  EXPECT_THAT(module.error(of(1, -1)), HasSubstr("1 elements from -1"));
  EXPECT_THAT(module.error(of(0, 5)), HasSubstr("0 elements from 5"));
}

TEST(SliceTest, DropsDimensionsOfOne) {
  CallModule module(main_text(
      "(%x: tensor<2x3xf32>) -> tensor<3xf32>",
      R"(%y = tensor.extract_slice %x[1, 0] [1, 3] [1, 1] : tensor<2x3xf32> to tensor<3xf32>
  return %y : tensor<3xf32>)"));
  EXPECT_THAT(module.result({module.floats("f32", {2, 3}, {1, 2, 3, 4, 5, 6})}).floats,
              ElementsAre(4, 5, 6));
}

TEST(SliceTest, ConcatenatesAlongAnyDimension) {
  CallModule module(main_text(
      R"((%x: tensor<2x?xf32, #quern.dims<"a">>, %y: tensor<2x?xf32, #quern.dims<"b">>) -> tensor<2x?xf32, #quern.dims<"a + 2*b">>)",
      R"(%c = tensor.concat dim(1) %y, %x, %y : (tensor<2x?xf32, #quern.dims<"b">>, tensor<2x?xf32, #quern.dims<"a">>, tensor<2x?xf32, #quern.dims<"b">>) -> tensor<2x?xf32, #quern.dims<"a + 2*b">>
  return %c : tensor<2x?xf32, #quern.dims<"a + 2*b">>)"));
  const Tensor x = module.floats("f32", {2, 2}, {1, 2, 3, 4}),
               y = module.floats("f32", {2, 1}, {5, 6}), none = module.floats("f32", {2, 0}, {});
  EXPECT_THAT(module.result({x, y}).floats, ElementsAre(5, 1, 2, 5, 6, 3, 4, 6));
  EXPECT_THAT(module.result({x, none}).floats, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(module.result({none, none}).shape, ElementsAre(2, 0));
}

TEST(SliceTest, PadsBySizes) {
  CallModule module(
      main_text(R"((%x: tensor<?xi16, #quern.dims<"a">>, %p: tensor<index>) -> tensor<?xi16>)",
                R"(%n = tensor.extract %p[] : tensor<index>
  %nine = arith.constant 9 : i16
  %y = tensor.pad %x low[%n] high[1] {
  ^bb0(%i: index):
    tensor.yield %nine : i16
  } : tensor<?xi16, #quern.dims<"a">> to tensor<?xi16>
  return %y : tensor<?xi16>)"));
  const Tensor x = module.ints("i16", {2}, {1, 2});
  EXPECT_THAT(module.result({x, module.ints("index", {}, {2})}).ints, ElementsAre(9, 9, 1, 2, 9));
  EXPECT_THAT(module.error({x, module.ints("index", {}, {-1})}),
              HasSubstr("tensor.pad: pads dimension 0 by -1 and 1"));
}

TEST(SliceTest, PadsWithAConstantOfItsRegion) {
  CallModule module(main_text("(%x: tensor<1x1xf32>) -> tensor<2x2xf32>",
                              R"(%y = tensor.pad %x low[0, 1] high[1, 0] {
  ^bb0(%i: index, %j: index):
    %z = arith.constant 7.0 : f32
    tensor.yield %z : f32
  } : tensor<1x1xf32> to tensor<2x2xf32>
  return %y : tensor<2x2xf32>)"));
  EXPECT_THAT(module.result({module.floats("f32", {1, 1}, {1})}).floats, ElementsAre(7, 1, 7, 7));
}

TEST(SliceTest, ReshapesBySizes) {
  CallModule module(main_text(
      R"((%x: tensor<?x?x4xf32, #quern.dims<"b", "s">>) -> tensor<?x2x?xf32, #quern.dims<"b*s", "2">>)",
      R"(%y = quern.reshape %x : tensor<?x?x4xf32, #quern.dims<"b", "s">> -> tensor<?x2x?xf32, #quern.dims<"b*s", "2">>
  return %y : tensor<?x2x?xf32, #quern.dims<"b*s", "2">>)"));
  const Tensor y = module.result({module.floats("f32", {1, 2, 4}, {1, 2, 3, 4, 5, 6, 7, 8})});
  EXPECT_THAT(y.shape, ElementsAre(2, 2, 2));
  EXPECT_THAT(y.floats, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
}

TEST(SliceTest, AReshapeThatDoesNotFitIsAnError) {
  CallModule module(main_text(
      R"((%x: tensor<?x4xf32, #quern.dims<"s">>) -> tensor<?x3xf32, #quern.dims<"s">>)",
      R"(%y = quern.reshape %x : tensor<?x4xf32, #quern.dims<"s">> -> tensor<?x3xf32, #quern.dims<"s">>
  return %y : tensor<?x3xf32, #quern.dims<"s">>)"));
  EXPECT_THAT(module.error({module.floats("f32", {1, 4}, {1, 2, 3, 4})}),
              HasSubstr("quern.reshape: a tensor of shape [1, 4] has not the elements of one of "
                        "shape [1, 3]"));
}

TEST(SliceTest, ShapesHaveToBeWhatTypesSay) {
  CallModule module(
      main_text(R"((%x: tensor<?xf32, #quern.dims<"s">>) -> tensor<?xf32, #quern.dims<"s">>)",
                R"(%n = quern.size "s + 1"
  %z = arith.constant 0.0 : f32
  %y = tensor.splat %z[%n] : tensor<?xf32, #quern.dims<"s">>
  return %y : tensor<?xf32, #quern.dims<"s">>)"));
  EXPECT_THAT(module.error({module.floats("f32", {2}, {1, 2})}),
              HasSubstr("tensor.splat: dimension 0 is 3 and not 2, which tensor<?xf32"));
}

TEST(SliceTest, CastsBetweenWhatTypesSay) {
  CallModule module(
      main_text(R"((%x: tensor<?xf32, #quern.dims<"s">>) -> tensor<2xf32>)",
                R"(%y = tensor.cast %x : tensor<?xf32, #quern.dims<"s">> to tensor<?xf32>
  %z = tensor.cast %y : tensor<?xf32> to tensor<2xf32>
  return %z : tensor<2xf32>)"));
  EXPECT_THAT(module.result({module.floats("f32", {2}, {1, 2})}).floats, ElementsAre(1, 2));
  EXPECT_THAT(module.error({module.floats("f32", {3}, {1, 2, 3})}),
              HasSubstr("tensor.cast: dimension 0 is 3 and not 2"));
}

TEST(SliceTest, ConstantsOfEveryType) {
  for (const auto &[type, text] :
       std::vector<std::pair<std::string, std::string>>{{"i1", "[true, false]"},
                                                        {"i4", "[7, -8]"},
                                                        {"i8", "[1, -1]"},
                                                        {"i64", "[4611686018427387905, -1]"},
                                                        {"f16", "[1.5, -65504.0]"},
                                                        {"bf16", "[1.5, -2.0]"},
                                                        {"f32", "[0.1, 1.0e+30]"},
                                                        {"f64", "[0.1, 1.0e+300]"},
                                                        {"f8E4M3FN", "[448.0, 0.5]"}}) {
    CallModule module(main_text("() -> tensor<2x" + type + ">",
                                "%y = arith.constant dense<" + text + "> : tensor<2x" + type +
                                    ">\nreturn %y : tensor<2x" + type + ">"));
    const Tensor y = module.result({});
    const std::map<std::string, std::vector<double>> floats{
        {"f16", {1.5, -65504}},
        {"bf16", {1.5, -2}},
        {"f32", {static_cast<double>(0.1f), static_cast<double>(1e30f)}},
        {"f64", {0.1, 1e300}},
        {"f8E4M3FN", {448, 0.5}}};
    const std::map<std::string, std::vector<int64_t>> ints{
        {"i1", {1, 0}}, {"i4", {7, -8}}, {"i8", {1, -1}}, {"i64", {4611686018427387905, -1}}};
    if (floats.contains(type))
      EXPECT_EQ(y.floats, floats.at(type)) << type;
    else
      EXPECT_EQ(y.ints, ints.at(type)) << type;
  }
}

TEST(SliceTest, AConstantOfOneNumberFills) {
  CallModule module(
      main_text("() -> (tensor<2xi1>)",
                "%y = arith.constant dense<true> : tensor<2xi1>\nreturn %y : tensor<2xi1>"));
  EXPECT_THAT(module.result({}).ints, ElementsAre(1, 1));
}

TEST(SliceTest, WeightsAreTensorsToo) {
  CallModule module(main_text("() -> tensor<6x4xf32>",
                              R"(%w = quern.weight_ref @w : !quern.weight<6x4, "f32">
  %y = quern.weight_tensor %w : !quern.weight<6x4, "f32"> -> tensor<6x4xf32>
  return %y : tensor<6x4xf32>)",
                              weight_text("w", "6x4")));
  EXPECT_EQ(module.result({}).floats, synthetic("w", 6, 4).values);
}

TEST(SliceTest, ATensorOfTooManyElementsIsAnError) {
  CallModule module(main_text(
      R"((%x: tensor<?xf32, #quern.dims<"s">>) -> tensor<?x?xf32, #quern.dims<"1000000*s", "1000000*s">>)",
      R"(%n = quern.size "1000000*s"
  %y = tensor.empty(%n, %n) : tensor<?x?xf32, #quern.dims<"1000000*s", "1000000*s">>
  return %y : tensor<?x?xf32, #quern.dims<"1000000*s", "1000000*s">>)"));
  EXPECT_THAT(module.error({module.floats("f32", {2}, {1, 2})}),
              HasSubstr("tensor.empty: a tensor of shape [2000000, 2000000] has more than"));
}

} // namespace
} // namespace quern::reference
