// Tests that each pass is reported by the name it has on quern-opt's command line.
#include "compiler/pipeline/PassTimes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

#include <gtest/gtest.h>

#include <map>

namespace quern {
namespace {

TEST(PassTimes, ReportsPassesAndNotWhatRunsThem) {
  mlir::MLIRContext context;
  context.loadDialect<mlir::func::FuncDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(
      "func.func private @a()\nfunc.func @b() { return }\nfunc.func @c() { return }", &context);
  ASSERT_TRUE(module);
  mlir::PassManager pm(&context);
  pm.addPass(mlir::createCSEPass());
  pm.addNestedPass<mlir::func::FuncOp>(mlir::createCanonicalizerPass());
  std::map<std::string, int> passes;
  pm.addInstrumentation(timePasses([&](llvm::StringRef pass, double seconds) {
    ++passes[pass.str()];
    EXPECT_GE(seconds, 0);
  }));
  ASSERT_TRUE(mlir::succeeded(pm.run(*module)));
  EXPECT_EQ(passes, (std::map<std::string, int>{{"canonicalize", 3}, {"cse", 1}}));
}

} // namespace
} // namespace quern
