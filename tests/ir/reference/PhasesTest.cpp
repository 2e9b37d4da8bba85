// The same function as model ops, as fused regions, and as dispatches in buckets.
#include "tests/ir/reference/TestModule.h"

#include <gmock/gmock.h>

#include <cmath>

namespace quern::reference {
namespace {

using ::testing::HasSubstr;

const char kAliases[] = R"(
!T4 = tensor<?x4xf32, #quern.dims<"T">>
!T6 = tensor<?x6xf32, #quern.dims<"T">>
!ids = tensor<?xi32, #quern.dims<"T">>
!picks = tensor<?xi32, #quern.dims<"R">>
!W = !quern.weight<6x4, "f32">
!E = !quern.weight<16x4, "f32">
)";

/// silu(x W^T) of rows of @x.
Matrix expected(const std::vector<int32_t> &tokens) {
  const Matrix x = lookup(tokens, 4), w = synthetic("w", 6, 4);
  Matrix y(x.rows, 6);
  for (int64_t t = 0; t < x.rows; ++t)
    for (int64_t n = 0; n < 6; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < 4; ++k)
        sum += x.at(t, k) * w.at(n, k);
      y.at(t, n) = sum / (1 + std::exp(-sum));
    }
  return y;
}

std::string declarations() { return weight_text("x", "16x4") + weight_text("w", "6x4"); }

TEST(PhasesTest, FusedRegionsMeanTheirBodies) {
  expect_step(kAliases + ("module {" + declarations()) + R"(
  func.func @step(%tokens: !ids, %rows: !picks, %batch: !quern.batch) -> !T6 {
    %e = quern.weight_ref @x : !E
    %w = quern.weight_ref @w : !W
    %x = quern.fused embedding (%tokens, %e) : (!ids, !E) -> !T4 {
    ^bb0(%a: !ids, %b: !E):
      %0 = quern.embedding %a, %b : (!ids, !E) -> !T4
      quern.yield %0 : !T4
    }
    %lin, %y = quern.fused linear (%x, %w) : (!T4, !W) -> (!T6, !T6) {
    ^bb0(%a: !T4, %b: !W):
      %0 = quern.linear %a, %b : (!T4, !W) -> !T6
      %1 = quern.unary silu %0 : !T6
      quern.yield %0, %1 : !T6, !T6
    }
    return %y : !T6
  }
})",
              {{{0, 0, {3, 11, 0}}}, {}}, expected({3, 11, 0}));
}

std::string scheduled() {
  std::string text = kAliases + ("module {" + declarations()) + R"(
  quern.kernel @embedding_0 embedding (%a: !ids, %b: !E) -> (!T4) {
    %0 = quern.embedding %a, %b : (!ids, !E) -> !T4
    quern.yield %0 : !T4
  }
  quern.kernel @linear_0 linear (%a: !T4, %b: !W) -> (!T6) {
    %0 = quern.linear %a, %b : (!T4, !W) -> !T6
    %1 = quern.unary silu %0 : !T6
    quern.yield %1 : !T6
  }
)";
  struct {
    const char *name;
    int tokens, seqs;
    const char *extra;
  } buckets[] = {{"decode1", 1, 1, ""},
                 {"decode", 2, 2, ""},
                 {"prefill", 4, 2,
                  "%z = quern.dispatch @embedding_0(%tokens, %e) \"again\" : (!ids, !E) -> !T4\n"}};
  for (const auto &bucket : buckets)
    text +=
        std::string("func.func @step.") + bucket.name +
        R"((%tokens: !ids, %rows: !picks, %batch: !quern.batch) -> !T6 attributes {quern.entry = "step", quern.bucket = ")" +
        bucket.name + "\", quern.max_tokens = " + std::to_string(bucket.tokens) +
        " : i64, quern.max_seqs = " + std::to_string(bucket.seqs) +
        " : i64, quern.max_rows = " + std::to_string(bucket.seqs) + R"( : i64} {
    %e = quern.weight_ref @x : !E
    %w = quern.weight_ref @w : !W
    %x = quern.dispatch @embedding_0(%tokens, %e) "embed" at [0] : (!ids, !E) -> !T4
    )" + bucket.extra +
        R"(%y = quern.dispatch @linear_0(%x, %w) "up" at [-1] : (!T4, !W) -> !T6
    return %y : !T6
  }
)";
  return text + "}";
}

TEST(PhasesTest, DispatchesMeanTheirKernels) {
  expect_step(scheduled(), {{{0, 0, {3, 11, 0}}}, {}}, expected({3, 11, 0}));
}

TEST(PhasesTest, TheFirstBucketThatAdmitsTheBatchRuns) {
  TestModule module(scheduled());
  auto interpreter = module.interpreter();
  const std::vector<Bucket> buckets = interpreter->buckets("step");
  ASSERT_EQ(buckets.size(), 3u);
  EXPECT_EQ(buckets[1].name, "decode");
  EXPECT_EQ(buckets[1].max_tokens, 2);
  ReferenceState state;
  auto status = [&](const Batch &batch, const std::string &bucket) {
    return interpreter->step(batch, state, bucket).status().ToString();
  };
  EXPECT_EQ(status({{{0, 0, {1}}}, {0}}, ""), "OK");
  EXPECT_EQ(status({{{0, 0, {1}}}, {0}}, "prefill"), "OK");
  EXPECT_EQ(status({{{0, 0, {1, 2, 3, 4}}}, {0}}, ""), "OK");
  EXPECT_THAT(status({{{0, 0, {1, 2, 3, 4, 5}}}, {0}}, ""),
              HasSubstr("no bucket of entry step admits 5 tokens of 1 sequences with 1 rows"));
  EXPECT_THAT(status({{{0, 0, {1, 2}}}, {0}}, "decode1"), HasSubstr("no bucket decode1"));
  EXPECT_THAT(status({{{0, 0, {1}}}, {0}}, "decode9"), HasSubstr("no bucket decode9"));
}

TEST(PhasesTest, EveryOpOfTheDialectHasAnEval) {
  mlir::MLIRContext context;
  context.loadDialect<QuernDialect>();
  int ops = 0;
  for (mlir::RegisteredOperationName op : context.getRegisteredOperations())
    if (op.getDialectNamespace() == "quern") {
      ++ops;
      EXPECT_TRUE(has_eval(op.getStringRef().str())) << op.getStringRef().str();
    }
  EXPECT_GT(ops, 20);
  EXPECT_FALSE(has_eval("quern.no_such_op"));
}

TEST(PhasesTest, AWeightThatIsMadeOfItselfIsAnError) {
  TestModule module(kAliases + std::string(R"(module {
  quern.packed @p : !E packing "rows" {
    %0 = quern.weight_ref @p : !E
    quern.yield %0 : !E
  }
  func.func @step(%tokens: !ids, %rows: !picks, %batch: !quern.batch) -> !T4 {
    %e = quern.weight_ref @p : !E
    %x = quern.embedding %tokens, %e : (!ids, !E) -> !T4
    return %x : !T4
  }
})"));
  ReferenceState state;
  EXPECT_THAT(module.interpreter()->step({{{0, 0, {1}}}, {}}, state).status().ToString(),
              HasSubstr("@p refers to itself"));
}

TEST(PhasesTest, ErrorsNameTheOpAndItsSource) {
  TestModule module(kAliases + ("module {" + weight_text("x", "16x4")) + R"(
  func.func @step(%tokens: !ids, %rows: !picks, %batch: !quern.batch) -> !T4 {
    %e = quern.weight_ref @x : !E
    %x = quern.embedding %tokens, %e : (!ids, !E) -> !T4 loc("model.embed_tokens")
    return %x : !T4
  }
})");
  ReferenceState state;
  EXPECT_THAT(module.interpreter()->step({{{0, 0, {16}}}, {}}, state).status().ToString(),
              HasSubstr("quern.embedding (model.embed_tokens): token 0 is 16"));
}

} // namespace
} // namespace quern::reference
