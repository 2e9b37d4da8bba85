// Tests that bodies are told apart by what is in them: of thousands of ops that differ there alone,
// each would be compared with all others.
#include "passes/analysis/BodyHash.h"

#include "ir/quern/QuernDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace quern {
namespace {

size_t hashOf(const std::string &body) {
  mlir::DialectRegistry registry;
  registry.insert<mlir::arith::ArithDialect, mlir::func::FuncDialect, mlir::scf::SCFDialect>();
  static mlir::MLIRContext context(registry);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(
      "func.func @f(%a: f32, %b: f32, %c: i1) -> f32 {\n" + body + "\nreturn %y : f32\n}",
      &context);
  return module ? hashOfBody(module->getBodyRegion()) : 0;
}

TEST(BodyHash, EqualBodiesShareIt) {
  const std::string body = "%k = arith.constant 1.0 : f32\n%y = arith.addf %a, %k : f32";
  EXPECT_NE(hashOf(body), 0u);
  EXPECT_EQ(hashOf(body), hashOf("\n\n" + body));
}

TEST(BodyHash, ConstantsOpsAndInnerBodiesTellThemApart) {
  std::set<size_t> hashes;
  for (int i = 0; i < 100; ++i) {
    const std::string number = std::to_string(i) + ".0";
    hashes.insert(hashOf("%k = arith.constant " + number + " : f32\n%y = arith.addf %a, %k : f32"));
    hashes.insert(hashOf("%k = arith.constant " + number + " : f32\n%y = arith.mulf %a, %k : f32"));
    hashes.insert(hashOf("%y = scf.if %c -> f32 {\n%k = arith.constant " + number +
                         " : f32\nscf.yield %k : f32\n} else {\nscf.yield %a : f32\n}"));
  }
  EXPECT_EQ(hashes.size(), 300u);
}

} // namespace
} // namespace quern
