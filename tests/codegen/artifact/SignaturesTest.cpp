// Entries whose caller chooses sizes, from a planned module to what the runtime makes of them.
#include "codegen/artifact/Signatures.h"

#include "codegen/artifact/Manifest.h"
#include "ir/quern/QuernDialect.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/SizeExpression.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace quern::artifact {
namespace {

using testing::HasSubstr;

// What the runtime computes with the steps of an expression over a, b and s.
absl::StatusOr<int64_t> run(const symbols::Dim &dim, const std::map<std::string, int64_t> &sizes) {
  symbols::Maxima maxima;
  std::vector<int64_t> values;
  for (const auto &[name, value] : sizes) {
    maxima[name] = 100;
    values.push_back(value);
  }
  flatbuffers::FlatBufferBuilder builder;
  const std::vector<SizeStep> steps = size_steps(dim, maxima);
  builder.Finish(CreateSizeExpressionDirect(builder, "text", &steps));
  const auto *expression = flatbuffers::GetRoot<SizeExpression>(builder.GetBufferPointer());
  EXPECT_EQ(mistake_in(expression, 3), "") << dim.text();
  return value_of(*expression, values);
}

// Tests that steps give what the expression gives, for every function and nesting that shapes are
// made of.
TEST(Signatures, StepsGiveWhatTheExpressionGives) {
  std::mt19937 random(7);
  size_t compared = 0;
  for (const char *text : {"0",
                           "7",
                           "s",
                           "b*s",
                           "2*s + 3",
                           "a + s - 1",
                           "-s + 5",
                           "floordiv(s, 3)",
                           "ceildiv(s, 4)",
                           "mod(s, 5)",
                           "floordiv(a - b, 2)",
                           "truncdiv(a - b, 3)",
                           "floordiv(a, b)",
                           "min(a, s)",
                           "max(a - 3, 2*b)",
                           "equal(a, b)",
                           "less(a, s)*b",
                           "floordiv(min(a, s)*b + 7, s + 1)",
                           "floordiv(floordiv(s + 1, 2) + 1, 2)*b*b",
                           "3*floordiv(a, 2)*floordiv(s, 2) - a*b*s"}) {
    const auto dim = symbols::parse_dim(text);
    ASSERT_TRUE(dim.ok()) << text;
    for (int i = 0; i < 50; ++i) {
      const std::map<std::string, int64_t> sizes = {{"a", static_cast<int64_t>(random() % 20)},
                                                    {"b", static_cast<int64_t>(random() % 20)},
                                                    {"s", static_cast<int64_t>(random() % 20)}};
      const auto wanted = symbols::evaluate(*dim, sizes);
      const auto got = run(*dim, sizes);
      EXPECT_EQ(got.ok(), wanted.ok()) << text;
      if (got.ok() && wanted.ok()) {
        EXPECT_EQ(*got, *wanted) << text << " of " << sizes.at("a") << ", " << sizes.at("b") << ", "
                                 << sizes.at("s");
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 900u);
}

constexpr const char *kModule = R"mlir(
!X = tensor<?x?xi64, #quern.dims<"b", "s">>
!Y = tensor<?x3xi8, #quern.dims<"b*s">>
module attributes {quern.files = [], quern.model = {family = "onnx"}, quern.sizes = {b = 4 : i64, s = 8 : i64},
                   quern.weights_bytes = 0 : i64, quern.slot_bytes = 0 : i64, quern.page_bytes = array<i64>, quern.kv_windows = array<i64>} {
  quern.kernel @generic_0 generic (%x: !X, %m: tensor<i1>) -> !Y {
    %n = quern.size "b*s"
    %y = tensor.empty(%n) : !Y
    quern.yield %y : !Y
  }
  func.func @main.main(%x: !X {quern.name = "ids"}, %m: tensor<i1> {quern.element = "bool"}) -> (!Y {quern.name = "out", quern.element = "u4"})
      attributes {quern.entry = "main", quern.bucket = "main", quern.max_tokens = 1 : i64, quern.max_seqs = 1 : i64, quern.max_rows = 1 : i64, quern.sized,
                  quern.arena = 0 : i64, quern.arena_bound = 0 : i64, quern.equal_sizes = [["2*b", "s", "/Add"]]} {
    %y = quern.dispatch @generic_0(%x, %m) "/Cast" at [-1] : (!X, tensor<i1>) -> !Y
    return %y : !Y
  }
}
)mlir";

struct Module {
  explicit Module(const std::vector<std::pair<std::string, std::string>> &changes = {}) {
    context.loadDialect<QuernDialect, mlir::func::FuncDialect>();
    std::string text = kModule;
    for (const auto &[from, to] : changes)
      text.replace(text.find(from), from.size(), to);
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    EXPECT_TRUE(module);
  }
  absl::StatusOr<std::string> manifest() {
    const std::vector<mlir::ModuleOp> modules = {*module};
    ManifestExtras extras;
    extras.max_tokens = 512;
    extras.max_seqs = 16;
    extras.variants = {{"cpu", "x86-64-v3", {}}};
    return build_manifest(modules, extras, {}, {});
  }
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

// Tests that an entry is described as callers know it, and that the runtime believes it.
TEST(Signatures, DescribesEntriesOfSizes) {
  Module module;
  const auto bytes = module.manifest();
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const Manifest &manifest = *GetManifest(bytes->data());
  EXPECT_TRUE(validate(manifest, 0).ok()) << validate(manifest, 0);
  const Entry &entry = *items(manifest.entries())[0];
  ASSERT_EQ(items(entry.sizes()).size(), 2u);
  EXPECT_EQ(text(items(entry.sizes())[1]->name()), "s");
  EXPECT_EQ(items(entry.sizes())[1]->most(), 8u);
  EXPECT_EQ(items(entry.inputs())[0]->type(), ElementType::i64);
  EXPECT_EQ(items(entry.inputs())[1]->type(), ElementType::boolean);
  const TensorDesc &output = *items(entry.outputs())[0];
  EXPECT_EQ(output.type(), ElementType::u4);
  EXPECT_EQ(text(items(output.symbols())[0]), "b*s");
  const SizeExpression &rows = *items(output.dims())[0];
  EXPECT_EQ(rows.most(), 32u);
  EXPECT_EQ(*value_of(rows, std::vector<int64_t>{3, 5}), 15);
  ASSERT_EQ(items(entry.equal()).size(), 1u);
  EXPECT_EQ(text(items(entry.equal())[0]->because()), "/Add");
  EXPECT_EQ(*value_of(*items(entry.equal())[0]->left(), std::vector<int64_t>{3, 5}), 6);
  // There are no tokens.
  EXPECT_EQ(manifest.max_tokens(), 0u);
  EXPECT_EQ(manifest.max_seqs(), 0u);
  EXPECT_EQ(items(entry.buckets())[0]->max_tokens(), 1u);
}

// Tests an entry all of whose shapes are fixed: it has no sizes, and one bucket all the same.
TEST(Signatures, DescribesEntriesOfFixedShapes) {
  Module module({{"tensor<?x?xi64, #quern.dims<\"b\", \"s\">>", "tensor<2x3xi64>"},
                 {"tensor<?x3xi8, #quern.dims<\"b*s\">>", "tensor<0x3xi8>"},
                 {"%n = quern.size \"b*s\"", ""},
                 {"tensor.empty(%n)", "tensor.empty()"},
                 {"quern.sizes = {b = 4 : i64, s = 8 : i64},", ""},
                 {", quern.equal_sizes = [[\"2*b\", \"s\", \"/Add\"]]", ""}});
  const auto bytes = module.manifest();
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const Manifest &manifest = *GetManifest(bytes->data());
  EXPECT_TRUE(validate(manifest, 0).ok()) << validate(manifest, 0);
  const Entry &entry = *items(manifest.entries())[0];
  EXPECT_TRUE(items(entry.sizes()).empty());
  EXPECT_TRUE(items(items(entry.inputs())[0]->dims()).empty());
  EXPECT_EQ(items(items(entry.outputs())[0]->shape())[0], 0);
}

// Tests that dimensions without sizes are refused where the file would be read.
TEST(Signatures, RefusesDimensionsWithoutSizes) {
  Module module({{"quern.sizes = {b = 4 : i64, s = 8 : i64},", ""},
                 {", quern.equal_sizes = [[\"2*b\", \"s\", \"/Add\"]]", ""}});
  const auto bytes = module.manifest();
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_THAT(std::string(validate(*GetManifest(bytes->data()), 0).message()),
              HasSubstr("must be T, B or R"));
}

// Tests that what an element is said to be is a type of its size.
TEST(Signatures, RefusesElementsOfOtherSizes) {
  Module module({{"\"u4\"", "\"u16\""}});
  EXPECT_THAT(std::string(module.manifest().status().message()),
              HasSubstr("'out' of an entry: its elements are said to be u16, which no i8 stands"));
}

// Tests that a dimension that the runtime would not take says what to bound.
TEST(Signatures, RefusesDimensionsThatAreTooGreat) {
  Module module({{"b = 4 : i64, s = 8 : i64", "b = 1000000000000 : i64, s = 1000000000000 : i64"}});
  EXPECT_THAT(
      std::string(module.manifest().status().message()),
      HasSubstr("'b*s' can be more than 70368744177664\nhint: bound the sizes in it: --dim"));
}

} // namespace
} // namespace quern::artifact
