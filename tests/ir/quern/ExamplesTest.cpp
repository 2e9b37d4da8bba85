// The examples of the ops' descriptions: every op has one, and it parses and verifies.
#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

namespace quern {
namespace {

/// What the examples speak of: a small model's values, by the names they have in all examples.
const char kSymbols[] = R"(
  quern.weight @q : !quern.weight<64x64, "q4_1"> {file = 0 : i32, offset = 0 : i64}
  quern.weight @k : !quern.weight<64x64, "q4_1"> {file = 0 : i32, offset = 0 : i64}
  quern.declare_state @l1.kv : !quern.state<kv, 2x16x16>
)";
const char kKernel[] = R"(
  quern.kernel @linear_0 linear (%0: tensor<?x64xf32, #quern.dims<"T">>, %1: !quern.weight<96x64, "f32">) -> tensor<?x96xf32, #quern.dims<"T">> {
    %2 = quern.linear %0, %1 : (tensor<?x64xf32, #quern.dims<"T">>, !quern.weight<96x64, "f32">) -> tensor<?x96xf32, #quern.dims<"T">>
    quern.yield %2 : tensor<?x96xf32, #quern.dims<"T">>
  }
)";
const char kFunction[] = R"(
  func.func @example(
      %tokens: tensor<?xi32, #quern.dims<"T">>, %rows: tensor<?xi32, #quern.dims<"R">>,
      %batch: !quern.batch,
      %x: tensor<?x64xf32, #quern.dims<"T">>, %w: !quern.weight<96x64, "f32">,
      %a: !quern.weight<64x64, "f32">, %norm: !quern.weight<64, "f32">,
      %d: !quern.weight<4, "f32">, %embed: !quern.weight<100x64, "f32">,
      %gate: tensor<?x96xf32, #quern.dims<"T">>, %up: tensor<?x96xf32, #quern.dims<"T">>,
      %q: tensor<?x64xf32, #quern.dims<"T">>, %k: tensor<?x32xf32, #quern.dims<"T">>,
      %v: tensor<?x32xf32, #quern.dims<"T">>, %table: tensor<?x16xf32, #quern.dims<"T">>,
      %kv: !quern.state<kv, 2x16x16>,
      %c: tensor<?x32xf32, #quern.dims<"T">>, %b: tensor<?x32xf32, #quern.dims<"T">>,
      %decay: tensor<?x4xf32, #quern.dims<"T">>, %ssm: !quern.state<recurrent, 4x16x16>,
      %conv: !quern.weight<64x4, "f32">, %conv3: !quern.weight<64x1x4, "f32">,
      %window: !quern.state<window, 64x3>, %shift: !quern.state<window, 64x1>,
      %most: !quern.state<recurrent, 1x1x64>, %blocks: !quern.weight<4x32x16, "f32">,
      %chosen: tensor<?x2xi32, #quern.dims<"T">>, %weights: tensor<?x2xf32, #quern.dims<"T">>,
      %experts: !quern.weight<4x32x64, "f32">, %modes: !quern.state<recurrent, 4x2x64>,
      %poles: !quern.weight<4x2x32, "f32">) {
)";

/// The function, without the argument that an example defines itself.
std::string function_of(const std::string &text) {
  return text.find("%weights =") == std::string::npos
             ? kFunction
             : std::regex_replace(kFunction, std::regex("%weights:"), "%given:");
}

struct Example {
  std::string op, file, text;
};

std::vector<Example> examples(std::set<std::string> &ops) {
  std::vector<Example> found;
  const std::regex definition(R"re(: Quern_(?:Anchor)?Op<"(\w+)")re");
  for (const auto &entry : std::filesystem::directory_iterator(QUERN_SOURCE_DIR "/ir/quern")) {
    if (entry.path().extension() != ".td")
      continue;
    std::ifstream file(entry.path());
    std::string line, op;
    bool inside = false;
    while (std::getline(file, line)) {
      std::smatch match;
      if (std::regex_search(line, match, definition))
        ops.insert(op = match[1]);
      if (line.find("```") != std::string::npos) {
        inside = line.find("```mlir") != std::string::npos;
        if (inside)
          found.push_back({op, entry.path().filename(), ""});
      } else if (inside) {
        found.back().text += line + "\n";
      }
    }
  }
  return found;
}

/// Whether the example is of symbols, which lie in the module, and not of a function's ops.
bool is_declaration(const std::string &text) {
  return std::regex_search(text,
                           std::regex(R"(^\s*quern\.(weight|declare_state|packed|kernel) @)"));
}

TEST(ExamplesTest, EveryOpHasOneThatParses) {
  mlir::MLIRContext context;
  context.loadDialect<QuernDialect, mlir::func::FuncDialect>();
  std::set<std::string> ops, shown;
  for (const Example &example : examples(ops)) {
    const std::string text =
        kSymbols +
        (is_declaration(example.text)
             ? example.text
             : kKernel + (function_of(example.text) + example.text) + "    return\n  }\n");
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    ASSERT_TRUE(module) << "the example of " << example.op << " in " << example.file
                        << " does not parse:\n"
                        << example.text;
    bool shows = false;
    module->walk([&](mlir::Operation *op) { shows |= op->getName().stripDialect() == example.op; });
    EXPECT_TRUE(shows) << "the example of " << example.op << " shows another op";
    shown.insert(example.op);
  }
  EXPECT_GT(ops.size(), 20u);
  for (const std::string &op : ops)
    EXPECT_TRUE(shown.contains(op)) << "quern." << op << " has no example in its description";
  for (mlir::RegisteredOperationName op : context.getRegisteredOperations())
    if (op.getDialectNamespace() == "quern")
      EXPECT_TRUE(ops.contains(op.stripDialect().str())) << op.getStringRef().str();
}

} // namespace
} // namespace quern
