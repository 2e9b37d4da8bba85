// Conditions and loops in bodies, where points part, and around tensors.
#include "ir/reference/Body.h"

#include "tests/ir/reference/CallModule.h"

namespace quern::reference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// main, which maps integers of a tensor by the body's `%x: i64` to `%r: i64`.
std::string mapped(const std::string &body, const std::string &size = "?",
                   const std::string &more = "") {
  const std::string type =
      size == "?" ? "tensor<?xi64, #quern.dims<\"a\">>" : "tensor<" + size + "xi64>";
  const std::string empty = size == "?"
                                ? "%size = quern.size \"a\"\n%e = tensor.empty(%size) : " + type
                                : "%e = tensor.empty() : " + type;
  return main_text("(%t: " + type + more + ") -> " + type, empty +
                                                               R"(
  %y = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%t : )" + type + ") outs(%e : " + type + ") {\n^bb0(%x: i64, %out: i64):\n" +
                                                               body +
                                                               "\nlinalg.yield %r : i64\n} -> " +
                                                               type + "\nreturn %y : " + type);
}

const char kIf[] = R"(%zero = arith.constant 0 : i64
  %two = arith.constant 2 : i64
  %square = arith.muli %x, %x : i64
  %c = arith.cmpi slt, %x, %zero : i64
  %r, %unused = scf.if %c -> (i64, i64) {
    %0 = arith.subi %zero, %square : i64
    scf.yield %0, %two : i64, i64
  } else {
    %0 = arith.remsi %x, %two : i64
    %d = arith.cmpi eq, %0, %zero : i64
    %1 = scf.if %d -> (i64) {
      scf.yield %square : i64
    } else {
      %2 = arith.divsi %two, %0 : i64
      %3 = arith.addi %2, %x : i64
      scf.yield %3 : i64
    }
    scf.yield %1, %x : i64, i64
  })";

TEST(BodyTest, EachPointGoesItsWay) {
  CallModule module(mapped(kIf));
  EXPECT_THAT(module.result({module.ints("i64", {6}, {-3, 4, 5, -1, 0, 1})}).ints,
              ElementsAre(-9, 16, 7, -1, 0, 3));
  // All one way.
  EXPECT_THAT(module.result({module.ints("i64", {2}, {-3, -2})}).ints, ElementsAre(-9, -4));
  EXPECT_THAT(module.result({module.ints("i64", {2}, {6, 2})}).ints, ElementsAre(36, 4));
}

TEST(BodyTest, OnlyTheWayThatIsGoneIsRun) {
  CallModule module(mapped(R"(%ten = arith.constant 10 : i64
  %zero = arith.constant 0 : i64
  %c = arith.cmpi ne, %x, %zero : i64
  %r = scf.if %c -> (i64) {
    %0 = arith.divsi %ten, %x : i64
    scf.yield %0 : i64
  } else {
    scf.yield %zero : i64
  })"));
  EXPECT_THAT(module.result({module.ints("i64", {3}, {5, 0, -3})}).ints, ElementsAre(2, 0, -3));
}

/// A loop whose length the point says.
const char kFor[] = R"(%n = arith.index_cast %x : i64 to index
  %zero = arith.constant 0 : index
  %three = arith.constant 3 : index
  %init = arith.constant 1 : i64
  %r, %last = scf.for %i = %zero to %n step %three iter_args(%sum = %init, %before = %x) -> (i64, i64) {
    %0 = arith.index_cast %i : index to i64
    %1 = arith.addi %sum, %before : i64
    %c = arith.cmpi sgt, %1, %x : i64
    %2 = scf.if %c -> (i64) {
      %3 = arith.muli %sum, %x : i64
      scf.yield %3 : i64
    } else {
      scf.yield %1 : i64
    }
    scf.yield %2, %0 : i64, i64
  })";

int64_t looped(int64_t x) {
  int64_t sum = 1, before = x;
  for (int64_t i = 0; i < x; i += 3) {
    sum = sum + before > x ? sum * x : sum + before;
    before = i;
  }
  return sum;
}

TEST(BodyTest, EachPointRunsItsLoop) {
  CallModule module(mapped(kFor));
  EXPECT_THAT(module.result({module.ints("i64", {5}, {5, 0, 12, -4, 1})}).ints,
              ElementsAre(looped(5), looped(0), looped(12), looped(-4), looped(1)));
  EXPECT_THAT(module.result({module.ints("i64", {2}, {7, 7})}).ints,
              ElementsAre(looped(7), looped(7)));
}

TEST(BodyTest, BlocksOfPointsGiveWhatPointsGive) {
  // More than two blocks.
  CallModule module(mapped(kFor, "2500"));
  std::vector<int64_t> x(2500);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<int64_t>(i % 23);
  const Tensor y = module.result({module.ints("i64", {2500}, x)});
  for (size_t i = 0; i < x.size(); ++i)
    ASSERT_EQ(y.ints[i], looped(x[i])) << i;
}

TEST(BodyTest, LoopsReadTensors) {
  // How many numbers of a sorted table are less than x.
  CallModule module(mapped(R"(%zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %n = arith.constant 4 : index
  %none = arith.constant 0 : i64
  %r = scf.for %i = %zero to %n step %one iter_args(%count = %none) -> (i64) {
    %0 = tensor.extract %table[%i] : tensor<4xi64>
    %c = arith.cmpi slt, %0, %x : i64
    %1 = arith.extui %c : i1 to i64
    %2 = arith.addi %count, %1 : i64
    scf.yield %2 : i64
  })",
                           "?", ", %table: tensor<4xi64>"));
  EXPECT_THAT(
      module.result({module.ints("i64", {3}, {0, 5, 100}), module.ints("i64", {4}, {1, 3, 5, 7})})
          .ints,
      ElementsAre(0, 2, 4));
}

TEST(BodyTest, ErrorsInLoopsNameTheOps) {
  CallModule module(mapped(R"(%zero = arith.constant 0 : index
  %n = arith.index_cast %x : i64 to index
  %none = arith.constant 0 : i64
  %r = scf.for %i = %zero to %n step %n iter_args(%count = %none) -> (i64) {
    %0 = arith.divsi %x, %count : i64
    scf.yield %0 : i64
  })"));
  EXPECT_THAT(module.error({module.ints("i64", {1}, {2})}),
              HasSubstr("linalg.generic: scf.for: arith.divsi: a division by zero"));
  EXPECT_THAT(module.error({module.ints("i64", {1}, {0})}), HasSubstr("scf.for: a step of 0"));
}

TEST(BodyTest, BodiesUseNumbersAndConstantsFromOutside) {
  CallModule module(main_text("(%t: tensor<3xi64>) -> tensor<3xi64>",
                              R"(%c = arith.constant dense<[10, 20, 30]> : tensor<3xi64>
  %h = arith.constant 100 : i64
  %e = tensor.empty() : tensor<3xi64>
  %y = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%t : tensor<3xi64>) outs(%e : tensor<3xi64>) {
  ^bb0(%x: i64, %out: i64):
    %0 = linalg.index 0 : index
    %1 = tensor.extract %c[%0] : tensor<3xi64>
    %2 = arith.addi %1, %h : i64
    %3 = arith.addi %2, %x : i64
    linalg.yield %3 : i64
  } -> tensor<3xi64>
  return %y : tensor<3xi64>)"));
  EXPECT_THAT(module.result({module.ints("i64", {3}, {1, 2, 3})}).ints, ElementsAre(111, 122, 133));
}

TEST(BodyTest, WhatABodyReadsIsKeptForIt) {
  // An op reads it before, and no op but the body's after.
  CallModule module(main_text("(%t: tensor<3xi64>, %u: tensor<3xi64>) -> tensor<3xi64>",
                              R"(%d = arith.addi %u, %u : tensor<3xi64>
  %e = tensor.empty() : tensor<3xi64>
  %y = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%d : tensor<3xi64>) outs(%e : tensor<3xi64>) {
  ^bb0(%x: i64, %out: i64):
    %0 = linalg.index 0 : index
    %1 = tensor.extract %u[%0] : tensor<3xi64>
    %2 = arith.muli %1, %x : i64
    linalg.yield %2 : i64
  } -> tensor<3xi64>
  return %y : tensor<3xi64>)"));
  EXPECT_THAT(
      module.result({module.ints("i64", {3}, {0, 0, 0}), module.ints("i64", {3}, {1, 2, 3})}).ints,
      ElementsAre(2, 8, 18));
}

TEST(BodyTest, EveryOpOfABodyHasAnEval) {
  for (const char *op :
       {"arith.addf", "arith.constant", "linalg.index", "linalg.yield", "tensor.yield",
        "tensor.extract", "scf.if", "scf.for", "scf.yield", "affine.apply"}) {
    EXPECT_TRUE(in_bodies(op)) << op;
    EXPECT_TRUE(has_eval(op)) << op;
  }
  for (const char *op :
       {"linalg.generic", "linalg.fill", "linalg.softmax", "tensor.empty", "tensor.extract_slice",
        "tensor.concat", "tensor.pad", "tensor.splat", "tensor.cast", "tensor.dim"})
    EXPECT_TRUE(has_eval(op)) << op;
  EXPECT_FALSE(in_bodies("linalg.generic"));
  EXPECT_FALSE(in_bodies("tensor.insert"));
}

TEST(BodyTest, IndicesAreComputedByMaps) {
  CallModule module(mapped(R"(%i = linalg.index 0 : index
  %0 = arith.index_cast %x : i64 to index
  %1 = affine.apply affine_map<(d0)[s0] -> ((d0 + s0 * 10) floordiv 3 + d0 mod 2)>(%i)[%0]
  %r = arith.index_cast %1 : index to i64)"));
  EXPECT_THAT(module.result({module.ints("i64", {4}, {0, 1, -1, 2})}).ints,
              ElementsAre(0, 4, -3, 8));
  CallModule divided(mapped(R"(%i = linalg.index 0 : index
  %0 = arith.index_cast %x : i64 to index
  %1 = affine.apply affine_map<(d0)[s0] -> (d0 ceildiv s0)>(%i)[%0]
  %r = arith.index_cast %1 : index to i64)"));
  EXPECT_THAT(divided.result({divided.ints("i64", {4}, {2, 2, 2, 2})}).ints,
              ElementsAre(0, 1, 1, 2));
  EXPECT_THAT(divided.error({divided.ints("i64", {1}, {0})}),
              HasSubstr("affine.apply: a division by what is not positive"));
}

TEST(BodyTest, ChoicesAndLoopsAroundTensors) {
  CallModule module(main_text("(%t: tensor<2xi64>, %c: tensor<i1>) -> tensor<2xi64>",
                              R"(%zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %three = arith.constant 3 : index
  %0 = tensor.extract %c[] : tensor<i1>
  %y = scf.if %0 -> (tensor<2xi64>) {
    %sum = scf.for %i = %zero to %three step %one iter_args(%s = %t) -> (tensor<2xi64>) {
      %1 = arith.addi %s, %t : tensor<2xi64>
      scf.yield %1 : tensor<2xi64>
    }
    scf.yield %sum : tensor<2xi64>
  } else {
    scf.yield %t : tensor<2xi64>
  }
  return %y : tensor<2xi64>)"));
  const Tensor t = module.ints("i64", {2}, {1, 2});
  EXPECT_THAT(module.result({t, module.ints("i1", {}, {1})}).ints, ElementsAre(4, 8));
  EXPECT_THAT(module.result({t, module.ints("i1", {}, {0})}).ints, ElementsAre(1, 2));
}

} // namespace
} // namespace quern::reference
