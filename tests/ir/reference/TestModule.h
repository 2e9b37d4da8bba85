// Modules of a few ops for tests, their synthetic weights as plain arrays, and runs of them.
#ifndef QUERN_TESTS_IR_REFERENCE_TESTMODULE_H
#define QUERN_TESTS_IR_REFERENCE_TESTMODULE_H

#include "ir/quern/QuernDialect.h"
#include "ir/reference/Interpreter.h"
#include "ir/weights/SyntheticWeights.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace quern::reference {

/// A parsed module and its context.
class TestModule {
public:
  explicit TestModule(const std::string &text) {
    context_.loadDialect<QuernDialect, mlir::func::FuncDialect>();
    module_ = mlir::parseSourceString<mlir::ModuleOp>(text, &context_);
    if (!module_)
      ADD_FAILURE() << "the test's module does not parse:\n" << text;
  }
  mlir::ModuleOp get() { return *module_; }

  std::unique_ptr<Interpreter> interpreter(Interpreter::Options options = {.float64 = true}) {
    auto interpreter = Interpreter::create(get(), options);
    if (!interpreter.ok()) {
      ADD_FAILURE() << interpreter.status();
      return nullptr;
    }
    return *std::move(interpreter);
  }

private:
  mlir::MLIRContext context_;
  mlir::OwningOpRef<mlir::ModuleOp> module_;
};

/// Rows of numbers.
struct Matrix {
  int64_t rows, cols;
  std::vector<double> values;

  Matrix(int64_t rows, int64_t cols)
      : rows(rows), cols(cols), values(static_cast<size_t>(rows * cols)) {}
  double &at(int64_t row, int64_t col) { return values[static_cast<size_t>(row * cols + col)]; }
  double at(int64_t row, int64_t col) const {
    return values[static_cast<size_t>(row * cols + col)];
  }
};

/// The numbers of a synthetic weight as `weight_text` declares it.
inline Matrix synthetic(const std::string &name, int64_t rows, int64_t cols, float spread = 1,
                        float mean = 0) {
  Matrix matrix(rows, cols);
  std::vector<float> numbers(matrix.values.size());
  weights::generate({.seed = 7, .name = name, .scale = spread, .offset = mean}, 0,
                    static_cast<int64_t>(numbers.size()), numbers.data());
  std::copy(numbers.begin(), numbers.end(), matrix.values.begin());
  return matrix;
}

/// `quern.weight @name : !quern.weight<SHAPE, "f32">`, synthetic.
inline std::string weight_text(const std::string &name, const std::string &shape, float spread = 1,
                               float mean = 0, const std::string &format = "f32") {
  return "quern.weight @" + name + " : !quern.weight<" + shape + ", \"" + format +
         "\"> {file = -1 : i32, offset = 0 : i64, seed = 7 : i64, mean = " + std::to_string(mean) +
         " : f32, spread = " + std::to_string(spread) + " : f32}\n";
}

/// A module whose entry `step` looks up `x` = rows of the synthetic weight @x [16, cols] by token,
/// runs `body` and returns its value %y of `cols_out` columns. Type aliases `!rows<cols>` are
/// written !T<cols>, as in !T64, for the column counts in `widths`.
inline std::string step_text(int64_t cols, int64_t cols_out, const std::string &declarations,
                             const std::string &body, const std::vector<int64_t> &widths = {}) {
  std::string text;
  std::set<int64_t> all(widths.begin(), widths.end());
  all.insert({cols, cols_out});
  for (int64_t width : all)
    text += "!T" + std::to_string(width) + " = tensor<?x" + std::to_string(width) +
            "xf32, #quern.dims<\"T\">>\n";
  const std::string n = std::to_string(cols), out = std::to_string(cols_out);
  return text + "module {\n" + weight_text("x", "16x" + n) + declarations +
         "func.func @step(%tokens: tensor<?xi32, #quern.dims<\"T\">>, %rows: tensor<?xi32, "
         "#quern.dims<\"R\">>, %batch: !quern.batch) -> !T" +
         out + " {\n%xw = quern.weight_ref @x : !quern.weight<16x" + n +
         ", \"f32\">\n%x = quern.embedding %tokens, %xw : (tensor<?xi32, #quern.dims<\"T\">>, "
         "!quern.weight<16x" +
         n + ", \"f32\">) -> !T" + n + "\n" + body + "\nreturn %y : !T" + out + "\n}\n}\n";
}

/// The rows of @x that `tokens` look up.
inline Matrix lookup(const std::vector<int32_t> &tokens, int64_t cols) {
  const Matrix table = synthetic("x", 16, cols);
  Matrix rows(static_cast<int64_t>(tokens.size()), cols);
  for (int64_t t = 0; t < rows.rows; ++t)
    for (int64_t c = 0; c < cols; ++c)
      rows.at(t, c) = table.at(tokens[static_cast<size_t>(t)], c);
  return rows;
}

/// Runs the entry `step` of `text` on one batch, in both precisions, and expects what `expected`
/// says: to 1e-12 in float64, to 1e-4 (of numbers about 1) in float32.
inline void expect_step(const std::string &text, const Batch &batch, const Matrix &expected) {
  TestModule module(text);
  for (bool float64 : {true, false}) {
    ReferenceState state;
    const auto output = module.interpreter({.float64 = float64})->step(batch, state);
    ASSERT_TRUE(output.ok()) << output.status();
    ASSERT_EQ(output->rows, expected.rows);
    ASSERT_EQ(output->cols, expected.cols);
    for (int64_t row = 0; row < output->rows; ++row)
      for (int64_t col = 0; col < output->cols; ++col)
        ASSERT_NEAR(output->at(row, col), expected.at(row, col), float64 ? 1e-12 : 1e-4)
            << "row " << row << ", column " << col << (float64 ? " in float64" : " in float32");
  }
}

} // namespace quern::reference

#endif // QUERN_TESTS_IR_REFERENCE_TESTMODULE_H
