// linalg on tensors: loops, maps, reductions and contractions, against plain loops.
#include "tests/ir/reference/CallModule.h"

#include <limits>

namespace quern::reference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A generic's text: `maps` as "(d0, d1) -> (d0)", `iterators` as "pr".
std::string generic(const std::vector<std::string> &maps, const std::string &iterators,
                    const std::string &operands, const std::string &body) {
  std::string text = "linalg.generic {indexing_maps = [";
  for (size_t i = 0; i < maps.size(); ++i)
    text += (i ? ", " : "") + ("affine_map<" + maps[i] + ">");
  text += "], iterator_types = [";
  for (size_t i = 0; i < iterators.size(); ++i)
    text += std::string(i ? ", " : "") + (iterators[i] == 'p' ? "\"parallel\"" : "\"reduction\"");
  return text + "]} " + operands + " {\n" + body + "\n}";
}

TEST(GenericTest, BroadcastsAndFollowsSizesOfTheInputs) {
  CallModule module(main_text(
      R"((%x: tensor<?x3xf32, #quern.dims<"b">>, %y: tensor<1x3xf32>) -> tensor<?x3xf32, #quern.dims<"b">>)",
      R"(%n = quern.size "b"
  %e = tensor.empty(%n) : tensor<?x3xf32, #quern.dims<"b">>
  %r = )" +
          generic(
              {"(d0, d1) -> (d0, d1)", "(d0, d1) -> (0, d1)", "(d0, d1) -> (d0, d1)"}, "pp",
              R"(ins(%x, %y : tensor<?x3xf32, #quern.dims<"b">>, tensor<1x3xf32>) outs(%e : tensor<?x3xf32, #quern.dims<"b">>))",
              R"(^bb0(%0: f32, %1: f32, %2: f32):
    %3 = arith.addf %0, %1 : f32
    linalg.yield %3 : f32)") +
          R"( -> tensor<?x3xf32, #quern.dims<"b">>
  return %r : tensor<?x3xf32, #quern.dims<"b">>)"));
  const Tensor bias = module.floats("f32", {1, 3}, {10, 20, 30});
  const Tensor y = module.result({module.floats("f32", {2, 3}, {1, 2, 3, 4, 5, 6}), bias});
  EXPECT_THAT(y.shape, ElementsAre(2, 3));
  EXPECT_THAT(y.floats, ElementsAre(11, 22, 33, 14, 25, 36));
  EXPECT_THAT(module.result({module.floats("f32", {0, 3}, {}), bias}).shape, ElementsAre(0, 3));
}

TEST(GenericTest, TransposesLargeTensorsByBlocks) {
  CallModule module(
      main_text(R"((%x: tensor<50x70x3xi64>) -> tensor<3x70x50xi64>)",
                R"(%e = tensor.empty() : tensor<3x70x50xi64>
  %r = )" +
                    generic({"(d0, d1, d2) -> (d2, d1, d0)", "(d0, d1, d2) -> (d0, d1, d2)"}, "ppp",
                            "ins(%x : tensor<50x70x3xi64>) outs(%e : tensor<3x70x50xi64>)",
                            "^bb0(%0: i64, %1: i64):\nlinalg.yield %0 : i64") +
                    " -> tensor<3x70x50xi64>\nreturn %r : tensor<3x70x50xi64>"));
  std::vector<int64_t> x(50 * 70 * 3);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<int64_t>(i) + (int64_t{1} << 60); // which no double holds
  const Tensor y = module.result({module.ints("i64", {50, 70, 3}, x)});
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 70; ++j)
      for (size_t k = 0; k < 50; ++k)
        ASSERT_EQ(y.ints[(i * 70 + j) * 50 + k], x[(k * 70 + j) * 3 + i]);
}

/// y[m, n] = init + sum over k of x[m, k] w[..], with w's map and shape.
std::string matmul(const std::string &type, const std::string &w_map, const std::string &w_shape,
                   int64_t m, int64_t n, int64_t k, const std::string &body) {
  const std::string x = "tensor<" + std::to_string(m) + "x" + std::to_string(k) + "x" + type + ">",
                    w = "tensor<" + w_shape + "x" + type + ">",
                    y = "tensor<" + std::to_string(m) + "x" + std::to_string(n) + "x" +
                        (type == "i8" ? "i32" : type) + ">";
  return main_text("(%x: " + x + ", %w: " + w + ", %init: " + y + ") -> " + y,
                   "%r = " +
                       generic({"(m, n, k) -> (m, k)", w_map, "(m, n, k) -> (m, n)"}, "ppr",
                               "ins(%x, %w : " + x + ", " + w + ") outs(%init : " + y + ")", body) +
                       " -> " + y + "\nreturn %r : " + y);
}

const char kMultiplyAdd[] = R"(^bb0(%0: f32, %1: f32, %2: f32):
    %3 = arith.mulf %0, %1 : f32
    %4 = arith.addf %2, %3 : f32
    linalg.yield %4 : f32)";

TEST(GenericTest, ProductsOfMatricesInBothLayouts) {
  // 70 is no multiple of lanes; so large that threads share it.
  for (const auto &[m, n, k] : std::vector<std::array<int64_t, 3>>{{3, 2, 4}, {61, 70, 67}}) {
    const std::vector<double> x = quarters(m * k, 1), w = quarters(n * k, 2),
                              init = quarters(m * n, 3);
    for (const bool transposed : {false, true}) {
      CallModule module(matmul("f32", transposed ? "(m, n, k) -> (n, k)" : "(m, n, k) -> (k, n)",
                               transposed ? std::to_string(n) + "x" + std::to_string(k)
                                          : std::to_string(k) + "x" + std::to_string(n),
                               m, n, k, kMultiplyAdd));
      const Tensor y = module.result(
          {module.floats("f32", {m, k}, x),
           module.floats("f32", transposed ? std::vector{n, k} : std::vector{k, n}, w),
           module.floats("f32", {m, n}, init)});
      for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) {
          double sum = init[static_cast<size_t>(i * n + j)];
          for (int64_t t = 0; t < k; ++t)
            sum += x[static_cast<size_t>(i * k + t)] *
                   w[static_cast<size_t>(transposed ? j * k + t : t * n + j)];
          ASSERT_EQ(y.floats[static_cast<size_t>(i * n + j)], sum) << i << ", " << j;
        }
    }
  }
}

TEST(GenericTest, IntegerProductsWrap) {
  CallModule module(
      matmul("i8", "(m, n, k) -> (k, n)", "3x1", 1, 1, 3, R"(^bb0(%0: i8, %1: i8, %2: i32):
    %3 = arith.extui %0 : i8 to i32
    %4 = arith.extsi %1 : i8 to i32
    %5 = arith.muli %3, %4 : i32
    %6 = arith.addi %2, %5 : i32
    linalg.yield %6 : i32)"));
  const Tensor y = module.result({module.ints("i8", {1, 3}, {-1, 2, 3}), // 255 unsigned
                                  module.ints("i8", {3, 1}, {-1, 5, 7}),
                                  module.ints("i32", {1, 1}, {-2147483648})});
  EXPECT_THAT(y.ints, ElementsAre(int64_t{-2147483648} - 255 + 31 + (int64_t{1} << 32)));
}

TEST(GenericTest, AnArithmeticBodyThatIsNoProductGivesTheSameSums) {
  // The same sums by the three ways: a contraction, a combiner and step by step.
  const std::string spoilt = R"(^bb0(%0: f32, %1: f32, %2: f32):
    %3 = arith.mulf %0, %1 : f32
    %4 = arith.negf %3 : f32
    %5 = arith.subf %2, %4 : f32
    linalg.yield %5 : f32)";
  const std::string combined = R"(^bb0(%0: f32, %1: f32, %2: f32):
    %3 = arith.mulf %0, %1 : f32
    %4 = arith.negf %3 : f32
    %5 = arith.negf %4 : f32
    %6 = arith.addf %5, %2 : f32
    linalg.yield %6 : f32)";
  std::vector<std::vector<double>> results;
  for (const std::string &body : {std::string(kMultiplyAdd), spoilt, combined}) {
    CallModule module(matmul("f32", "(m, n, k) -> (k, n)", "40x50", 30, 50, 40, body));
    results.push_back(module
                          .result({module.floats("f32", {30, 40}, quarters(1200, 4)),
                                   module.floats("f32", {40, 50}, quarters(2000, 5)),
                                   module.floats("f32", {30, 50}, quarters(1500, 6))})
                          .floats);
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST(GenericTest, AConvolutionIsAGenericOverAPaddedInput) {
  // y[o, h, w] = sum x[i, 2h + 3r, w + c] k[o, i, r, c], x padded by one on all sides.
  CallModule module(main_text(
      "(%x: tensor<2x9x20xf32>, %k: tensor<4x2x2x3xf32>) -> tensor<4x4x20xf32>",
      R"(%zero = arith.constant 0.0 : f32
  %p = tensor.pad %x low[0, 1, 1] high[0, 1, 1] {
  ^bb0(%i: index, %j: index, %l: index):
    tensor.yield %zero : f32
  } : tensor<2x9x20xf32> to tensor<2x11x22xf32>
  %e = tensor.empty() : tensor<4x4x20xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4x4x20xf32>) -> tensor<4x4x20xf32>
  %r = )" +
          generic({"(o, h, w, i, r, c) -> (i, h * 2 + r * 3, w + c)",
                   "(o, h, w, i, r, c) -> (o, i, r, c)", "(o, h, w, i, r, c) -> (o, h, w)"},
                  "ppprrr",
                  "ins(%p, %k : tensor<2x11x22xf32>, tensor<4x2x2x3xf32>) outs(%f : "
                  "tensor<4x4x20xf32>)",
                  kMultiplyAdd) +
          " -> tensor<4x4x20xf32>\nreturn %r : tensor<4x4x20xf32>"));
  const std::vector<double> x = quarters(2 * 9 * 20, 7), k = quarters(4 * 2 * 2 * 3, 8);
  const Tensor y =
      module.result({module.floats("f32", {2, 9, 20}, x), module.floats("f32", {4, 2, 2, 3}, k)});
  for (int o = 0; o < 4; ++o)
    for (int h = 0; h < 4; ++h)
      for (int w = 0; w < 20; ++w) {
        double sum = 0;
        for (int i = 0; i < 2; ++i)
          for (int r = 0; r < 2; ++r)
            for (int c = 0; c < 3; ++c) {
              const int row = 2 * h + 3 * r - 1, col = w + c - 1;
              if (row >= 0 && row < 9 && col >= 0 && col < 20)
                sum += x[static_cast<size_t>((i * 9 + row) * 20 + col)] *
                       k[static_cast<size_t>(((o * 2 + i) * 2 + r) * 3 + c)];
            }
        ASSERT_EQ(y.floats[static_cast<size_t>((o * 4 + h) * 20 + w)], sum);
      }
}

TEST(GenericTest, SeveralResultsOfOneReduction) {
  // The greatest of a row and where it is first.
  CallModule module(main_text(
      "(%x: tensor<2x4xf32>) -> (tensor<2xf32>, tensor<2xi64>)",
      R"(%low = arith.constant 0xFF800000 : f32
  %none = arith.constant -1 : i64
  %e = tensor.empty() : tensor<2xf32>
  %f = linalg.fill ins(%low : f32) outs(%e : tensor<2xf32>) -> tensor<2xf32>
  %g = tensor.splat %none : tensor<2xi64>
  %r:2 = )" +
          generic({"(d0, d1) -> (d0, d1)", "(d0, d1) -> (d0)", "(d0, d1) -> (d0)"}, "pr",
                  "ins(%x : tensor<2x4xf32>) outs(%f, %g : tensor<2xf32>, tensor<2xi64>)",
                  R"(^bb0(%0: f32, %1: f32, %2: i64):
    %3 = linalg.index 1 : index
    %4 = arith.index_cast %3 : index to i64
    %5 = arith.cmpf ogt, %0, %1 : f32
    %6 = arith.select %5, %0, %1 : f32
    %7 = arith.select %5, %4, %2 : i64
    linalg.yield %6, %7 : f32, i64)") +
          " -> (tensor<2xf32>, tensor<2xi64>)\nreturn %r#0, %r#1 : tensor<2xf32>, tensor<2xi64>"));
  const auto results = module.call({module.floats("f32", {2, 4}, {1, 7, 7, 3, -5, -6, -4, -9})});
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_THAT((*results)[0].floats, ElementsAre(7, -4));
  EXPECT_THAT((*results)[1].ints, ElementsAre(1, 2));
}

/// A reduction of four numbers of a type by one op of arith, from `init`.
Tensor reduced(const std::string &type, const std::string &op, std::vector<double> floats,
               std::vector<int64_t> ints, const std::string &init) {
  CallModule module(
      main_text("(%x: tensor<4x" + type + ">) -> tensor<" + type + ">",
                "%i = arith.constant dense<" + init + "> : tensor<" + type + ">\n%r = " +
                    generic({"(d0) -> (d0)", "(d0) -> ()"}, "r",
                            "ins(%x : tensor<4x" + type + ">) outs(%i : tensor<" + type + ">)",
                            "^bb0(%0: " + type + ", %1: " + type + "):\n%2 = arith." + op +
                                " %0, %1 : " + type + "\nlinalg.yield %2 : " + type) +
                    " -> tensor<" + type + ">\nreturn %r : tensor<" + type + ">"));
  return module.result({Tensor{module.type(type), {4}, std::move(floats), std::move(ints)}});
}
double reduced_float(const std::string &op, std::vector<double> x, const std::string &init) {
  return reduced("f32", op, std::move(x), {}, init).floats[0];
}
int64_t reduced_int(const std::string &op, std::vector<int64_t> x, const std::string &init) {
  return reduced("i8", op, {}, std::move(x), init).ints[0];
}

TEST(GenericTest, EveryCombinerOfAReduction) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(reduced_float("addf", {1, 2, 3, 4}, "0.5"), 10.5);
  EXPECT_EQ(reduced_float("mulf", {1, 2, 3, 4}, "0.5"), 12);
  EXPECT_EQ(reduced_float("maximumf", {1, 9, 3, 4}, "0.5"), 9);
  EXPECT_EQ(reduced_float("minimumf", {1, 9, -3, 4}, "0.5"), -3);
  EXPECT_TRUE(std::isnan(reduced_float("maximumf", {1, nan, 3, 4}, "0.5")));
  EXPECT_TRUE(std::isnan(reduced_float("minimumf", {1, nan, 3, 4}, "0.5")));
  EXPECT_EQ(reduced_float("maxnumf", {1, nan, 3, 2}, "0.5"), 3);
  EXPECT_EQ(reduced_float("minnumf", {1, nan, 3, 2}, "5.0"), 1);
  EXPECT_EQ(reduced_int("addi", {100, 20, 10, 1}, "0"), 131 - 256);
  EXPECT_EQ(reduced_int("muli", {2, 3, 5, 7}, "1"), 210 - 256);
  EXPECT_EQ(reduced_int("maxsi", {-1, 3, -5, 2}, "0"), 3);
  EXPECT_EQ(reduced_int("minsi", {-1, 3, -5, 2}, "0"), -5);
  EXPECT_EQ(reduced_int("maxui", {-2, 3, -5, 2}, "0"), -2);
  EXPECT_EQ(reduced_int("minui", {-1, 3, -5, 2}, "-1"), 2);
  EXPECT_EQ(reduced_int("andi", {-2, 7, 6, 14}, "-1"), 6);
  EXPECT_EQ(reduced_int("ori", {1, 2, 8, 0}, "0"), 11);
  EXPECT_EQ(reduced_int("xori", {1, 3, 8, 0}, "0"), 10);
}

TEST(GenericTest, SumsRoundOnceToTheirType) {
  // One after the other, 2048 + 1 is 2048 in float16.
  EXPECT_EQ(reduced("f16", "addf", {2048, 1, 1, 1}, {}, "0.0").floats[0], 2052);
  EXPECT_EQ(reduced("f16", "addf", {60000, 60000, -30000, -30000}, {}, "0.0").floats[0], 60000);
}

TEST(GenericTest, MapsMayDivide) {
  CallModule module(
      main_text("(%x: tensor<3x2xf32>) -> tensor<6xf32>",
                "%e = tensor.empty() : tensor<6xf32>\n%r = " +
                    generic({"(d0) -> (d0 floordiv 2, (d0 + 1) mod 2)", "(d0) -> (d0)"}, "p",
                            "ins(%x : tensor<3x2xf32>) outs(%e : tensor<6xf32>)",
                            "^bb0(%0: f32, %1: f32):\nlinalg.yield %0 : f32") +
                    " -> tensor<6xf32>\nreturn %r : tensor<6xf32>"));
  EXPECT_THAT(module.result({module.floats("f32", {3, 2}, {1, 2, 3, 4, 5, 6})}).floats,
              ElementsAre(2, 1, 4, 3, 6, 5));
}

/// A gather of x by row numbers, computed in the body.
const char kGather[] = R"(%e = tensor.empty() : tensor<3x2xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%i : tensor<3xi64>) outs(%e : tensor<3x2xf32>) {
  ^bb0(%0: i64, %1: f32):
    %2 = arith.index_cast %0 : i64 to index
    %3 = linalg.index 1 : index
    %4 = tensor.extract %x[%2, %3] : tensor<4x2xf32>
    linalg.yield %4 : f32
  } -> tensor<3x2xf32> loc("/embed/Gather")
  return %r : tensor<3x2xf32>)";

TEST(GenericTest, BodiesReadAnyTensor) {
  CallModule module(
      main_text("(%x: tensor<4x2xf32>, %i: tensor<3xi64>) -> tensor<3x2xf32>", kGather));
  const Tensor x = module.floats("f32", {4, 2}, {0, 1, 10, 11, 20, 21, 30, 31});
  EXPECT_THAT(module.result({x, module.ints("i64", {3}, {2, 0, 3})}).floats,
              ElementsAre(20, 21, 0, 1, 30, 31));
}

TEST(GenericTest, AnIndexOutOfRangeIsAnErrorThatNamesTheNode) {
  CallModule module(
      main_text("(%x: tensor<4x2xf32>, %i: tensor<3xi64>) -> tensor<3x2xf32>", kGather));
  const Tensor x = module.floats("f32", {4, 2}, std::vector<double>(8));
  for (const int64_t index : {int64_t{4}, int64_t{-1}})
    EXPECT_EQ(module.error({x, module.ints("i64", {3}, {2, index, 3})}),
              "linalg.generic (/embed/Gather): tensor.extract: index " + std::to_string(index) +
                  " in dimension 0 of a tensor of shape [4, 2]");
}

/// x copied through the maps of an input and an output.
std::string copied(const std::string &x, const std::string &y, const std::string &map,
                   const std::string &iterators, const std::string &out_map) {
  return main_text("(%x: " + x + ") -> " + y,
                   "%e = tensor.empty() : " + y + "\n%r = " +
                       generic({map, out_map}, iterators,
                               "ins(%x : " + x + ") outs(%e : " + y + ")",
                               "^bb0(%0: f32, %1: f32):\nlinalg.yield %0 : f32") +
                       " -> " + y + "\nreturn %r : " + y);
}

TEST(GenericTest, MapsThatLeaveTheirTensorAreErrors) {
  CallModule linear(copied("tensor<?xf32, #quern.dims<\"a\">>", "tensor<3xf32>", "(d0) -> (d0 + 1)",
                           "p", "(d0) -> (d0)"));
  EXPECT_THAT(linear.result({linear.floats("f32", {4}, {1, 2, 3, 4})}).floats,
              ElementsAre(2, 3, 4));
  EXPECT_THAT(linear.error({linear.floats("f32", {3}, {1, 2, 3})}),
              HasSubstr("operand 0: index 3 in dimension 0 of a tensor of shape [3]"));
  CallModule divided(copied("tensor<?xf32, #quern.dims<\"a\">>", "tensor<3xf32>",
                            "(d0) -> (d0 floordiv 2)", "p", "(d0) -> (d0)"));
  EXPECT_THAT(divided.result({divided.floats("f32", {2}, {1, 2})}).floats, ElementsAre(1, 1, 2));
  EXPECT_THAT(divided.error({divided.floats("f32", {1}, {1})}),
              HasSubstr("operand 0: index 1 in dimension 0 of a tensor of shape [1]"));
}

TEST(GenericTest, LoopsThatDisagreeAreErrors) {
  CallModule module(main_text(
      R"((%x: tensor<?xf32, #quern.dims<"a">>, %y: tensor<?xf32, #quern.dims<"b">>) -> tensor<?xf32, #quern.dims<"a">>)",
      "%r = " +
          generic(
              {"(d0) -> (d0)", "(d0) -> (d0)"}, "p",
              R"(ins(%y : tensor<?xf32, #quern.dims<"b">>) outs(%x : tensor<?xf32, #quern.dims<"a">>))",
              "^bb0(%0: f32, %1: f32):\nlinalg.yield %0 : f32") +
          R"( -> tensor<?xf32, #quern.dims<"a">>
  return %r : tensor<?xf32, #quern.dims<"a">>)"));
  EXPECT_THAT(module.error({module.floats("f32", {3}, {1, 2, 3}), module.floats("f32", {1}, {1})}),
              HasSubstr("loop 0 runs to 1 over operand 0 and to 3 over operand 1"));
}

TEST(GenericTest, WhatNobodyWroteIsNotANumber) {
  CallModule module(main_text("(%x: tensor<2xf32>) -> tensor<2xf32>",
                              R"(%e = tensor.empty() : tensor<2xf32>
  %r = )" +
                                  generic({"(d0) -> (d0)", "(d0) -> (d0)"}, "p",
                                          "ins(%x : tensor<2xf32>) outs(%e : tensor<2xf32>)",
                                          R"(^bb0(%0: f32, %1: f32):
    %2 = arith.addf %0, %1 : f32
    linalg.yield %2 : f32)") + " -> tensor<2xf32>\nreturn %r : tensor<2xf32>"));
  EXPECT_TRUE(std::isnan(module.result({module.floats("f32", {2}, {1, 2})}).floats[0]));
}

TEST(GenericTest, SoftmaxAlongAnyDimension) {
  CallModule module(main_text("(%x: tensor<2x2x2xf64>) -> tensor<2x2x2xf64>",
                              R"(%e = tensor.empty() : tensor<2x2x2xf64>
  %r = linalg.softmax dimension(1) ins(%x : tensor<2x2x2xf64>) outs(%e : tensor<2x2x2xf64>) -> tensor<2x2x2xf64>
  return %r : tensor<2x2x2xf64>)"));
  const double infinity = std::numeric_limits<double>::infinity();
  const Tensor y = module.result(
      {module.floats("f64", {2, 2, 2}, {0, 1000, std::log(3.0), 1000, 5, -infinity, 5, 1})});
  const std::vector<double> expected = {0.25, 0.5, 0.75, 0.5, 0.5, 0, 0.5, 1};
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(y.floats[i], expected[i], 1e-15) << i;
}

} // namespace
} // namespace quern::reference
