// The function and the op that docs/guides/adding-an-op.md adds, made by doing what it says: they
// mean, compute and are called what it says. And what it says of anchors holds.
#include "frontends/families/Activations.h"
#include "ir/quern/QuernDialect.h"
#include "ir/reference/Interpreter.h"
#include "tests/codegen/models/CompiledModel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

namespace followed {
float qk_laplace(float x);
}

namespace quern {
namespace {

TEST(AddedFunction, IsKnownByItsNames) {
  EXPECT_EQ(symbolizeUnaryKind("laplace"), UnaryKind::laplace);
  ASSERT_TRUE(known_activations().contains("laplace"));
  EXPECT_EQ(known_activations().find("laplace")->second, "laplace");
}

TEST(AddedFunction, ComputesWhatItMeans) {
  for (double x = -3; x <= 3; x += 0.125) {
    const double y = reference::unary_value(UnaryKind::laplace, x);
    EXPECT_NEAR(y, std::erfc((0.707107 - x) / (0.282095 * std::sqrt(2.0))) / 2, 1e-15) << x;
    EXPECT_NEAR(followed::qk_laplace(static_cast<float>(x)), y, 1e-6) << x;
  }
}

TEST(AddedOp, IsCompiledToWhatItMeans) {
  EXPECT_TRUE(reference::has_eval("quern.reciprocal"));
  const std::string variant = "x86-64-v3";
  if (const std::string why = test::CompiledModel::whyNotRun(variant, /*emulate=*/false);
      !why.empty())
    GTEST_SKIP() << why;
  auto model =
      test::CompiledModel::create("../../../docs/op/Inputs/reciprocal.mlir", "f32", variant);
  ASSERT_NE(model, nullptr);
  const std::vector<int32_t> tokens = {1, 5, 23, 42, 100, 7, 7, 64};
  auto engine = model->engine(1);
  const std::vector<float> got = test::feed(*engine, tokens, tokens.size());
  reference::ReferenceState state;
  reference::Batch batch{.sequences = {{.tokens = tokens}}, .rows = {}};
  for (int32_t row = 0; row < static_cast<int32_t>(tokens.size()); ++row)
    batch.rows.push_back(row);
  const auto want = model->imported()->step(batch, state);
  ASSERT_TRUE(want.ok()) << want.status();
  ASSERT_EQ(got.size(), want->values.size());
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], want->values[i], 1e-4) << i;
}

namespace fs = std::filesystem;

std::string read(const fs::path &path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// What the pattern's first group matches, anywhere in the text.
std::set<std::string> matches(const std::string &text, const char *pattern) {
  const std::regex regex(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it)
    found.insert((*it)[1]);
  return found;
}

/// The files, C++ and of the tree, in which anchors are told apart, but for those that are no op.
std::set<std::string> anchor_files() {
  const fs::path root(QUERN_SOURCE_DIR);
  std::set<std::string> files;
  for (const char *room : {"ir", "passes", "codegen", "compiler", "runtime", "frontends"})
    for (const auto &entry : fs::recursive_directory_iterator(root / room)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".cpp" && extension != ".h")
        continue;
      const std::string text = read(entry.path());
      std::set<std::string> named = matches(text, R"(\bAnchor::([a-z_0-9]+))");
      named.erase("rows");
      named.erase("generic");
      EXPECT_THAT(matches(text, R"re(([aA]nchor\(\) [!=]= "[a-z_0-9]+"))re"), testing::IsEmpty())
          << entry.path() << " compares an anchor's name";
      if (!named.empty())
        files.insert(fs::relative(entry.path(), root).string());
    }
  return files;
}

TEST(AddedAnchor, IsToldFromOthersWhereTheGuideSays) {
  EXPECT_THAT(anchor_files(),
              testing::ElementsAre("codegen/cpu/Kernel.cpp", "codegen/cuda/Kernel.cpp",
                                   "passes/target/Target.cpp"));
  const std::string guide = read(QUERN_SOURCE_DIR "/docs/guides/adding-an-op.md");
  const size_t section = guide.find("\n## An anchor\n");
  ASSERT_NE(section, std::string::npos);
  const auto paths =
      matches(guide.substr(section), "`([A-Za-z0-9_.-]+/[A-Za-z0-9_./-]*[A-Za-z0-9])`");
  for (const std::string &file : anchor_files())
    EXPECT_TRUE(paths.contains(file)) << file;
  for (const std::string &path : paths)
    EXPECT_TRUE(fs::exists(fs::path(QUERN_SOURCE_DIR) / path)) << "the guide names " << path;
}

// The switch over anchors has a case for each, and each has an op of its name.
TEST(AddedAnchor, HasAnOp) {
  mlir::MLIRContext context;
  context.loadDialect<QuernDialect>();
  for (uint32_t i = 0; i <= getMaxEnumValForAnchor(); ++i) {
    const std::optional<Anchor> anchor = symbolizeAnchor(i);
    ASSERT_TRUE(anchor) << i << ": anchors are numbered without a gap";
    if (*anchor == Anchor::rows || *anchor == Anchor::generic)
      continue;
    const std::string name = "quern." + stringifyAnchor(*anchor).str();
    const auto op = mlir::RegisteredOperationName::lookup(name, &context);
    ASSERT_TRUE(op) << name;
    EXPECT_TRUE(op->hasInterface<AnchorOpInterface>()) << name;
  }
}

} // namespace
} // namespace quern
