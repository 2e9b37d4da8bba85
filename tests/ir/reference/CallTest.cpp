// Calls of entries on tensors: sizes, errors, model ops among general ones, and all phases.
#include "ir/reference/Probe.h"
#include "tests/ir/reference/CallModule.h"

namespace quern::reference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char kArguments[] =
    R"((%x: tensor<?x?xf32, #quern.dims<"b", "s">> {quern.name = "ids"}, %m: tensor<?x?xi1, #quern.dims<"b", "a + s">> {quern.name = "mask"}, %p: tensor<?x2xf32, #quern.dims<"a">>) -> (tensor<?x?xf32, #quern.dims<"b", "s">> {quern.name = "state"}))";
const char kReturn[] = R"(return %x : tensor<?x?xf32, #quern.dims<"b", "s">>)";

TEST(CallTest, SizesAreThoseOfTheInputs) {
  CallModule module(main_text(kArguments, kReturn));
  const Tensor x = module.floats("f32", {1, 2}, {1, 2}), m = module.ints("i1", {1, 3}, {1, 0, 1}),
               p = module.floats("f32", {1, 2}, {1, 2});
  EXPECT_THAT(module.result({x, m, p}).floats, ElementsAre(1, 2));
  EXPECT_EQ(module.error({x, m}), "entry main has 3 inputs, and 2 are given");
  EXPECT_THAT(module.error({x, module.ints("i1", {1, 2}, {1, 0}), p}),
              HasSubstr("input mask: dimension 1 is 2 and not 3, which tensor<?x?xi1, "
                        "#quern.dims<\"b\", \"a + s\">> says"));
  EXPECT_EQ(module.error({x, module.ints("i1", {2, 3}, {1, 0, 1, 1, 1, 1}), p}),
            "dimension 0 of input mask is 2, but b is 1, which dimension 0 of input ids is");
  EXPECT_EQ(module.error({x, module.ints("i8", {1, 3}, {1, 0, 1}), p}),
            "input mask is of i8, not of i1");
  EXPECT_EQ(module.error({module.floats("f32", {2}, {1, 2}), m, p}),
            "input ids has 1 dimensions, not 2");
  EXPECT_EQ(module.error({module.floats("f32", {1, 2}, {1}), m, p}),
            "input ids is of shape [1, 2] and has 1 elements");
  EXPECT_THAT(module.error({x, m, module.floats("f32", {1, 3}, {1, 2, 3})}),
              HasSubstr("input 2: dimension 1 is 3 and not 2"));
}

TEST(CallTest, SizesAreBounded) {
  CallModule module(main_text(kArguments, kReturn));
  EXPECT_EQ(module.error({module.floats("f32", {101, 0}, {}), module.ints("i1", {101, 0}, {}),
                          module.floats("f32", {0, 2}, {})}),
            "b is 101, more than the 100 that quern.sizes allows");
}

TEST(CallTest, SizesThatHaveToBeEqual) {
  CallModule module(
      R"(module attributes {quern.sizes = {a = 9 : i64, b = 9 : i64}} {
  func.func @main(%x: tensor<?xf32, #quern.dims<"a">>, %y: tensor<?xf32, #quern.dims<"b">>) -> tensor<?xf32, #quern.dims<"a">>
      attributes {quern.equal_sizes = [["2*a", "b", "/layer/Add"]]} {
    return %x : tensor<?xf32, #quern.dims<"a">>
  }
})");
  const Tensor x = module.floats("f32", {1}, {1});
  EXPECT_THAT(module.result({x, module.floats("f32", {2}, {1, 2})}).floats, ElementsAre(1));
  EXPECT_EQ(module.error({x, x}), "2*a is 2 and b is 1; they have to be equal for /layer/Add");
  // Made-up sizes are so, too.
  const auto made = trials(module.get(), 1);
  ASSERT_TRUE(made.ok()) << made.status();
  for (const Trial &trial : made->at("main"))
    EXPECT_EQ(2 * trial.inputs[0].count(), trial.inputs[1].count()) << trial.name;
}

TEST(CallTest, InputsAreNumbersOfTheirType) {
  CallModule module(
      main_text("(%x: tensor<2xi8>, %y: tensor<1xf32>) -> (tensor<2xi32>, tensor<1xf32>)",
                R"(%z = arith.extui %x : tensor<2xi8> to tensor<2xi32>
  return %z, %y : tensor<2xi32>, tensor<1xf32>)"));
  const auto results =
      module.call({module.ints("i8", {2}, {255, -2}), module.floats("f32", {1}, {0.1})});
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_THAT((*results)[0].ints, ElementsAre(255, 254));
  EXPECT_EQ((*results)[1].floats[0], static_cast<double>(0.1f));
}

TEST(CallTest, AnUnknownEntryIsAnError) {
  TestModule module(main_text("() -> tensor<f32>", R"(%y = arith.constant dense<1.0> : tensor<f32>
  return %y : tensor<f32>)"));
  EXPECT_THAT(module.interpreter()->call("step", {}).status().ToString(),
              HasSubstr("the module has no entry step"));
}

/// A model's linear on rows that general ops make, and general ops on what it gives.
std::string mixed(bool fused) {
  const std::string types = R"(!X = tensor<?x?x4xf32, #quern.dims<"b", "s">>
!R4 = tensor<?x4xf32, #quern.dims<"b*s">>
!R6 = tensor<?x6xf32, #quern.dims<"b*s">>
!Y = tensor<?x?x6xf32, #quern.dims<"b", "s">>
!W = !quern.weight<6x4, "f32">
#id = affine_map<(d0, d1) -> (d0, d1)>
)";
  const std::string shift = R"(
    %n = quern.size "b*s"
    %one = arith.constant 1.0 : f32
    %e = tensor.empty(%n) : !R6
    %z = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%in : !R6) outs(%e : !R6) {
    ^bb0(%p: f32, %q: f32):
      %sum = arith.addf %p, %one : f32
      linalg.yield %sum : f32
    } -> !R6)";
  const std::string head =
      "module attributes {quern.sizes = {b = 4 : i64, s = 8 : i64}} {\n" + weight_text("w", "6x4");
  if (!fused)
    return types + head + R"(func.func @main(%x: !X) -> !Y {
    %w = quern.weight_ref @w : !W
    %r = quern.reshape %x : !X -> !R4
    %in = quern.linear %r, %w : (!R4, !W) -> !R6)" +
           shift + R"(
    %u = quern.unary relu %z : !R6
    %y = quern.reshape %u : !R6 -> !Y
    return %y : !Y
  }
})";
  return types + head + R"(
  quern.kernel @linear_0 linear (%a: !R4, %b: !W) -> (!R6) {
    %0 = quern.linear %a, %b : (!R4, !W) -> !R6
    quern.yield %0 : !R6
  }
  quern.kernel @generic_0 generic (%in: !R6) -> (!R6) {)" +
         shift + R"(
    quern.yield %z : !R6
  }
  func.func @main(%x: !X) -> !Y attributes {quern.entry = "main", quern.bucket = "main"} {
    %w = quern.weight_ref @w : !W
    %r = quern.reshape %x : !X -> !R4
    %l = quern.dispatch @linear_0(%r, %w) "lin" : (!R4, !W) -> !R6
    %z = quern.dispatch @generic_0(%l) "shift" : (!R6) -> !R6
    %y = quern.fused generic (%z) : (!R6) -> !Y {
    ^bb0(%in: !R6):
      %zero = arith.constant 0.0 : f32
      %n = quern.size "b*s"
      %e = tensor.empty(%n) : !R6
      %m = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%in : !R6) outs(%e : !R6) {
      ^bb0(%p: f32, %q: f32):
        %most = arith.maximumf %p, %zero : f32
        linalg.yield %most : f32
      } -> !R6
      %o = quern.reshape %m : !R6 -> !Y
      quern.yield %o : !Y
    }
    return %y : !Y
  }
})";
}

TEST(CallTest, ModelOpsAndGeneralOnesAtEveryPhase) {
  const std::vector<double> x = quarters(2 * 3 * 4, 1);
  const Matrix w = synthetic("w", 6, 4);
  for (const bool fused : {false, true}) {
    CallModule module(mixed(fused));
    const Tensor y = module.result({module.floats("f32", {2, 3, 4}, x)}, /*float64=*/true);
    EXPECT_THAT(y.shape, ElementsAre(2, 3, 6));
    for (int64_t t = 0; t < 6; ++t)
      for (int64_t n = 0; n < 6; ++n) {
        double sum = 1;
        for (int64_t k = 0; k < 4; ++k)
          sum += x[static_cast<size_t>(t * 4 + k)] * w.at(n, k);
        EXPECT_NEAR(y.floats[static_cast<size_t>(t * 6 + n)], std::max(sum, 0.0), 1e-12);
      }
  }
}

/// A step whose rows general ops shift.
TEST(CallTest, StepsHaveGeneralOpsToo) {
  const Matrix x = lookup({3, 1}, 4);
  Matrix y = x;
  for (double &value : y.values)
    value *= 2;
  expect_step(step_text(4, 4, "", R"(%n = quern.size "T"
  %e = tensor.empty(%n) : !T4
  %z = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x : !T4) outs(%e : !T4) {
  ^bb0(%p: f32, %q: f32):
    %sum = arith.addf %p, %p : f32
    linalg.yield %sum : f32
  } -> !T4
  %u = quern.unary abs %z : !T4
  %y = quern.binary max %u, %z : !T4, !T4)"),
              {{{0, 0, {3, 1}}}, {}}, [&] {
                for (double &value : y.values)
                  value = std::abs(value);
                return y;
              }());
  expect_step(step_text(4, 4, "", R"(%n = quern.size "T"
  %e = tensor.empty(%n) : !T4
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x : !T4) outs(%e : !T4) {
  ^bb0(%p: f32, %q: f32):
    linalg.yield %p : f32
  } -> !T4)"),
              {{{0, 0, {3, 1}}}, {}}, x);
}

TEST(CallTest, TrialsAreWithinBounds) {
  CallModule module(main_text(
      R"((%x: tensor<?x?xf32, #quern.dims<"b", "s">>, %m: tensor<?xi1, #quern.dims<"s">>, %i: tensor<?xi64, #quern.dims<"a">>) -> tensor<?xf32, #quern.dims<"s - 4">>)",
      R"(%n = quern.size "s - 4"
  %e = tensor.empty(%n) : tensor<?xf32, #quern.dims<"s - 4">>
  return %e : tensor<?xf32, #quern.dims<"s - 4">>)"));
  const auto made = trials(module.get(), 1), again = trials(module.get(), 1);
  ASSERT_TRUE(made.ok()) << made.status();
  const std::vector<Trial> &calls = made->at("main");
  ASSERT_EQ(calls.size(), 2);
  EXPECT_NE(calls[0].name, calls[1].name);
  for (size_t i = 0; i < calls.size(); ++i) {
    const std::vector<Tensor> &inputs = calls[i].inputs;
    EXPECT_GT(inputs[1].count(), 4);
    EXPECT_NE(inputs[0].shape[0], inputs[0].shape[1]);
    EXPECT_THAT(inputs[1].ints, ::testing::Each(::testing::AnyOf(0, 1)));
    EXPECT_EQ(inputs[0].floats, again->at("main")[i].inputs[0].floats);
    EXPECT_TRUE(module.call(inputs).ok());
  }
}

TEST(CallTest, TrialsDivideByNoZero) {
  CallModule module(
      main_text("(%x: tensor<40xi32>, %y: tensor<40xi32>, %m: tensor<40xi1>) -> tensor<40xi32>",
                R"(%z = arith.divsi %x, %y : tensor<40xi32>
  return %z : tensor<40xi32>)"));
  const auto made = trials(module.get(), 1);
  ASSERT_TRUE(made.ok()) << made.status();
  const std::vector<Tensor> &inputs = made->at("main").front().inputs;
  EXPECT_THAT(inputs[1].ints, ::testing::IsSupersetOf({1, 2}));
  EXPECT_THAT(inputs[2].ints, ::testing::IsSupersetOf({0, 1}));
  EXPECT_TRUE(module.call(inputs).ok());
}

TEST(CallTest, SizesThatCannotBeAreAnError) {
  CallModule module(
      R"(module attributes {quern.sizes = {a = 9 : i64}} {
  func.func @main(%x: tensor<?xf32, #quern.dims<"a">>) -> tensor<?xf32, #quern.dims<"a">>
      attributes {quern.equal_sizes = [["a", "10", "/layer/Add"]]} {
    return %x : tensor<?xf32, #quern.dims<"a">>
  }
})");
  EXPECT_THAT(trials(module.get(), 1).status().ToString(),
              HasSubstr("entry main: found no small sizes that its inputs could have"));
}

// Tests that what data decide to be at fault is an error with the node's name, and nothing else is.
TEST(CallTest, FaultsAreTold) {
  CallModule module(
      main_text(R"((%i: tensor<2xi64>, %d: tensor<i32>) -> (tensor<2xi64>, tensor<i32>))",
                R"(%five = arith.constant 5 : index
  %e = tensor.empty() : tensor<2xi64>
  %y = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%i : tensor<2xi64>) outs(%e : tensor<2xi64>) {
  ^bb0(%p: i64, %o: i64):
    %q = arith.index_cast %p : i64 to index
    %c = quern.check_index %q, %five from_end loc("/table/Gather")
    %r = arith.index_cast %c : index to i64
    linalg.yield %r : i64
  } -> tensor<2xi64>
  %f = tensor.empty() : tensor<i32>
  %z = linalg.generic {indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>], iterator_types = []} ins(%d : tensor<i32>) outs(%f : tensor<i32>) {
  ^bb0(%p: i32, %o: i32):
    %c = quern.check_divisor %p : i32 loc("/scale/Div")
    linalg.yield %c : i32
  } -> tensor<i32>
  return %y, %z : tensor<2xi64>, tensor<i32>)"));
  const auto call = [&](std::vector<int64_t> indices, int64_t divisor) {
    return module.call(
        {module.ints("i64", {2}, std::move(indices)), module.ints("i32", {}, {divisor})});
  };
  const auto fine = call({-5, 4}, -3);
  ASSERT_TRUE(fine.ok()) << fine.status();
  EXPECT_THAT((*fine)[0].ints, ElementsAre(0, 4));
  EXPECT_THAT((*fine)[1].ints, ElementsAre(-3));
  for (const int64_t outside : {-6, 5})
    EXPECT_THAT(
        call({0, outside}, 1).status().ToString(),
        HasSubstr("(/table/Gather): index " + std::to_string(outside) + " is not within -5 to 4"));
  EXPECT_THAT(call({0, 1}, 0).status().ToString(),
              HasSubstr("(/scale/Div): an integer is divided by 0"));
}

// Tests that what is counted is a size from there on, up to what there is room for.
TEST(CallTest, SizesAreCounted) {
  CallModule module(R"(
!N = tensor<?xi64, #quern.dims<"n">>
module attributes {quern.sizes = {b = 9 : i64, n = 3 : i64}, quern.counted_sizes = {n = "b"}} {
  func.func @main(%m: tensor<?xi1, #quern.dims<"b">>) -> (!N, tensor<?xi1, #quern.dims<"2*n">>) {
    %y = quern.where_true %m : tensor<?xi1, #quern.dims<"b">> -> !N
    %n = quern.size "2*n"
    %t = arith.constant true
    %z = tensor.splat %t[%n] : tensor<?xi1, #quern.dims<"2*n">>
    return %y, %z : !N, tensor<?xi1, #quern.dims<"2*n">>
  }
})");
  const auto some = module.call({module.ints("i1", {5}, {0, 1, 0, 0, 1})});
  ASSERT_TRUE(some.ok()) << some.status();
  EXPECT_THAT((*some)[0].ints, ElementsAre(1, 4));
  EXPECT_THAT((*some)[1].shape, ElementsAre(4));
  EXPECT_THAT(module.error({module.ints("i1", {4}, {1, 1, 1, 1})}),
              HasSubstr("4 elements are more than the 3 that there is room for"));
  const auto made = trials(module.get(), 1);
  ASSERT_TRUE(made.ok()) << made.status();
  for (const Trial &trial : made->at("main"))
    EXPECT_TRUE(module.call(trial.inputs).ok()) << trial.name;
}

Probe results(Tensor tensor) {
  Probe probe;
  probe["main"]["b = 2"] = {{"", {}, {{"output y", std::move(tensor)}}}};
  return probe;
}

TEST(CallTest, ResultsAreComparedByTheirType) {
  CallModule module(main_text("() -> tensor<f32>", R"(%y = arith.constant dense<1.0> : tensor<f32>
  return %y : tensor<f32>)"));
  const Difference floats = compare(results(module.floats("f32", {2, 2}, {2, -2, 2, -2})),
                                    results(module.floats("f32", {2, 2}, {2, -2, 3, -2})));
  EXPECT_DOUBLE_EQ(floats.largest, 0.5);
  EXPECT_DOUBLE_EQ(floats.rms, 0.25);
  EXPECT_EQ(floats.where, "entry main, b = 2, output y at [1, 0]: 2 became 3");
  const Tensor ints = module.ints("i64", {2}, {(int64_t{1} << 60), 1});
  EXPECT_EQ(compare(results(ints), results(ints)).largest, 0);
  const Difference other =
      compare(results(ints), results(module.ints("i64", {2}, {(int64_t{1} << 60) + 1, 1})));
  EXPECT_EQ(other.largest, INFINITY);
  EXPECT_THAT(other.where, HasSubstr("output y at [0]: 1152921504606846976 became"));
  EXPECT_EQ(compare(results(ints), results(module.ints("i64", {1, 2}, ints.ints))).largest,
            INFINITY);
}

} // namespace
} // namespace quern::reference
